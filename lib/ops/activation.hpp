// SPDX-License-Identifier: LGPL-2.1-or-later
// What the kernel driver does with a superblock when a table is loaded: its checks, in its order.
#pragma once

#include <cstdint>
#include <optional>

#include "writecache/check.hpp"

namespace wc::ops {

/// The driver's words, as users search for them.
namespace driver {
inline constexpr const char* kInvalidBlockSize = "Invalid block size";
inline constexpr const char* kInvalidDeviceSize = "Invalid device size";
inline constexpr const char* kInvalidMagic = "Invalid magic in the superblock";
inline constexpr const char* kInvalidVersion = "Invalid version in the superblock";
inline constexpr const char* kBlockSizeMismatch = "Block size does not match superblock";
inline constexpr const char* kOverflow = "Overflow in size calculation";
inline constexpr const char* kAreaTooSmall = "Memory area is too small";
inline constexpr const char* kNoMemory = "Cannot allocate memory";
}  // namespace driver

/// How the stored number of blocks fails, in the driver's arithmetic.
enum class BlockCountFault : std::uint8_t { none, zero, overflow, too_large };
BlockCountFault block_count_fault(std::uint64_t n_blocks, std::uint32_t block_bytes,
                                  std::uint64_t area_bytes) noexcept;

/// Prediction from the superblock alone; frees_entries is for who knows the entries.
/// `table_block_bytes`: what the table line says; nothing: what the superblock says, if that can be a block size.
/// Source: doc/format.md, activation.
Activation predict_activation(const std::optional<Superblock>& superblock, std::uint64_t area_bytes,
                              std::optional<std::uint32_t> table_block_bytes, std::uint32_t page_bytes);

}  // namespace wc::ops
