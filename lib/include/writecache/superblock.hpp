// SPDX-License-Identifier: LGPL-2.1-or-later
// The values on the medium: superblock, entries, geometry and the states an entry can have.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "writecache/api.hpp"
#include "writecache/result.hpp"
#include "writecache/units.hpp"

namespace wc {

inline constexpr std::uint32_t kMagic = 0x23489321;
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::uint32_t kSuperblockBytes = 64;  ///< entries begin right behind
inline constexpr std::uint32_t kEntryBytes = 16;
inline constexpr std::uint32_t kMinBlockBytes = 512;
inline constexpr std::uint32_t kMaxBlockBytes = 65536;  ///< largest page size of any machine
inline constexpr Sequence kFreeSequence = ~std::uint64_t{0};
/// Exclusive bound of n_blocks. Source: doc/format.md, capacity.
inline constexpr std::uint64_t kMaxBlocks = std::uint64_t{1} << 47;
/// Sectors at and above this lie beyond 2^63 bytes and cannot exist on Linux.
inline constexpr Sector kSectorLimit = std::uint64_t{1} << 54;

/// The superblock as it stands on the medium; any field may hold any number.
/// Source: doc/format.md, superblock.
struct Superblock {
  std::uint32_t magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint32_t block_size = 0;  ///< bytes, a power of two from 512 to the page size
  std::uint32_t pad = 0;         ///< 0; the driver never reads it
  std::uint64_t n_blocks = 0;    ///< 1 to 2^47 - 1
  Sequence seq_count = 0;        ///< S: entries below are committed
  std::array<std::byte, 32> padding{};  ///< zeros; the driver never reads them

  /// True if `pad` or `padding` holds anything but zeros.
  WC_API bool has_nonzero_padding() const noexcept;
};

/// One 16-byte entry: cache block i holds the origin's block at `original_sector`.
struct Entry {
  Sector original_sector = kFreeSequence;  ///< meaningless while the entry is free
  Sequence seq_count = kFreeSequence;
};

/// What one entry means under a given superblock.
enum class EntryState : std::uint8_t {
  live,         ///< committed, and the newest of its sector
  stale,        ///< committed, but another entry of the same sector supersedes it
  uncommitted,  ///< seq = S: written since the last commit
  future,       ///< S < seq < free: no healthy driver leaves one
  free,         ///< seq = kFreeSequence
};

/// The field's word for a state: "live", "stale", ...
WC_API const char* to_string(EntryState state) noexcept;

/// Where entries and data lie. Only valid values exist: make one with `make_geometry`.
struct Geometry {
  std::uint32_t block_bytes = 0;
  std::uint64_t n_blocks = 0;
  std::uint64_t data_offset_bytes = 0;  ///< start of block 0, a multiple of block_bytes

  std::uint32_t sectors_per_block() const noexcept { return block_bytes >> kSectorShift; }
  /// Superblock and entries, without the gap in front of the data.
  std::uint64_t metadata_bytes() const noexcept { return kSuperblockBytes + kEntryBytes * n_blocks; }
  std::uint64_t end_bytes() const noexcept { return data_offset_bytes + n_blocks * block_bytes; }
  static std::uint64_t entry_offset_bytes(BlockIndex index) noexcept {
    return kSuperblockBytes + kEntryBytes * index;
  }
  std::uint64_t block_offset_bytes(BlockIndex index) const noexcept {
    return data_offset_bytes + index * block_bytes;
  }
};

/// Power of two from 512 to 65536.
constexpr bool is_valid_block_size(std::uint64_t bytes) noexcept {
  return is_power_of_two(bytes) && bytes >= kMinBlockBytes && bytes <= kMaxBlockBytes;
}

/// How many blocks fit in an area, computed as the driver does.
/// Units: both arguments in bytes. Errors: invalid_argument (block size), no_space (not even one
/// block fits, or the count would reach 2^47).
/// Source: doc/format.md, capacity.
WC_API Result<std::uint64_t> capacity_blocks(std::uint64_t area_bytes, std::uint32_t block_bytes);

/// Geometry for exactly `n_blocks`. Errors: invalid_argument (block size, zero or too many blocks),
/// no_space (metadata and data exceed `area_bytes`).
WC_API Result<Geometry> make_geometry(std::uint64_t area_bytes, std::uint32_t block_bytes,
                                      std::uint64_t n_blocks);

}  // namespace wc
