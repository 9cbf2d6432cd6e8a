// SPDX-License-Identifier: LGPL-2.1-or-later
// The reference encoder: superblock, entries and data laid out by hand.
#include "sim/image_builder.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace wc::sim {

ImageBuilder::ImageBuilder(std::uint32_t block_bytes, std::uint64_t n_blocks)
    : block_bytes_(block_bytes), n_blocks_(n_blocks) {
  superblock_.magic = 0x23489321;
  superblock_.version = 1;
  superblock_.block_size = block_bytes;
  superblock_.n_blocks = n_blocks;
}

ImageBuilder& ImageBuilder::magic(std::uint32_t value) {
  superblock_.magic = value;
  return *this;
}
ImageBuilder& ImageBuilder::version(std::uint32_t value) {
  superblock_.version = value;
  return *this;
}
ImageBuilder& ImageBuilder::block_size(std::uint32_t value) {
  superblock_.block_size = value;
  return *this;
}
ImageBuilder& ImageBuilder::pad(std::uint32_t value) {
  superblock_.pad = value;
  return *this;
}
ImageBuilder& ImageBuilder::n_blocks(std::uint64_t value) {
  superblock_.n_blocks = value;
  return *this;
}
ImageBuilder& ImageBuilder::seq_count(Sequence value) {
  superblock_.seq_count = value;
  return *this;
}
ImageBuilder& ImageBuilder::padding(std::size_t at, std::byte value) {
  superblock_.padding.at(at) = value;
  return *this;
}
ImageBuilder& ImageBuilder::superblock(const Superblock& value) {
  superblock_ = value;
  return *this;
}

ImageBuilder& ImageBuilder::entry(BlockIndex index, Sector sector, Sequence seq) {
  if (index >= n_blocks_) throw std::out_of_range("ImageBuilder: no such entry");
  entries_[index] = Entry{sector, seq};
  blocks_.emplace(index, pattern(content_tag(index, sector, seq), block_bytes_));
  return *this;
}

ImageBuilder& ImageBuilder::freed_entry(BlockIndex index, Sector sector) {
  if (index >= n_blocks_) throw std::out_of_range("ImageBuilder: no such entry");
  entries_[index] = Entry{sector, kFreeSequence};
  return *this;
}

ImageBuilder& ImageBuilder::block(BlockIndex index, Bytes content) {
  if (index >= n_blocks_ || content.size() != block_bytes_) {
    throw std::out_of_range("ImageBuilder: no such block, or content of another size");
  }
  blocks_[index] = std::move(content);
  return *this;
}

ImageBuilder& ImageBuilder::bytes_at(std::uint64_t offset_bytes, Bytes content) {
  patches_.emplace_back(offset_bytes, std::move(content));
  return *this;
}

ImageBuilder& ImageBuilder::spare_bytes(std::uint64_t count) {
  spare_bytes_ = count;
  return *this;
}

std::uint64_t ImageBuilder::data_offset_bytes() const noexcept {
  const std::uint64_t metadata = 64 + 16 * n_blocks_;
  return (metadata + block_bytes_ - 1) / block_bytes_ * block_bytes_;
}

Bytes ImageBuilder::build() const {
  Bytes image(data_offset_bytes() + n_blocks_ * block_bytes_ + spare_bytes_);
  store_u32(image, 0, superblock_.magic);
  store_u32(image, 4, superblock_.version);
  store_u32(image, 8, superblock_.block_size);
  store_u32(image, 12, superblock_.pad);
  store_u64(image, 16, superblock_.n_blocks);
  store_u64(image, 24, superblock_.seq_count);
  std::copy(superblock_.padding.begin(), superblock_.padding.end(), image.begin() + 32);
  for (BlockIndex index = 0; index < n_blocks_; ++index) {
    const auto named = entries_.find(index);
    const Entry entry = named == entries_.end() ? Entry{kFreeSequence, kFreeSequence} : named->second;
    store_u64(image, entry_offset_bytes(index), entry.original_sector);
    store_u64(image, entry_offset_bytes(index) + 8, entry.seq_count);
    const auto filled = blocks_.find(index);
    const auto content = filled == blocks_.end() ? pattern(kFreeBlockTag + index, block_bytes_) : filled->second;
    std::copy(content.begin(), content.end(), image.begin() + static_cast<std::ptrdiff_t>(block_offset_bytes(index)));
  }
  for (const auto& [offset, content] : patches_) {
    if (offset + content.size() > image.size()) throw std::out_of_range("ImageBuilder: bytes_at");
    std::copy(content.begin(), content.end(), image.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  return image;
}

Bytes make_origin(Sector sectors) {
  Bytes origin;
  for (Sector sector = 0; sector < sectors; ++sector) {
    const auto content = pattern(mix_bits(0x0419'0000'0000U + sector), kSectorBytes);
    origin.insert(origin.end(), content.begin(), content.end());
  }
  return origin;
}

ImageBuilder random_image(Random& random, const RandomImageOptions& options) {
  ImageBuilder builder(options.block_bytes, options.n_blocks);
  builder.seq_count(options.seq_count);
  const auto per_block = builder.sectors_per_block();
  const auto origin_blocks = options.origin_sectors / per_block;
  const auto happens = [&](unsigned n) { return n != 0 && random.one_in(n); };
  std::map<Sector, Sequence> newest;
  std::vector<std::pair<Sector, Sequence>> committed;
  for (BlockIndex index = 0; index < options.n_blocks; ++index) {
    if (happens(options.free_one_in)) {
      if (random.one_in(2)) builder.freed_entry(index, random.below(origin_blocks) * per_block);
      continue;
    }
    Sector sector = random.below(origin_blocks) * per_block;
    if (happens(options.beyond_origin_one_in)) sector += origin_blocks * per_block;
    if (happens(options.misaligned_one_in) && per_block > 1) {
      sector += 1 + random.below(per_block - 1);
    }
    if (happens(options.uncommitted_one_in)) {
      builder.entry(index, sector, options.seq_count);
      continue;
    }
    if (happens(options.future_one_in)) {
      builder.entry(index, sector, options.seq_count + 1 + random.below(3));
      continue;
    }
    if (!committed.empty() && happens(options.identical_one_in)) {
      const auto twin = committed[random.below(committed.size())];
      builder.entry(index, twin.first, twin.second);
      continue;
    }
    if (!committed.empty() && happens(options.stale_one_in)) {
      sector = committed[random.below(committed.size())].first;
    }
    // Sequences go up for each sector, so that no two of them are equal.
    auto& last = newest.try_emplace(sector, random.below(options.seq_count / 2)).first->second;
    if (last + 1 >= options.seq_count) continue;
    ++last;
    builder.entry(index, sector, last);
    committed.emplace_back(sector, last);
  }
  return builder;
}

}  // namespace wc::sim
