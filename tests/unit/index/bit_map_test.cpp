// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/index/bit_map.cpp.
#include "index/bit_map.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "sim/random.hpp"

namespace {

using wc::index::BitMap;

TEST(BitMap, RoundsDownToAPowerOfTwoOfBytes) {
  EXPECT_EQ(BitMap(0).bit_count(), 4096U * 8);
  EXPECT_EQ(BitMap(4096).bit_count(), 4096U * 8);
  EXPECT_EQ(BitMap(8191).bit_count(), 4096U * 8);
  EXPECT_EQ(BitMap(8192).size_bytes(), 8192U);
  EXPECT_EQ(BitMap((4U << 20) + 1).size_bytes(), 4U << 20);
}

TEST(BitMap, RemembersEachBitByItself) {
  BitMap map(1 << 16);
  wc::sim::Random random(3);
  std::set<std::uint64_t> expected;
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t bit = i == 0 ? map.bit_count() - 1 : random.below(map.bit_count());
    EXPECT_EQ(map.test_and_set(bit), !expected.insert(bit).second) << bit;
  }
}

TEST(BitMap, IsAllClearAtFirstAndAfterClear) {
  BitMap map(1 << 16);
  for (int round = 0; round < 2; ++round) {
    for (std::uint64_t bit = 0; bit < map.bit_count(); bit += 61) {
      ASSERT_FALSE(map.test_and_set(bit)) << bit << " in round " << round;
    }
    map.clear();
  }
}

TEST(BitMap, LendsItsMemoryBetweenTwoMaps) {
  BitMap map(1 << 13);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(map.memory()) % 4096, 0U);
  std::fill_n(map.memory(), map.size_bytes(), std::byte{0xff});
  map.clear();
  EXPECT_TRUE(std::all_of(map.memory(), map.memory() + map.size_bytes(),
                          [](std::byte byte) { return byte == std::byte{0}; }));
}

}  // namespace
