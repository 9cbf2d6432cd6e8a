// SPDX-License-Identifier: LGPL-2.1-or-later
// FreeList: the blocks that may be handed out, in the order of the cache's type.
#pragma once

#include <cstdint>

#include "index/entry_table.hpp"
#include "index/slot_list.hpp"
#include "index/slot_set.hpp"

namespace wc::index {

enum class FreeOrder : std::uint8_t {
  ascending,  ///< type s: by index, round robin, so that sequential writes stay sequential
  fifo,       ///< type p: those that were free at the start by index, then first freed first
};

class FreeList {
 public:
  FreeList(EntryTable& table, FreeOrder order) : table_(table), order_(order), set_(table.slot_count()) {}

  std::uint64_t size() const noexcept { return set_size_ + queue_.size(); }
  bool empty() const noexcept { return size() == 0; }
  /// Memory besides the table's.
  std::uint64_t size_bytes() const noexcept { return set_.size_bytes(); }

  /// Before the first take(): a block that is free from the start.
  void add_initial(Slot slot) noexcept {
    if (set_size_ == 0) next_ = slot;
    insert(slot);
  }
  void add(Slot slot) noexcept;
  /// Ascending order begins anew with the lowest one.
  void rewind() noexcept { next_ = set_size_ == 0 ? kNoSlot : set_.first_from(0); }
  /// The next block in order, or kNoSlot.
  Slot take() noexcept;
  /// The next block in order if it is this one. Else nothing is taken.
  bool take_if_next(Slot slot) noexcept;

 private:
  void insert(Slot slot) noexcept {
    set_.insert(slot);
    ++set_size_;
  }

  EntryTable& table_;
  FreeOrder order_;
  SlotSet set_;
  std::uint64_t set_size_ = 0;
  Slot next_ = kNoSlot;  ///< the member of set_ that is handed out next
  SlotList queue_;       ///< fifo: freed since the start
};

}  // namespace wc::index
