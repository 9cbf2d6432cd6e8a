// SPDX-License-Identifier: LGPL-2.1-or-later
// SlotSet: a set of slots as bits, with words above them that say where bits are.
#pragma once

#include <cstdint>
#include <vector>

#include "index/entry_table.hpp"

namespace wc::index {

/// All operations take a few steps, however large the set and however sparse.
class SlotSet {
 public:
  explicit SlotSet(std::uint64_t slot_count);

  void insert(Slot slot) noexcept;
  void erase(Slot slot) noexcept;
  bool contains(Slot slot) const noexcept { return (levels_[0][slot / 64] >> (slot % 64) & 1U) != 0; }
  /// The first member at or behind `slot`, or kNoSlot.
  Slot first_from(std::uint64_t slot) const noexcept;
  std::uint64_t size_bytes() const noexcept;

 private:
  std::vector<std::vector<std::uint64_t>> levels_;  // [0] the bits; each bit above: a word below that is not zero
};

}  // namespace wc::index
