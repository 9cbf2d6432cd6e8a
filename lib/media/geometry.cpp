// SPDX-License-Identifier: LGPL-2.1-or-later
// Geometry: how many blocks fit and where the data begin, with the driver's own arithmetic.
#include <string>

#include "writecache/superblock.hpp"

namespace wc {
namespace {

Error bad_block_size(std::uint64_t bytes) {
  return {ErrorCode::invalid_argument, 0, 0,
          "block size " + std::to_string(bytes) + " is not a power of two from 512 to 65536"};
}

std::uint64_t data_offset_bytes(std::uint64_t n_blocks, std::uint32_t block_bytes) noexcept {
  return round_up(kSuperblockBytes + kEntryBytes * n_blocks, block_bytes);
}

// n_blocks < 2^47 and block_bytes <= 2^16, so nothing here can overflow.
bool fits(std::uint64_t area_bytes, std::uint32_t block_bytes, std::uint64_t n_blocks) noexcept {
  return data_offset_bytes(n_blocks, block_bytes) + n_blocks * block_bytes <= area_bytes;
}

}  // namespace

Result<std::uint64_t> capacity_blocks(std::uint64_t area_bytes, std::uint32_t block_bytes) {
  if (!is_valid_block_size(block_bytes)) return bad_block_size(block_bytes);
  std::uint64_t n_blocks = area_bytes / (block_bytes + kEntryBytes);
  if (n_blocks >= kMaxBlocks) {
    return Error{ErrorCode::no_space, 0, 0, "the area would hold 2^47 blocks or more"};
  }
  while (n_blocks > 0 && !fits(area_bytes, block_bytes, n_blocks)) --n_blocks;
  if (n_blocks == 0) {
    return Error{ErrorCode::no_space, 0, 0,
                 "an area of " + std::to_string(area_bytes) + " bytes cannot hold one block of " +
                     std::to_string(block_bytes) + " bytes and its metadata"};
  }
  return n_blocks;
}

Result<Geometry> make_geometry(std::uint64_t area_bytes, std::uint32_t block_bytes,
                               std::uint64_t n_blocks) {
  if (!is_valid_block_size(block_bytes)) return bad_block_size(block_bytes);
  if (n_blocks == 0 || n_blocks >= kMaxBlocks) {
    return Error{ErrorCode::invalid_argument, 0, 0,
                 "number of blocks " + std::to_string(n_blocks) + " is not from 1 to 2^47 - 1"};
  }
  if (!fits(area_bytes, block_bytes, n_blocks)) {
    return Error{ErrorCode::no_space, 0, 0,
                 std::to_string(n_blocks) + " blocks of " + std::to_string(block_bytes) +
                     " bytes do not fit in an area of " + std::to_string(area_bytes) + " bytes"};
  }
  return Geometry{block_bytes, n_blocks, data_offset_bytes(n_blocks, block_bytes)};
}

}  // namespace wc
