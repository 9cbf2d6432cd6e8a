// SPDX-License-Identifier: LGPL-2.1-or-later
// Little-endian access, patterns and hashes of byte vectors.
#include "sim/bytes.hpp"

#include <cstring>

#include "sim/random.hpp"

namespace wc::sim {
namespace {

std::uint64_t load_little(std::span<const std::byte> bytes, std::size_t offset, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = width; i-- > 0;) {
    value = (value << 8) | std::to_integer<std::uint64_t>(bytes.subspan(offset, width)[i]);
  }
  return value;
}

void store_little(std::span<std::byte> bytes, std::size_t offset, std::size_t width, std::uint64_t value) {
  const auto target = bytes.subspan(offset, width);
  for (auto& byte : target) {
    byte = static_cast<std::byte>(value & 0xff);
    value >>= 8;
  }
}

}  // namespace

std::uint32_t load_u32(std::span<const std::byte> bytes, std::size_t offset) {
  return static_cast<std::uint32_t>(load_little(bytes, offset, 4));
}

std::uint64_t load_u64(std::span<const std::byte> bytes, std::size_t offset) { return load_little(bytes, offset, 8); }

void store_u32(std::span<std::byte> bytes, std::size_t offset, std::uint32_t value) {
  store_little(bytes, offset, 4, value);
}

void store_u64(std::span<std::byte> bytes, std::size_t offset, std::uint64_t value) {
  store_little(bytes, offset, 8, value);
}

Bytes pattern(std::uint64_t tag, std::size_t size_bytes) {
  Bytes bytes((size_bytes + 15) / 16 * 16);
  for (std::size_t offset = 0; offset < bytes.size(); offset += 16) {
    store_u64(bytes, offset, tag);
    store_u64(bytes, offset + 8, offset);
  }
  bytes.resize(size_bytes);
  return bytes;
}

std::uint64_t hash_bytes(std::span<const std::byte> bytes) noexcept {
  std::uint64_t hash = bytes.size();
  std::size_t offset = 0;
  for (; offset + 8 <= bytes.size(); offset += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + offset, 8);
    hash = (hash ^ word) * 0x9fb21c651e98df25U;
    hash ^= hash >> 32;
  }
  for (; offset < bytes.size(); ++offset) {
    hash = (hash ^ std::to_integer<std::uint64_t>(bytes[offset])) * 0x9fb21c651e98df25U;
  }
  return mix_bits(hash);
}

}  // namespace wc::sim
