// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/index/age_list.hpp: order and times, however blocks leave.
#include "index/age_list.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <optional>

#include "sim/random.hpp"

namespace {

using wc::index::AgeList;
using wc::index::EntryTable;
using wc::index::Flag;
using wc::index::kNoSlot;
using wc::index::Slot;

TEST(AgeList, BeginsWithTheOldest) {
  EntryTable table(8);
  AgeList list(table, 0);
  for (const Slot slot : {5U, 2U, 7U})
    list.push(slot, 10);
  EXPECT_EQ(list.oldest(), 5U);
  EXPECT_EQ(list.younger(5), 2U);
  list.remove(2);
  EXPECT_EQ(list.younger(5), 7U);
  list.remove(5);
  list.remove(7);
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.oldest(), kNoSlot);
  EXPECT_FALSE(list.oldest_time_ns().has_value());
}

TEST(AgeList, KnowsTheTimeOfTheOldestToOneInterval) {
  constexpr std::uint64_t kInterval = 100;
  constexpr Slot kSlots = 300;
  wc::sim::Random random(9);
  EntryTable table(kSlots);
  AgeList list(table, kInterval);
  struct Member {
    Slot slot;
    std::uint64_t time;
  };
  std::deque<Member> expected;
  std::deque<Slot> unused;
  for (Slot slot = 0; slot < kSlots; ++slot)
    unused.push_back(slot);
  std::uint64_t now = 1000;
  for (int i = 0; i < 20'000; ++i) {
    now += random.below(40);
    if (!unused.empty() && random.below(5) < 3) {
      list.push(unused.front(), now);
      expected.push_back({unused.front(), now});
      unused.pop_front();
    } else if (!expected.empty()) {
      // Mostly old ones, as writeback takes them, at times any.
      const auto at = random.one_in(3) ? random.below(expected.size()) : 0;
      list.remove(expected[at].slot);
      EXPECT_FALSE(table.has(expected[at].slot, Flag::first_of_age));
      unused.push_back(expected[at].slot);
      expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(at));
    }
    ASSERT_EQ(list.size(), expected.size());
    if (expected.empty()) continue;
    ASSERT_EQ(list.oldest(), expected.front().slot);
    const auto time = list.oldest_time_ns();
    ASSERT_TRUE(time.has_value());
    ASSERT_LE(*time, expected.front().time);
    // More groups than are kept: then the oldest ones are taken for older than they are.
    if (now - expected.front().time < 10 * kInterval) {
      ASSERT_GE(*time + kInterval, expected.front().time);
    }
  }
}

}  // namespace
