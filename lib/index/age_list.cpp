// SPDX-License-Identifier: LGPL-2.1-or-later
// AgeList: one list, and the first block of each group of equal time.
#include "index/age_list.hpp"

namespace wc::index {

void AgeList::push(Slot slot, std::uint64_t now_ns) noexcept {
  list_.push_back(table_, slot);
  table_.set(slot, Flag::aged);
  if (interval_ns_ == 0) return;
  if (group_count_ == 0 || now_ns - groups_[group_count_ - 1].time_ns >= interval_ns_) begin_group(slot, now_ns);
}

void AgeList::begin_group(Slot slot, std::uint64_t now_ns) noexcept {
  if (group_count_ == kGroupsMax) {
    // The two oldest become one with the older time: they are overdue anyway.
    table_.clear(groups_[1].first, Flag::first_of_age);
    erase_group(1);
  }
  groups_[group_count_++] = {now_ns, slot};
  table_.set(slot, Flag::first_of_age);
}

void AgeList::erase_group(std::size_t at) noexcept {
  for (std::size_t i = at + 1; i < group_count_; ++i)
    groups_[i - 1] = groups_[i];
  --group_count_;
}

void AgeList::remove(Slot slot) noexcept {
  if (table_.has(slot, Flag::first_of_age)) first_leaves(slot);
  list_.remove(table_, slot);
  table_.clear(slot, Flag::aged);
}

void AgeList::first_leaves(Slot slot) noexcept {
  table_.clear(slot, Flag::first_of_age);
  std::size_t at = 0;
  while (groups_[at].first != slot)
    ++at;
  const Slot next = younger(slot);
  if (next == kNoSlot || table_.has(next, Flag::first_of_age)) {
    erase_group(at);
    return;
  }
  groups_[at].first = next;
  table_.set(next, Flag::first_of_age);
}

}  // namespace wc::index
