// SPDX-License-Identifier: LGPL-2.1-or-later
// AgeList: the blocks in the order in which they were written, and roughly when.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "index/entry_table.hpp"
#include "index/slot_list.hpp"

namespace wc::index {

/// The time of a block is known to one interval: a time is kept for groups of blocks, not for each.
class AgeList {
 public:
  /// `interval_ns`: blocks pushed within it share a time. 0: times are not kept.
  AgeList(EntryTable& table, std::uint64_t interval_ns) : table_(table), interval_ns_(interval_ns) {}

  bool empty() const noexcept { return list_.empty(); }
  std::uint64_t size() const noexcept { return list_.size(); }
  Slot oldest() const noexcept { return list_.front(); }
  /// The next younger one, or kNoSlot.
  Slot younger(Slot slot) const noexcept { return SlotList::newer(table_, slot); }
  /// When the oldest block was pushed, or up to one interval before. Nothing if empty or not kept.
  std::optional<std::uint64_t> oldest_time_ns() const noexcept {
    if (group_count_ == 0) return std::nullopt;
    return groups_[0].time_ns;
  }

  /// A block that was written now; times never go back.
  void push(Slot slot, std::uint64_t now_ns) noexcept;
  void remove(Slot slot) noexcept;

 private:
  struct Group {
    std::uint64_t time_ns;
    Slot first;
  };
  static constexpr std::size_t kGroupsMax = 32;

  void begin_group(Slot slot, std::uint64_t now_ns) noexcept;
  void erase_group(std::size_t at) noexcept;
  void first_leaves(Slot slot) noexcept;

  EntryTable& table_;
  std::uint64_t interval_ns_;
  SlotList list_;
  std::array<Group, kGroupsMax> groups_{};  // oldest first
  std::size_t group_count_ = 0;
};

}  // namespace wc::index
