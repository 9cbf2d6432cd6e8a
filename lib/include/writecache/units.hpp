// SPDX-License-Identifier: LGPL-2.1-or-later
// The units of the format: sectors, block indexes, sequences, and their conversions.
#pragma once

#include <cstdint>

namespace wc {

using Sector = std::uint64_t;      ///< a position or length on a device in 512-byte sectors
using BlockIndex = std::uint64_t;  ///< number of a cache block and of its entry, from 0
using Sequence = std::uint64_t;    ///< counts commits; kFreeSequence marks a free entry

inline constexpr std::uint32_t kSectorBytes = 512;
inline constexpr unsigned kSectorShift = 9;

constexpr std::uint64_t bytes_of_sectors(Sector sectors) noexcept { return sectors << kSectorShift; }

/// Whole sectors in `bytes`; a trailing part of a sector is dropped.
constexpr Sector sectors_of_bytes(std::uint64_t bytes) noexcept { return bytes >> kSectorShift; }

/// `value` rounded up to a multiple of `step`, a power of two. Wraps beyond 2^64.
constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t step) noexcept {
  return (value + step - 1) & ~(step - 1);
}

/// `value` rounded down to a multiple of `step`, a power of two.
constexpr std::uint64_t round_down(std::uint64_t value, std::uint64_t step) noexcept {
  return value & ~(step - 1);
}

constexpr bool is_power_of_two(std::uint64_t value) noexcept {
  return value != 0 && (value & (value - 1)) == 0;
}

}  // namespace wc
