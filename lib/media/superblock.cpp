// SPDX-License-Identifier: LGPL-2.1-or-later
// Superblock: bytes to values and back.
#include "media/superblock.hpp"

#include <algorithm>
#include <cstring>

#include "media/little_endian.hpp"

namespace wc {

bool Superblock::has_nonzero_padding() const noexcept {
  return pad != 0 ||
         std::any_of(padding.begin(), padding.end(), [](std::byte b) { return b != std::byte{0}; });
}

const char* to_string(EntryState state) noexcept {
  switch (state) {
    case EntryState::live: return "live";
    case EntryState::stale: return "stale";
    case EntryState::uncommitted: return "uncommitted";
    case EntryState::future: return "future";
    case EntryState::free: return "free";
  }
  return "unknown";
}

namespace media {
namespace {

// Field offsets of doc/format.md; tests/unit/media/superblock_test.cpp holds them against bytes.
constexpr std::size_t kMagicOffset = 0;
constexpr std::size_t kVersionOffset = 4;
constexpr std::size_t kBlockSizeOffset = 8;
constexpr std::size_t kPadOffset = 12;
constexpr std::size_t kBlockCountOffset = 16;
constexpr std::size_t kSequenceOffset = 24;
constexpr std::size_t kPaddingOffset = 32;

}  // namespace

Superblock decode_superblock(std::span<const std::byte, kSuperblockBytes> raw) noexcept {
  Superblock out;
  out.magic = load_le<std::uint32_t>(&raw[kMagicOffset]);
  out.version = load_le<std::uint32_t>(&raw[kVersionOffset]);
  out.block_size = load_le<std::uint32_t>(&raw[kBlockSizeOffset]);
  out.pad = load_le<std::uint32_t>(&raw[kPadOffset]);
  out.n_blocks = load_le<std::uint64_t>(&raw[kBlockCountOffset]);
  out.seq_count = load_le<std::uint64_t>(&raw[kSequenceOffset]);
  std::memcpy(out.padding.data(), &raw[kPaddingOffset], out.padding.size());
  return out;
}

void encode_superblock(const Superblock& superblock,
                       std::span<std::byte, kSuperblockBytes> raw) noexcept {
  store_le(&raw[kMagicOffset], superblock.magic);
  store_le(&raw[kVersionOffset], superblock.version);
  store_le(&raw[kBlockSizeOffset], superblock.block_size);
  store_le(&raw[kPadOffset], superblock.pad);
  store_le(&raw[kBlockCountOffset], superblock.n_blocks);
  store_le(&raw[kSequenceOffset], superblock.seq_count);
  std::memcpy(&raw[kPaddingOffset], superblock.padding.data(), superblock.padding.size());
}

}  // namespace media
}  // namespace wc
