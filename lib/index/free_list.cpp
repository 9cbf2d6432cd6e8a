// SPDX-License-Identifier: LGPL-2.1-or-later
// FreeList: a set with a hand that goes round, and a queue behind it.
#include "index/free_list.hpp"

namespace wc::index {

void FreeList::add(Slot slot) noexcept {
  if (order_ == FreeOrder::fifo) {
    queue_.push_back(table_, slot);
    return;
  }
  if (set_size_ == 0) next_ = slot;
  insert(slot);
}

Slot FreeList::take() noexcept {
  if (set_size_ == 0) return queue_.pop_front(table_);
  const Slot slot = next_;
  set_.erase(slot);
  --set_size_;
  next_ = set_.first_from(std::uint64_t{slot} + 1);
  if (next_ == kNoSlot) next_ = set_.first_from(0);
  return slot;
}

bool FreeList::take_if_next(Slot slot) noexcept {
  const Slot next = set_size_ != 0 ? next_ : queue_.front();
  if (empty() || next != slot) return false;
  take();
  return true;
}

}  // namespace wc::index
