// SPDX-License-Identifier: LGPL-2.1-or-later
// Bytes: the plain byte vectors that tests pass around, with little-endian access and patterns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace wc::sim {

using Bytes = std::vector<std::byte>;

/// Little-endian integers at `offset`, which must lie inside.
std::uint32_t load_u32(std::span<const std::byte> bytes, std::size_t offset);
std::uint64_t load_u64(std::span<const std::byte> bytes, std::size_t offset);
void store_u32(std::span<std::byte> bytes, std::size_t offset, std::uint32_t value);
void store_u64(std::span<std::byte> bytes, std::size_t offset, std::uint64_t value);

/// Content that can be recognised: every 16 bytes hold `tag` and their own offset. Two different tags
/// differ in every sector.
Bytes pattern(std::uint64_t tag, std::size_t size_bytes);

/// A number that differs, in practice, for different contents.
std::uint64_t hash_bytes(std::span<const std::byte> bytes) noexcept;

}  // namespace wc::sim
