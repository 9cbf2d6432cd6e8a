// SPDX-License-Identifier: LGPL-2.1-or-later
// ImageBuilder: makes the bytes of a cache device, whole or damaged, without the library's help.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "sim/bytes.hpp"
#include "sim/random.hpp"
#include "writecache/superblock.hpp"
#include "writecache/units.hpp"

namespace wc::sim {

/// Builds an image step by step:
///
///   const Bytes image = ImageBuilder(4096, 16).seq_count(7)
///                           .entry(0, 800, 3)    // live: committed, origin sector 800
///                           .entry(5, 800, 2)    // stale
///                           .entry(6, 808, 7)    // uncommitted
///                           .build();
///
/// The constructor fixes where entries and data lie; the setters of the superblock change only the
/// numbers that are stored, so that any of them may lie. Entries that were not set are free. The block
/// of an entry that was set holds `pattern(content_tag(index, sector, seq))` unless block() says
/// otherwise; blocks of free entries hold pattern(kFreeBlockTag + index).
class ImageBuilder {
 public:
  explicit ImageBuilder(std::uint32_t block_bytes = 4096, std::uint64_t n_blocks = 16);

  ImageBuilder& magic(std::uint32_t value);
  ImageBuilder& version(std::uint32_t value);
  ImageBuilder& block_size(std::uint32_t value);
  ImageBuilder& pad(std::uint32_t value);
  ImageBuilder& n_blocks(std::uint64_t value);
  ImageBuilder& seq_count(Sequence value);
  /// Byte `at` (0 to 31) of the padding.
  ImageBuilder& padding(std::size_t at, std::byte value);
  /// The whole superblock at once.
  ImageBuilder& superblock(const Superblock& value);

  ImageBuilder& entry(BlockIndex index, Sector sector, Sequence seq);
  /// A free entry that still names a sector, as a freed one does.
  ImageBuilder& freed_entry(BlockIndex index, Sector sector);
  /// The content of a data block: block_bytes() bytes.
  ImageBuilder& block(BlockIndex index, Bytes content);
  /// Overwrites bytes of the finished image: damage of any kind. Applied last, in order.
  ImageBuilder& bytes_at(std::uint64_t offset_bytes, Bytes content);
  /// Bytes behind the last block, zeros. Default 0.
  ImageBuilder& spare_bytes(std::uint64_t count);

  std::uint32_t block_bytes() const noexcept { return block_bytes_; }
  std::uint32_t sectors_per_block() const noexcept { return block_bytes_ / kSectorBytes; }
  std::uint64_t block_count() const noexcept { return n_blocks_; }
  std::uint64_t data_offset_bytes() const noexcept;
  std::uint64_t entry_offset_bytes(BlockIndex index) const noexcept { return 64 + 16 * index; }
  std::uint64_t block_offset_bytes(BlockIndex index) const noexcept {
    return data_offset_bytes() + index * block_bytes_;
  }

  Bytes build() const;

  static constexpr std::uint64_t kFreeBlockTag = 0xf4ee'0000'0000'0000U;
  /// Names the content of a block that was written with this entry.
  static std::uint64_t content_tag(BlockIndex index, Sector sector, Sequence seq) noexcept {
    return mix_bits(sector ^ (seq << 20) ^ (index << 44));
  }

 private:
  std::uint32_t block_bytes_;
  std::uint64_t n_blocks_;
  std::uint64_t spare_bytes_ = 0;
  Superblock superblock_;
  std::map<BlockIndex, Entry> entries_;
  std::map<BlockIndex, Bytes> blocks_;
  std::vector<std::pair<std::uint64_t, Bytes>> patches_;
};

/// An origin whose every sector can be recognised. Units: 512-byte sectors.
Bytes make_origin(Sector sectors);

/// What random_image() puts in. Chances are "one in n"; 0 means never.
struct RandomImageOptions {
  std::uint32_t block_bytes = 4096;
  std::uint64_t n_blocks = 16;
  Sector origin_sectors = 1024;
  Sequence seq_count = 40;
  unsigned free_one_in = 3;
  unsigned stale_one_in = 5;
  unsigned uncommitted_one_in = 8;
  unsigned future_one_in = 0;
  unsigned misaligned_one_in = 0;
  unsigned beyond_origin_one_in = 0;
  unsigned identical_one_in = 0;  ///< a second entry of equal sector and sequence; data differ
};

/// A cache with seeded entries. Committed entries of one sector have different sequences unless
/// `identical_one_in` asks for it.
ImageBuilder random_image(Random& random, const RandomImageOptions& options);

}  // namespace wc::sim
