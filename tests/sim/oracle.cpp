// SPDX-License-Identifier: LGPL-2.1-or-later
// The reference reader: live entries and merged content computed in the simplest way.
#include "sim/oracle.hpp"

#include <algorithm>
#include <utility>

namespace wc::sim {
namespace {

bool is_inside(Sector sector, std::uint32_t block_bytes, const Bytes& origin) {
  return sector % (block_bytes / kSectorBytes) == 0 && sector < kSectorLimit &&
         bytes_of_sectors(sector) + block_bytes <= origin.size();
}

MergedContent overlay(const ReferenceCache& reference, const Bytes& cache, const Bytes& origin,
                      const std::map<Sector, BlockIndex>& chosen) {
  MergedContent merged{origin, {}};
  for (const auto& [sector, index] : chosen) {
    const auto block = reference.block(cache, index);
    if (is_inside(sector, reference.superblock.block_size, origin)) {
      std::copy(block.begin(), block.end(),
                merged.origin.begin() + static_cast<std::ptrdiff_t>(bytes_of_sectors(sector)));
    } else {
      merged.other[sector] = Bytes(block.begin(), block.end());
    }
  }
  return merged;
}

}  // namespace

std::map<Sector, BlockIndex> ReferenceCache::live() const {
  std::map<Sector, BlockIndex> newest;
  for (BlockIndex index = 0; index < entries.size(); ++index) {
    if (!is_committed(index)) continue;
    const auto [it, is_first] = newest.try_emplace(entries[index].original_sector, index);
    if (!is_first && entries[index].seq_count >= entries[it->second].seq_count) it->second = index;
  }
  return newest;
}

std::optional<ReferenceCache> read_reference(const Bytes& cache) {
  if (cache.size() < 64) return std::nullopt;
  ReferenceCache reference;
  auto& superblock = reference.superblock;
  superblock.magic = load_u32(cache, 0);
  superblock.version = load_u32(cache, 4);
  superblock.block_size = load_u32(cache, 8);
  superblock.pad = load_u32(cache, 12);
  superblock.n_blocks = load_u64(cache, 16);
  superblock.seq_count = load_u64(cache, 24);
  std::copy_n(cache.begin() + 32, 32, superblock.padding.begin());
  const auto block_bytes = superblock.block_size;
  if (superblock.magic != 0x23489321 || superblock.version != 1) return std::nullopt;
  if (block_bytes < 512 || block_bytes > 65536 || (block_bytes & (block_bytes - 1)) != 0) {
    return std::nullopt;
  }
  if (superblock.n_blocks == 0 || superblock.n_blocks > cache.size() / 16) return std::nullopt;
  const auto metadata = 64 + 16 * superblock.n_blocks;
  reference.data_offset_bytes = (metadata + block_bytes - 1) / block_bytes * block_bytes;
  if (reference.data_offset_bytes + superblock.n_blocks * block_bytes > cache.size()) {
    return std::nullopt;
  }
  for (BlockIndex index = 0; index < superblock.n_blocks; ++index) {
    reference.entries.push_back({load_u64(cache, 64 + 16 * index), load_u64(cache, 72 + 16 * index)});
  }
  return reference;
}

MergedContent merged_content(const Bytes& cache, const Bytes& origin) {
  const auto reference = read_reference(cache);
  if (!reference) return {origin, {}};
  return overlay(*reference, cache, origin, reference->live());
}

MergedContent merged_with_uncommitted(const Bytes& cache, const Bytes& origin) {
  const auto reference = read_reference(cache);
  if (!reference) return {origin, {}};
  auto chosen = reference->live();
  for (BlockIndex index = 0; index < reference->entries.size(); ++index) {
    const auto& entry = reference->entries[index];
    if (entry.seq_count == reference->superblock.seq_count && entry.seq_count != kFreeSequence) {
      chosen[entry.original_sector] = index;
    }
  }
  return overlay(*reference, cache, origin, chosen);
}

std::string difference(const MergedContent& expected, const MergedContent& actual) {
  if (expected.origin.size() != actual.origin.size()) return "the sizes differ";
  const auto at = std::mismatch(expected.origin.begin(), expected.origin.end(), actual.origin.begin());
  if (at.first != expected.origin.end()) {
    const auto offset = static_cast<std::uint64_t>(at.first - expected.origin.begin());
    return "merged content differs at origin sector " + std::to_string(offset / kSectorBytes);
  }
  for (const auto& [sector, block] : expected.other) {
    const auto it = actual.other.find(sector);
    if (it == actual.other.end()) return "lost the block of sector " + std::to_string(sector);
    if (it->second != block) return "other data for sector " + std::to_string(sector);
  }
  for (const auto& [sector, block] : actual.other) {
    if (!expected.other.contains(sector)) return "new block of sector " + std::to_string(sector);
  }
  return {};
}

std::map<Sector, Bytes> undamaged_live_blocks(const Bytes& cache, std::optional<Sector> origin_sectors) {
  std::map<Sector, Bytes> blocks;
  const auto reference = read_reference(cache);
  if (!reference) return blocks;
  const auto per_block = reference->superblock.block_size / kSectorBytes;
  for (const auto& [sector, index] : reference->live()) {
    if (sector % per_block != 0 || sector >= kSectorLimit - per_block) continue;
    if (origin_sectors && sector + per_block > *origin_sectors) continue;
    const auto block = reference->block(cache, index);
    bool has_other_twin = false;
    for (BlockIndex twin = 0; twin < reference->entries.size(); ++twin) {
      const auto& entry = reference->entries[twin];
      if (twin == index || entry.original_sector != sector || entry.seq_count != reference->entries[index].seq_count) {
        continue;
      }
      const auto other = reference->block(cache, twin);
      if (!std::equal(block.begin(), block.end(), other.begin())) has_other_twin = true;
    }
    if (!has_other_twin) blocks[sector] = Bytes(block.begin(), block.end());
  }
  return blocks;
}

}  // namespace wc::sim
