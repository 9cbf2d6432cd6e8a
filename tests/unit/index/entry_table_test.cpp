// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/index/entry_table.hpp: finding the newest entry, flags, what may stand on the medium, memory.
#include "index/entry_table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "index/slot_set.hpp"
#include "sim/random.hpp"

namespace {

using wc::Sector;
using wc::index::EntryTable;
using wc::index::Flag;
using wc::index::kNoSlot;
using wc::index::Slot;
using wc::index::SlotSet;

TEST(EntryTable, AllEntriesAreFreeAtFirst) {
  const EntryTable table(100);
  for (Slot slot = 0; slot < 100; ++slot) {
    EXPECT_TRUE(table.is_free(slot));
    EXPECT_EQ(table.sequence(slot), wc::kFreeSequence);
  }
  EXPECT_EQ(table.find(0), kNoSlot);
}

TEST(EntryTable, FindsTheNewestOfASectorFirstAndTheOlderOnesBehindIt) {
  EntryTable table(10);
  table.insert(7, 80, 3);
  table.insert(2, 88, 4);
  table.insert(5, 80, 9);
  EXPECT_EQ(table.find(80), 5U);
  EXPECT_EQ(table.find_older(5), 7U);
  EXPECT_EQ(table.find_older(7), kNoSlot);
  table.remove(5);
  EXPECT_EQ(table.find(80), 7U);
  EXPECT_EQ(table.find(88), 2U);
}

TEST(EntryTable, DoesWhatAMapDoes) {
  wc::sim::Random random(3);
  EntryTable table(1000);
  std::multimap<Sector, Slot> expected;
  std::vector<Slot> free;
  std::vector<Slot> members;
  for (Slot slot = 0; slot < 1000; ++slot)
    free.push_back(slot);
  for (int i = 0; i < 50'000; ++i) {
    if (!free.empty() && (members.empty() || random.one_in(2))) {
      const Slot slot = free.back();
      free.pop_back();
      const Sector sector = random.below(700) * 8;
      table.insert(slot, sector, 5);
      expected.emplace(sector, slot);
      members.push_back(slot);
    } else {
      const auto at = random.below(members.size());
      const Slot slot = members[at];
      members[at] = members.back();
      members.pop_back();
      const auto range = expected.equal_range(table.sector(slot));
      for (auto it = range.first; it != range.second; ++it) {
        if (it->second != slot) continue;
        expected.erase(it);
        break;
      }
      table.remove(slot);
      free.push_back(slot);
    }
    const Sector sector = random.below(700) * 8;
    std::size_t count = 0;
    for (Slot slot = table.find(sector); slot != kNoSlot; slot = table.find_older(slot)) {
      ASSERT_EQ(table.sector(slot), sector);
      ++count;
    }
    ASSERT_EQ(count, expected.count(sector));
    ASSERT_EQ(table.member_count(), expected.size());
  }
}

TEST(EntryTable, FlagsChangeNeitherSectorNorSequence) {
  EntryTable table(4);
  const Sector highest = wc::kSectorLimit - 8;
  table.insert(1, highest, 77);
  table.set(1, Flag::aged);
  table.set(1, Flag::freeing);
  EXPECT_EQ(table.sector(1), highest);
  EXPECT_EQ(table.sequence(1), 77U);
  EXPECT_EQ(table.find(highest), 1U);
  table.clear(1, Flag::aged);
  EXPECT_FALSE(table.has(1, Flag::aged));
  EXPECT_TRUE(table.has_any(1, Flag::writeback, Flag::freeing));
  table.remove(1);
  EXPECT_FALSE(table.has(1, Flag::freeing));
}

TEST(EntryTable, HidesNumbersAboveTheLimitFromTheMedium) {
  EntryTable table(4);
  table.insert(0, 8, 6);
  table.insert(1, 16, 7);
  EXPECT_EQ(table.entry(0, 6).seq_count, 6U);
  EXPECT_EQ(table.entry(0, 6).original_sector, 8U);
  EXPECT_EQ(table.entry(1, 6).seq_count, wc::kFreeSequence);
  EXPECT_EQ(table.entry(1, 7).seq_count, 7U);
  EXPECT_EQ(table.entry(2, 7).seq_count, wc::kFreeSequence);
}

TEST(EntryTable, TakesLessThan32BytesAnEntryWithTheSetOfFreeOnes) {
  constexpr std::uint64_t kBlocks = 1'000'000;
  const EntryTable table(kBlocks);
  const SlotSet free(kBlocks);
  EXPECT_LE(table.size_bytes() + free.size_bytes(), 32 * kBlocks);
}

}  // namespace
