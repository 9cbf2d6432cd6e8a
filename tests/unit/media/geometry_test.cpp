// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/media/geometry.cpp: the capacity against its definition, and the limits.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "sim/random.hpp"
#include "writecache/superblock.hpp"

namespace {

using wc::capacity_blocks;
using wc::ErrorCode;
using wc::make_geometry;

// Wide enough for every product below.
__extension__ using Wide = unsigned __int128;

const std::vector<std::uint32_t> kBlockSizes = {512, 1024, 2048, 4096, 8192, 16384, 32768, 65536};

/// round_up(64 + 16 n, b) + n b, as doc/format.md says it.
Wide bytes_needed(Wide n_blocks, std::uint32_t block_bytes) {
  const Wide metadata = 64 + 16 * n_blocks;
  return (metadata + block_bytes - 1) / block_bytes * block_bytes + n_blocks * block_bytes;
}

/// The largest n that fits, by bisection: bytes_needed() grows with n.
std::uint64_t largest_fit(std::uint64_t area_bytes, std::uint32_t block_bytes) {
  std::uint64_t low = 0;
  std::uint64_t high = area_bytes / block_bytes + 1;
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (bytes_needed(middle, block_bytes) <= area_bytes ? low : high) = middle;
  }
  return low;
}

void expect_capacity(std::uint64_t area_bytes, std::uint32_t block_bytes) {
  const std::uint64_t expected = largest_fit(area_bytes, block_bytes);
  const auto found = capacity_blocks(area_bytes, block_bytes);
  // The driver starts from area / (block + 16) and refuses 2^47 before it counts down.
  const bool is_too_many = area_bytes / (block_bytes + 16) >= wc::kMaxBlocks;
  ASSERT_EQ(found.has_value(), expected != 0 && !is_too_many) << area_bytes << " " << block_bytes;
  if (found) {
    EXPECT_EQ(*found, expected) << area_bytes << " " << block_bytes;
  } else {
    EXPECT_EQ(found.error().code, ErrorCode::no_space);
  }
}

TEST(Capacity, CountsOneByOneWhereAreasAreSmall) {
  for (const std::uint32_t block_bytes : kBlockSizes) {
    // Counted up with the area: no bisection to trust.
    std::uint64_t n_blocks = 0;
    for (std::uint64_t area = 0; area < 300 * std::uint64_t{block_bytes}; area += 16) {
      while (bytes_needed(n_blocks + 1, block_bytes) <= area) ++n_blocks;
      const auto found = capacity_blocks(area, block_bytes);
      ASSERT_EQ(found ? *found : 0, n_blocks) << area << " " << block_bytes;
    }
  }
}

TEST(Capacity, IsTheLargestThatFitsAtRandomSizes) {
  wc::sim::Random random(11);
  for (const std::uint32_t block_bytes : kBlockSizes) {
    for (int i = 0; i < 5000; ++i) expect_capacity(random.next() >> random.below(64), block_bytes);
  }
}

TEST(Capacity, ChangesExactlyWhereOneMoreBlockFits) {
  wc::sim::Random random(12);
  for (const std::uint32_t block_bytes : kBlockSizes) {
    for (int i = 0; i < 2000; ++i) {
      const std::uint64_t n_blocks = 1 + (random.next() >> (18 + random.below(46)));
      const auto needed = static_cast<std::uint64_t>(bytes_needed(n_blocks, block_bytes));
      for (const std::uint64_t area : {needed - 1, needed, needed + 1}) expect_capacity(area, block_bytes);
    }
  }
}

TEST(Capacity, EqualsWhatTheDriverMadeOfOneMebibyte) { EXPECT_EQ(*capacity_blocks(1 << 20, 4096), 254U); }

TEST(Capacity, NeedsRoomForOneBlockAndItsMetadata) {
  for (const std::uint32_t block_bytes : kBlockSizes) {
    const std::uint64_t least = 2 * std::uint64_t{block_bytes};
    EXPECT_EQ(*capacity_blocks(least, block_bytes), 1U) << block_bytes;
    const auto refused = capacity_blocks(least - 1, block_bytes);
    ASSERT_FALSE(refused) << block_bytes;
    EXPECT_EQ(refused.error().code, ErrorCode::no_space);
    EXPECT_FALSE(capacity_blocks(0, block_bytes));
  }
}

