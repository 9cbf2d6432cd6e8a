// SPDX-License-Identifier: LGPL-2.1-or-later
// What the kernel driver does with a superblock when a table is loaded.
#include "ops/activation.hpp"

namespace wc::ops {
namespace {

Activation refuses(const char* message) { return {Activation::Outcome::refuses, message, 0}; }

bool driver_accepts(std::uint32_t block_bytes, std::uint32_t page_bytes) noexcept {
  return is_valid_block_size(block_bytes) && block_bytes <= page_bytes;
}

}  // namespace

BlockCountFault block_count_fault(std::uint64_t n_blocks, std::uint32_t block_bytes,
                                  std::uint64_t area_bytes) noexcept {
  if (n_blocks == 0) return BlockCountFault::zero;
  std::uint64_t data_bytes = 0;
  if (__builtin_mul_overflow(n_blocks, std::uint64_t{block_bytes}, &data_bytes)) {
    return BlockCountFault::overflow;
  }
  // With at least 512 bytes a block the entries cannot overflow where the data do not.
  const std::uint64_t data_offset = round_up(kSuperblockBytes + kEntryBytes * n_blocks, block_bytes);
  std::uint64_t end_bytes = 0;
  if (__builtin_add_overflow(data_bytes, data_offset, &end_bytes)) return BlockCountFault::overflow;
  return end_bytes > area_bytes ? BlockCountFault::too_large : BlockCountFault::none;
}

Activation predict_activation(const std::optional<Superblock>& superblock, std::uint64_t area_bytes,
                              std::optional<std::uint32_t> table_block_bytes,
                              std::uint32_t page_bytes) {
  const bool stored_is_possible = superblock && is_valid_block_size(superblock->block_size);
  const bool is_blank = superblock && superblock->magic == 0 && superblock->version == 0;
  const std::uint32_t table = table_block_bytes.value_or(
      stored_is_possible && !is_blank ? superblock->block_size : std::uint32_t{4096});
  if (!driver_accepts(table, page_bytes)) return refuses(driver::kInvalidBlockSize);
  if (!capacity_blocks(area_bytes, table) || !superblock) return refuses(driver::kInvalidDeviceSize);
  if (is_blank) return {Activation::Outcome::formats, "", 0};
  if (superblock->magic != kMagic) return refuses(driver::kInvalidMagic);
  if (superblock->version != kVersion) return refuses(driver::kInvalidVersion);
  if (superblock->block_size != table) return refuses(driver::kBlockSizeMismatch);
  switch (block_count_fault(superblock->n_blocks, table, area_bytes)) {
    case BlockCountFault::none: break;
    case BlockCountFault::zero: return refuses(driver::kNoMemory);
    case BlockCountFault::overflow: return refuses(driver::kOverflow);
    case BlockCountFault::too_large: return refuses(driver::kAreaTooSmall);
  }
  return {Activation::Outcome::loads, "", 0};
}

}  // namespace wc::ops
