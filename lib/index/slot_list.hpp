// SPDX-License-Identifier: LGPL-2.1-or-later
// SlotList: a list of entries through the links that the table keeps for them; an entry is in one list at most.
#pragma once

#include <cstdint>

#include "index/entry_table.hpp"

namespace wc::index {

/// The oldest end is the front. The caller knows which list an entry is in.
class SlotList {
 public:
  bool empty() const noexcept { return size_ == 0; }
  std::uint64_t size() const noexcept { return size_; }
  Slot front() const noexcept { return oldest_ - 1; }
  Slot back() const noexcept { return newest_ - 1; }
  /// The next one towards the back, or kNoSlot.
  static Slot newer(const EntryTable& table, Slot slot) noexcept { return table.records_[slot].newer - 1; }

  void push_back(EntryTable& table, Slot slot) noexcept {
    table.records_[slot].newer = 0;
    table.records_[slot].older = newest_;
    if (newest_ != 0) table.records_[newest_ - 1].newer = slot + 1;
    newest_ = slot + 1;
    if (oldest_ == 0) oldest_ = slot + 1;
    ++size_;
  }
  void remove(EntryTable& table, Slot slot) noexcept {
    const EntryTable::Record& links = table.records_[slot];
    if (links.newer != 0) {
      table.records_[links.newer - 1].older = links.older;
    } else {
      newest_ = links.older;
    }
    if (links.older != 0) {
      table.records_[links.older - 1].newer = links.newer;
    } else {
      oldest_ = links.newer;
    }
    --size_;
  }
  /// The front, taken out; kNoSlot if there is none.
  Slot pop_front(EntryTable& table) noexcept {
    const Slot slot = front();
    if (slot != kNoSlot) remove(table, slot);
    return slot;
  }

 private:
  std::uint32_t oldest_ = 0;  // plus one
  std::uint32_t newest_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace wc::index
