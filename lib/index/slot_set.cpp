// SPDX-License-Identifier: LGPL-2.1-or-later
// SlotSet: a tree of 64-bit words.
#include "index/slot_set.hpp"

#include <bit>
#include <cstddef>

namespace wc::index {

SlotSet::SlotSet(std::uint64_t slot_count) {
  std::uint64_t words = slot_count;
  do {
    words = words / 64 + 1;
    levels_.emplace_back(words, 0U);
  } while (words > 1);
}

void SlotSet::insert(Slot slot) noexcept {
  std::uint64_t bit = slot;
  for (auto& level : levels_) {
    std::uint64_t& word = level[bit / 64];
    const bool was_empty = word == 0;
    word |= std::uint64_t{1} << (bit % 64);
    if (!was_empty) return;
    bit /= 64;
  }
}

void SlotSet::erase(Slot slot) noexcept {
  std::uint64_t bit = slot;
  for (auto& level : levels_) {
    std::uint64_t& word = level[bit / 64];
    word &= ~(std::uint64_t{1} << (bit % 64));
    if (word != 0) return;
    bit /= 64;
  }
}

Slot SlotSet::first_from(std::uint64_t slot) const noexcept {
  std::uint64_t bit = slot;
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    if (bit / 64 >= levels_[level].size()) return kNoSlot;
    std::uint64_t word = levels_[level][bit / 64] & (~std::uint64_t{0} << (bit % 64));
    if (word == 0) {
      bit = bit / 64 + 1;  // the next word, looked for one level up
      continue;
    }
    bit = bit / 64 * 64 + static_cast<unsigned>(std::countr_zero(word));
    for (; level > 0; --level) {
      word = levels_[level - 1][bit];
      bit = bit * 64 + static_cast<unsigned>(std::countr_zero(word));
    }
    return static_cast<Slot>(bit);
  }
  return kNoSlot;
}

std::uint64_t SlotSet::size_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& level : levels_)
    bytes += level.size() * sizeof(level[0]);
  return bytes;
}

}  // namespace wc::index
