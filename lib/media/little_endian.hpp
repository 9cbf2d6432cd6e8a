// SPDX-License-Identifier: LGPL-2.1-or-later
// Loads and stores of the medium's little-endian integers, at any alignment.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace wc::media {

template <class T>
constexpr T byte_swapped(T value) noexcept {
  if constexpr (sizeof(T) == 8) {
    return __builtin_bswap64(value);
  } else {
    static_assert(sizeof(T) == 4);
    return __builtin_bswap32(value);
  }
}

template <class T>
inline T load_le(const std::byte* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  if constexpr (std::endian::native == std::endian::big) value = byte_swapped(value);
  return value;
}

template <class T>
inline void store_le(std::byte* to, T value) noexcept {
  if constexpr (std::endian::native == std::endian::big) value = byte_swapped(value);
  std::memcpy(to, &value, sizeof value);
}

}  // namespace wc::media
