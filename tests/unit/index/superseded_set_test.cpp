// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/index/superseded_set.cpp against a std::set: list, bits, windows.
#include "index/superseded_set.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "sim/random.hpp"

namespace {

using wc::BlockIndex;
using wc::index::SupersededSet;

std::vector<BlockIndex> shuffled(const std::set<BlockIndex>& members, wc::sim::Random& random) {
  std::vector<BlockIndex> out(members.begin(), members.end());
  for (std::size_t i = out.size(); i > 1; --i) std::swap(out[i - 1], out[random.below(i)]);
  return out;
}

std::vector<bool> bits_of(const SupersededSet& set, BlockIndex first, std::size_t count) {
  std::vector<std::uint64_t> words(count / 64 + 1, 0);
  const bool any = set.copy_bits(first, count, words);
  std::vector<bool> out(words.size() * 64);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = ((words[i / 64] >> (i % 64)) & 1U) != 0;
  EXPECT_EQ(any, std::find(out.begin(), out.end(), true) != out.end());
  for (std::size_t i = count; i < out.size(); ++i) EXPECT_FALSE(out[i]) << "behind the range";
  out.resize(count);
  return out;
}

/// Reads [set.begin(), set.end()) in ranges of random length.
void expect_window(const SupersededSet& set, const std::set<BlockIndex>& members, wc::sim::Random& random) {
  for (BlockIndex first = set.begin(); first < set.end();) {
    const std::size_t count = std::min<BlockIndex>(1 + random.below(random.one_in(3) ? 5 : 700), set.end() - first);
    const auto bits = bits_of(set, first, count);
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(bits[i], members.count(first + i) != 0) << first + i;
    }
    first += count;
  }
}

/// Collects window after window as the scan does; returns how many there were.
int expect_all_windows(std::uint64_t memory_bytes, BlockIndex index_count, const std::set<BlockIndex>& members,
                       std::uint64_t seed) {
  wc::sim::Random random(seed);
  SupersededSet set(memory_bytes, index_count);
  int windows = 0;
  for (BlockIndex begin = 0; begin < index_count; begin = set.end(), ++windows) {
    set.restart(begin);
    EXPECT_EQ(set.begin(), begin);
    for (const BlockIndex member : shuffled(members, random)) set.add(member);
    set.finish();
    EXPECT_GT(set.end(), begin);
    EXPECT_LE(set.end(), index_count);
    expect_window(set, members, random);
  }
  return windows;
}

std::set<BlockIndex> random_members(BlockIndex index_count, std::size_t count, std::uint64_t seed) {
  wc::sim::Random random(seed);
  std::set<BlockIndex> members;
  while (members.size() < count) members.insert(random.below(index_count));
  return members;
}

TEST(SupersededSet, IsAListWhileMembersAreFew) {
  SupersededSet set(24 << 10, BlockIndex{1} << 40);
  EXPECT_TRUE(set.empty());
  const std::set<BlockIndex> members = {0, 1, 63, 64, 5000, (BlockIndex{1} << 40) - 1};
  for (const BlockIndex member : members) set.add(member);
  set.finish();
  EXPECT_FALSE(set.empty());
  EXPECT_EQ(set.end(), BlockIndex{1} << 40) << "a list has no window";
  EXPECT_EQ(bits_of(set, (BlockIndex{1} << 40) - 3, 3), (std::vector<bool>{false, false, true}));
  EXPECT_EQ(bits_of(set, 62, 4), (std::vector<bool>{false, true, true, false}));
  EXPECT_EQ(bits_of(set, 6000, 100), std::vector<bool>(100, false));
}

TEST(SupersededSet, TellsOfEveryMemberAtEveryAlignment) {
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{500}, std::size_t{2500}}) {
    EXPECT_EQ(expect_all_windows(24 << 10, 3000, random_members(3000, count, count), count), 1);
  }
}

TEST(SupersededSet, MovesItsEndDownWhenTheListIsFull) {
  // 3072 bytes: a list of 128, then 12288 bits.
  const BlockIndex count = 50000;
  EXPECT_EQ(expect_all_windows(3072, count, random_members(count, 128, 5), 5), 1);
  // The last window holds few enough for a list.
  EXPECT_EQ(expect_all_windows(3072, count, random_members(count, 129, 6), 6), 2);
  EXPECT_EQ(expect_all_windows(3072, count, random_members(count, 20000, 7), 7), 5);
  std::set<BlockIndex> all;
  for (BlockIndex i = 0; i < count; ++i) all.insert(all.end(), i);
  EXPECT_EQ(expect_all_windows(3072, count, all, 8), 5);
}

TEST(SupersededSet, WorksWithTheLeastMemory) {
  EXPECT_EQ(expect_all_windows(0, 64, random_members(64, 64, 1), 1), 1);
  EXPECT_EQ(expect_all_windows(0, 65, random_members(65, 65, 1), 1), 2);
  EXPECT_EQ(expect_all_windows(0, 1000, random_members(1000, 900, 1), 1), 16);
}

TEST(SupersededSet, IgnoresWhatLiesOutsideItsWindow) {
  SupersededSet set(3072, 50000);
  set.restart(1000);
  set.add(999);
  set.add(50000);
  set.add(~BlockIndex{0});
  EXPECT_TRUE(set.empty());
  set.add(1000);
  set.finish();
  EXPECT_EQ(bits_of(set, 990, 20), [] {
    std::vector<bool> bits(20, false);
    bits[10] = true;
    return bits;
  }());
}

TEST(SupersededSet, ForgetsEverythingAtARestart) {
  SupersededSet set(3072, 50000);
  for (BlockIndex i = 0; i < 1000; ++i) set.add(i);
  set.restart(0);
  EXPECT_TRUE(set.empty());
  EXPECT_EQ(set.end(), 50000U);
  set.finish();
  EXPECT_EQ(bits_of(set, 0, 1000), std::vector<bool>(1000, false));
}

TEST(SupersededSet, CanTakeTheSameIndexTwice) {
  SupersededSet set(3072, 500);
  for (int round = 0; round < 2; ++round) {
    for (BlockIndex i = 0; i < 500; i += 5) set.add(i);
  }
  set.finish();
  const auto bits = bits_of(set, 0, 500);
  EXPECT_EQ(std::count(bits.begin(), bits.end(), true), 100);
}

}  // namespace
