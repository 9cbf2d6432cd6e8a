// SPDX-License-Identifier: LGPL-2.1-or-later
// SupersededSet: the indexes of superseded entries in bounded memory: a list while they are few, then
// one bit an entry for as large a window of indexes as fits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "writecache/units.hpp"

namespace wc::index {

/// Collects indexes of [begin, end). The end moves down when memory runs out: the caller collects the
/// rest in a later round with `restart(end())`.
class SupersededSet {
 public:
  explicit SupersededSet(std::uint64_t memory_bytes, BlockIndex index_count);

  /// Forgets everything; the window begins at `begin`, which is 0 or what end() was.
  void restart(BlockIndex begin);
  /// Adds an index, in any order, also again; those outside the window are ignored.
  void add(BlockIndex index);
  /// After the last add and before the first read.
  void finish();

  BlockIndex begin() const noexcept { return begin_; }
  BlockIndex end() const noexcept { return end_; }
  bool empty() const noexcept { return list_.empty() && bits_.empty(); }

  /// Sets bit i of `bits` for every member first + i, i < count; returns true if there was any.
  /// `bits` holds at least count / 64 + 1 zeroed words.
  bool copy_bits(BlockIndex first, std::size_t count, std::span<std::uint64_t> bits) const;

 private:
  void list_to_bits();

  std::size_t list_max_;
  std::uint64_t bits_max_;
  BlockIndex index_count_;
  BlockIndex begin_ = 0;
  BlockIndex end_;
  std::vector<BlockIndex> list_;
  std::vector<std::uint64_t> bits_;  ///< of [begin_, end_), once the list was too long
};

}  // namespace wc::index
