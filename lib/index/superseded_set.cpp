// SPDX-License-Identifier: LGPL-2.1-or-later
// SupersededSet: a list of indexes that becomes a window of bits.
#include "index/superseded_set.hpp"

#include <algorithm>
#include <bit>

#include "reached.hpp"

namespace wc::index {

// A third of the memory for the list, two thirds for the bits: both exist while one becomes the other.
SupersededSet::SupersededSet(std::uint64_t memory_bytes, BlockIndex index_count)
    : list_max_(std::max<std::uint64_t>(64, memory_bytes / 3 / sizeof(BlockIndex))),
      bits_max_(std::max<std::uint64_t>(64, round_down(memory_bytes / 2 * 8, 64))),
      index_count_(index_count),
      end_(index_count) {}

void SupersededSet::restart(BlockIndex begin) {
  list_.clear();
  bits_.clear();
  begin_ = begin;
  end_ = index_count_;
}

void SupersededSet::add(BlockIndex index) {
  if (index < begin_ || index >= end_) return;
  if (bits_.empty()) {
    if (list_.size() < list_max_) {
      // Grown by hand: a doubling vector would hold the old and the new list at once.
      if (list_.size() == list_.capacity()) {
        list_.reserve(std::min(list_max_, std::max<std::size_t>(64, list_.size() + list_.size() / 2)));
      }
      list_.push_back(index);
      return;
    }
    list_to_bits();
    if (index >= end_) return;
  }
  const std::uint64_t bit = index - begin_;
  bits_[bit / 64] |= std::uint64_t{1} << (bit % 64);
}

void SupersededSet::list_to_bits() {
  WC_REACHED("superseded set: list became a window of bits");
  end_ = std::min(index_count_, begin_ + bits_max_);
  bits_.assign((end_ - begin_) / 64 + 1, 0);
  for (const BlockIndex index : list_) {
    if (index >= end_) continue;
    const std::uint64_t bit = index - begin_;
    bits_[bit / 64] |= std::uint64_t{1} << (bit % 64);
  }
  list_ = {};
}

void SupersededSet::finish() { std::sort(list_.begin(), list_.end()); }

bool SupersededSet::copy_bits(BlockIndex first, std::size_t count,
                              std::span<std::uint64_t> bits) const {
  bool any = false;
  const auto set = [&](BlockIndex index) {
    const std::uint64_t bit = index - first;
    bits[bit / 64] |= std::uint64_t{1} << (bit % 64);
    any = true;
  };
  if (bits_.empty()) {
    for (auto it = std::lower_bound(list_.begin(), list_.end(), first);
         it != list_.end() && *it < first + count; ++it) {
      set(*it);
    }
    return any;
  }
  const BlockIndex from = std::max(first, begin_);
  const BlockIndex to = std::min(first + count, end_);
  for (BlockIndex index = from; index < to;) {
    const std::uint64_t bit = index - begin_;
    std::uint64_t word = bits_[bit / 64] >> (bit % 64);
    const BlockIndex word_end = std::min(to, index + (64 - bit % 64));
    while (word != 0) {
      const BlockIndex member = index + static_cast<unsigned>(std::countr_zero(word));
      if (member >= word_end) break;
      set(member);
      word &= word - 1;
    }
    index = word_end;
  }
  return any;
}

}  // namespace wc::index
