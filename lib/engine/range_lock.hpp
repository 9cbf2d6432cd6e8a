// SPDX-License-Identifier: LGPL-2.1-or-later
// RangeLock: operations on overlapping blocks run one after the other, in the order in which they came.
#pragma once

#include <array>
#include <cstdint>

#include "engine/operation.hpp"

namespace wc::engine {

/// Reads share, writes and discards do not. Nobody overtakes a waiting operation that conflicts with it.
class RangeLock {
 public:
  /// Enters an operation, which then holds its range or waits for it. Returns true if it holds it.
  bool enter(Operation& operation);
  /// Lets it go. Those that hold their range now are put into `ready`.
  void leave(Operation& operation, Queue<Operation>& ready);

 private:
  // Counts of operations by region of the device: all zero means that nothing overlaps, without a search.
  static constexpr unsigned kRegionShift = 5;
  static constexpr std::size_t kRegions = 4096;
  static constexpr std::uint64_t kNarrowRegions = 16;

  static bool is_narrow(const Operation& operation) noexcept {
    return (operation.end_block >> kRegionShift) - (operation.first_block >> kRegionShift) < kNarrowRegions;
  }
  template <class Visit>
  static void each_region(const Operation& operation, Visit visit) {
    for (std::uint64_t region = operation.first_block >> kRegionShift;
         region <= (operation.end_block - 1) >> kRegionShift; ++region) {
      visit(static_cast<std::size_t>(index::mixed(region) % kRegions));
    }
  }
  bool may_overlap(const Operation& operation) const;
  /// The last conflicting operation in front of this one, or null.
  static Operation* conflict(const Operation& operation) noexcept;
  void count(const Operation& operation, std::uint32_t change);

  std::array<std::uint32_t, kRegions> regions_{};
  std::uint32_t wide_count_ = 0;
  std::uint32_t waiting_count_ = 0;
  Operation* oldest_ = nullptr;
  Operation* newest_ = nullptr;
};

}  // namespace wc::engine
