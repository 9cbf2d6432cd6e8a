// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/index/free_list.hpp and slot_set.hpp: the order in which blocks are handed out.
#include "index/free_list.hpp"

#include <gtest/gtest.h>

#include <set>

#include "index/slot_set.hpp"
#include "sim/random.hpp"

namespace {

using wc::index::EntryTable;
using wc::index::FreeList;
using wc::index::FreeOrder;
using wc::index::kNoSlot;
using wc::index::Slot;
using wc::index::SlotSet;

TEST(SlotSet, FindsTheFirstMemberFromAnyPlaceAsASetDoes) {
  constexpr Slot kSlots = 20'000;  // three levels
  wc::sim::Random random(1);
  SlotSet set(kSlots);
  std::set<Slot> expected;
  for (int i = 0; i < 30'000; ++i) {
    // Sparse at times, so that the upper levels matter.
    const auto slot = static_cast<Slot>(random.below(kSlots));
    if (expected.size() < 40 && random.one_in(2)) {
      set.insert(slot);
      expected.insert(slot);
    } else if (!expected.empty()) {
      const Slot member = *expected.begin();
      set.erase(member);
      expected.erase(member);
    }
    const auto from = static_cast<Slot>(random.below(kSlots));
    const auto found = expected.lower_bound(from);
    ASSERT_EQ(set.first_from(from), found == expected.end() ? kNoSlot : *found);
    ASSERT_EQ(set.contains(slot), expected.count(slot) != 0);
  }
}

TEST(SlotSet, HoldsTheLastSlotOfEverySize) {
  for (const Slot count : {1U, 63U, 64U, 65U, 4095U, 4096U, 4097U}) {
    SlotSet set(count);
    set.insert(count - 1);
    EXPECT_EQ(set.first_from(0), count - 1) << count;
    EXPECT_EQ(set.first_from(count), kNoSlot) << count;
  }
}

TEST(FreeList, AscendsAndGoesRound) {
  EntryTable table(8);
  FreeList list(table, FreeOrder::ascending);
  for (const Slot slot : {1U, 3U, 6U})
    list.add_initial(slot);
  EXPECT_EQ(list.take(), 1U);
  EXPECT_EQ(list.take(), 3U);
  list.add(2);  // behind the hand: only the next round comes to it
  list.add(7);
  EXPECT_EQ(list.take(), 6U);
  EXPECT_EQ(list.take(), 7U);
  EXPECT_EQ(list.take(), 2U);
  EXPECT_EQ(list.take(), kNoSlot);
  list.add(5);
  EXPECT_EQ(list.take(), 5U);
}

TEST(FreeList, FifoBeginsWithTheInitialOnesAndGoesOnWithThoseFreedFirst) {
  EntryTable table(8);
  FreeList list(table, FreeOrder::fifo);
  list.add_initial(4);
  list.add_initial(6);
  list.add(5);
  list.add(0);
  EXPECT_EQ(list.size(), 4U);
  EXPECT_EQ(list.take(), 4U);
  EXPECT_EQ(list.take(), 6U);
  list.add(4);
  EXPECT_EQ(list.take(), 5U);
  EXPECT_EQ(list.take(), 0U);
  EXPECT_EQ(list.take(), 4U);
  EXPECT_EQ(list.take(), kNoSlot);
}

TEST(FreeList, TakesANeighbourOnlyIfItIsNext) {
  for (const FreeOrder order : {FreeOrder::ascending, FreeOrder::fifo}) {
    EntryTable table(8);
    FreeList list(table, order);
    list.add_initial(2);
    list.add_initial(3);
    EXPECT_FALSE(list.take_if_next(3));
    EXPECT_EQ(list.take(), 2U);
    EXPECT_TRUE(list.take_if_next(3));
    EXPECT_FALSE(list.take_if_next(3));
    EXPECT_TRUE(list.empty());
  }
}

}  // namespace