TEST(Capacity, HasABoundAndNoOverflowInHugeAreas) {
  for (const std::uint32_t block_bytes : kBlockSizes) {
    const std::uint64_t bound = wc::kMaxBlocks * (block_bytes + 16);
    for (const std::uint64_t area : {bound - 1, bound, bound + 1, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
      expect_capacity(area, block_bytes);
    }
  }
}

TEST(Capacity, RefusesWhatIsNoBlockSize) {
  for (const std::uint32_t bytes : {0U, 1U, 256U, 511U, 513U, 4095U, 6144U, 131072U, 0x80000000U, 0xffffffffU}) {
    const auto refused = capacity_blocks(1 << 20, bytes);
    ASSERT_FALSE(refused) << bytes;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument) << bytes;
  }
}

TEST(MakeGeometry, AcceptsEveryCountUpToTheCapacity) {
  wc::sim::Random random(13);
  for (const std::uint32_t block_bytes : kBlockSizes) {
    for (int i = 0; i < 500; ++i) {
      const std::uint64_t area = 2 * std::uint64_t{block_bytes} + (random.next() >> (8 + random.below(50)));
      const std::uint64_t capacity = *capacity_blocks(area, block_bytes);
      EXPECT_FALSE(make_geometry(area, block_bytes, capacity + 1)) << area << " " << block_bytes;
      for (const std::uint64_t n_blocks : {std::uint64_t{1}, 1 + random.below(capacity), capacity}) {
        const auto geometry = make_geometry(area, block_bytes, n_blocks);
        ASSERT_TRUE(geometry) << area << " " << block_bytes << " " << n_blocks;
        EXPECT_EQ(geometry->n_blocks, n_blocks);
        EXPECT_EQ(geometry->block_bytes, block_bytes);
        EXPECT_EQ(geometry->metadata_bytes(), 64 + 16 * n_blocks);
        EXPECT_EQ(geometry->data_offset_bytes % block_bytes, 0U);
        EXPECT_GE(geometry->data_offset_bytes, geometry->metadata_bytes());
        EXPECT_LT(geometry->data_offset_bytes - geometry->metadata_bytes(), block_bytes);
        EXPECT_EQ(geometry->end_bytes(), static_cast<std::uint64_t>(bytes_needed(n_blocks, block_bytes)));
        EXPECT_LE(geometry->end_bytes(), area);
        EXPECT_EQ(geometry->block_offset_bytes(n_blocks - 1) + block_bytes, geometry->end_bytes());
        EXPECT_EQ(geometry->sectors_per_block(), block_bytes / 512);
      }
    }
  }
}

TEST(MakeGeometry, PutsEntriesBehindTheSuperblock) {
  EXPECT_EQ(wc::Geometry::entry_offset_bytes(0), 64U);
  EXPECT_EQ(wc::Geometry::entry_offset_bytes(252), 4096U);
}

TEST(MakeGeometry, RefusesCountsThatCannotBe) {
  const std::uint64_t everything = ~std::uint64_t{0};
  EXPECT_EQ(make_geometry(everything, 4096, 0).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(make_geometry(everything, 4096, wc::kMaxBlocks).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(make_geometry(everything, 4096, everything).error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(make_geometry(everything, 65536, wc::kMaxBlocks - 1));
  EXPECT_TRUE(make_geometry(everything, 512, wc::kMaxBlocks - 1));
  EXPECT_EQ(make_geometry(std::uint64_t{1} << 62, 65536, wc::kMaxBlocks - 1).error().code, ErrorCode::no_space);
  EXPECT_EQ(make_geometry(8191, 4096, 1).error().code, ErrorCode::no_space);
  EXPECT_EQ(make_geometry(1 << 20, 3000, 1).error().code, ErrorCode::invalid_argument);
}

}  // namespace
