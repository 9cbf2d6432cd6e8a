// SPDX-License-Identifier: LGPL-2.1-or-later
// Random: the seeded source of every choice that the simulator and the tests make.
#pragma once

#include <cstdint>

namespace wc::sim {

/// Mixes the bits of one number; equal input gives equal output on every machine.
constexpr std::uint64_t mix_bits(std::uint64_t value) noexcept {
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

/// A small generator: the same seed gives the same numbers everywhere.
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) noexcept : state_(mix_bits(seed)) {}

  constexpr std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15U;
    return mix_bits(state_);
  }
  /// 0 to `bound` - 1; 0 where `bound` is 0.
  constexpr std::uint64_t below(std::uint64_t bound) noexcept { return bound == 0 ? 0 : next() % bound; }
  /// True with a chance of one in `n`.
  constexpr bool one_in(std::uint64_t n) noexcept { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

}  // namespace wc::sim
