// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/index/sector_table.hpp: bounds, and behaviour when full.
#include "index/sector_table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "sim/random.hpp"

namespace {

using wc::Sector;
using wc::index::mixed;
using wc::index::SectorSet;
using wc::index::SectorTable;

TEST(SectorSet, HoldsWhatWasInsertedAndNothingElse) {
  wc::sim::Random random(1);
  SectorSet set(1 << 20);
  std::set<Sector> expected;
  for (int i = 0; i < 20000; ++i) {
    // Few different numbers in regular patterns: duplicates and clusters.
    const Sector sector = random.below(15000) * (random.one_in(2) ? 8 : 4096);
    EXPECT_TRUE(set.insert(sector));
    expected.insert(sector);
  }
  EXPECT_EQ(set.size(), expected.size());
  for (Sector sector = 0; sector < 200000; ++sector) {
    ASSERT_EQ(set.contains(sector), expected.count(sector) != 0) << sector;
  }
}

TEST(SectorSet, HoldsTheEndsOfTheNumbers) {
  SectorSet set(1 << 20);
  const std::vector<Sector> ends = {0, 1, Sector{1} << 63, ~Sector{0} - 1};
  for (const Sector sector : ends) EXPECT_FALSE(set.contains(sector));
  for (const Sector sector : ends) EXPECT_TRUE(set.insert(sector));
  for (const Sector sector : ends) EXPECT_TRUE(set.contains(sector));
  EXPECT_FALSE(set.contains(2));
  EXPECT_EQ(set.size(), ends.size());
}

TEST(SectorSet, RefusesToGrowBeyondItsBoundButKeepsWhatItHas) {
  for (const std::size_t max_bytes : {std::size_t{8} << 10, std::size_t{64} << 10, std::size_t{100000}}) {
    SectorSet set(max_bytes);
    Sector next = 0;
    while (set.insert(next * 8)) {
      ASSERT_LT(next, max_bytes) << "never full";
      ++next;
    }
    EXPECT_EQ(set.size(), next);
    // Half of the largest power of two of slots that fits with the half of it that it grew from.
    std::size_t slots = 1024;
    while ((2 * slots + slots) * sizeof(Sector) <= max_bytes) slots *= 2;
    EXPECT_EQ(next, slots / 2) << max_bytes;
    EXPECT_FALSE(set.insert(next * 8)) << "still full";
    for (Sector i = 0; i < next; ++i) {
      ASSERT_TRUE(set.contains(i * 8));
      ASSERT_TRUE(set.insert(i * 8)) << "a member needs no room";
    }
    EXPECT_FALSE(set.contains(next * 8));
    EXPECT_EQ(set.size(), next);
  }
}

TEST(SectorSet, WithoutMemoryHoldsNothing) {
  SectorSet set(0);
  EXPECT_FALSE(set.contains(8));
  EXPECT_FALSE(set.insert(8));
  EXPECT_FALSE(set.contains(8));
  EXPECT_EQ(set.size(), 0U);
}

class SectorTableTest : public testing::Test {
 protected:
  std::vector<SectorTable::Slot> memory_ = std::vector<SectorTable::Slot>(1000);
  SectorTable table_{reinterpret_cast<std::byte*>(memory_.data()), memory_.size() * sizeof(SectorTable::Slot)};
};

TEST_F(SectorTableTest, FindsEachSectorsOwnSlotUntilItIsFull) {
  EXPECT_EQ(table_.capacity(), 750U);
  std::map<Sector, wc::BlockIndex> expected;
  for (Sector i = 0; i < table_.capacity(); ++i) {
    const Sector sector = i * 8;
    auto* slot = table_.find_or_add(sector, mixed(sector));
    ASSERT_NE(slot, nullptr);
    ASSERT_TRUE(SectorTable::is_new(*slot));
    EXPECT_EQ(slot->sector, sector);
    slot->index = i + 7;
    slot->seq_count = i;
    expected[sector] = i + 7;
  }
  EXPECT_EQ(table_.size(), table_.capacity());
  EXPECT_EQ(table_.find_or_add(1, mixed(1)), nullptr) << "full";
  for (const auto& [sector, index] : expected) {
    auto* slot = table_.find_or_add(sector, mixed(sector));
    ASSERT_NE(slot, nullptr) << "a known sector needs no room";
    EXPECT_FALSE(SectorTable::is_new(*slot));
    EXPECT_EQ(slot->index, index);
    EXPECT_EQ(slot->sector, sector);
  }
  table_.clear();
  EXPECT_EQ(table_.size(), 0U);
  auto* slot = table_.find_or_add(8, mixed(8));
  ASSERT_NE(slot, nullptr);
  EXPECT_TRUE(SectorTable::is_new(*slot));
}

TEST_F(SectorTableTest, SearchesRoundTheEndWhenHashesAreEqual) {
  const std::uint64_t last = ~std::uint64_t{0};
  for (Sector sector = 0; sector < 300; ++sector) {
    auto* slot = table_.find_or_add(sector, last);
    ASSERT_NE(slot, nullptr);
    ASSERT_TRUE(SectorTable::is_new(*slot));
    slot->index = sector;
  }
  for (Sector sector = 0; sector < 300; ++sector) EXPECT_EQ(table_.find_or_add(sector, last)->index, sector);
}

TEST_F(SectorTableTest, HoldsEverySectorEvenThatOfAnEmptyEntry) {
  for (const Sector sector : {~Sector{0}, Sector{0}, Sector{1} << 63}) {
    auto* slot = table_.find_or_add(sector, mixed(sector));
    ASSERT_NE(slot, nullptr);
    EXPECT_TRUE(SectorTable::is_new(*slot)) << sector;
    slot->index = 3;
    EXPECT_FALSE(SectorTable::is_new(*table_.find_or_add(sector, mixed(sector)))) << sector;
  }
}

TEST_F(SectorTableTest, StaysInsideItsMemory) {
  // The last slots lie outside what the table was given.
  std::vector<SectorTable::Slot> memory(100, SectorTable::Slot{5, 6, 7});
  SectorTable table(reinterpret_cast<std::byte*>(memory.data()), 90 * sizeof(SectorTable::Slot) + 23);
  wc::sim::Random random(2);
  for (int i = 0; i < 1000; ++i) {
    const Sector sector = random.next();
    if (auto* slot = table.find_or_add(sector, mixed(sector))) slot->index = 1;
  }
  EXPECT_EQ(table.size(), 90U / 4 * 3);
  for (std::size_t i = 90; i < memory.size(); ++i) EXPECT_EQ(memory[i].index, 7U);
}

TEST(Mixed, IsDifferentForDifferentNumbersAndSpreadsRegularOnes) {
  std::set<std::uint64_t> low;
  std::set<std::uint64_t> high;
  for (std::uint64_t i = 0; i < 4096; ++i) {
    low.insert(mixed(i * 4096) & 0xfff);
    high.insert(mixed(i * 4096) >> 52);
  }
  // 4096 balls in 4096 boxes fill about 63 % of them.
  EXPECT_GT(low.size(), 2400U);
  EXPECT_GT(high.size(), 2400U);
}

}  // namespace
