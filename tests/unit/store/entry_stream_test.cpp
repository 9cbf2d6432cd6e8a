// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/store/entry_stream.cpp on the simulated disk, which completes reads in any order.
#include "store/entry_stream.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "unit/store/simulated.hpp"

namespace {

using wc::BlockIndex;
using wc::DeviceId;
using wc::ErrorCode;
using wc::IoKind;
using wc::store::EntryStream;
using wc::test::numbered_entries;
using wc::test::Simulated;

constexpr BlockIndex kBatch = EntryStream::kBatchMax;
/// Seven chunks, more than the ring holds, and a piece.
constexpr BlockIndex kMany = 7 * kBatch + 1234;

/// Reads [first, end) and checks index, count and content of every batch.
void expect_range(wc::IoPort& port, BlockIndex first, BlockIndex end) {
  EntryStream stream(port, first, end);
  BlockIndex next = first;
  for (;;) {
    auto batch = stream.next();
    ASSERT_TRUE(batch) << batch.error().message();
    if (!*batch) break;
    ASSERT_EQ((*batch)->first_index, next);
    ASSERT_GT((*batch)->count, 0U);
    ASSERT_LE((*batch)->count, kBatch);
    for (std::size_t i = 0; i < (*batch)->count; ++i, ++next) {
      const wc::Entry entry = (**batch)[i];
      if (entry.original_sector != 8 * next || entry.seq_count != 1000 + next) FAIL() << "entry " << next;
    }
  }
  EXPECT_EQ(next, std::max(first, end)) << first << " to " << end;
  auto after = stream.next();
  ASSERT_TRUE(after);
  EXPECT_FALSE(*after) << "the end stays the end";
}

class EntryStreamTest : public testing::TestWithParam<std::uint32_t> {};

TEST_P(EntryStreamTest, YieldsEveryEntryOfManyChunksInOrder) {
  Simulated machine(numbered_entries(kMany), GetParam());
  expect_range(machine.disk, 0, kMany);
}

TEST_P(EntryStreamTest, YieldsAnyRange) {
  Simulated machine(numbered_entries(kMany), GetParam());
  // The first entries of a sector, of a logical block and of a chunk have these indexes.
  const BlockIndex edges[] = {0, 1, 27, 28, 29, 251, 252, 253, kBatch - 5, kBatch - 4, kBatch - 3, 2 * kBatch - 4, kMany - 1, kMany};
  for (const BlockIndex first : edges) {
    for (const BlockIndex end : edges) {
      if (end > first + kBatch + 1000) continue;
      expect_range(machine.disk, first, end);
    }
  }
  wc::sim::Random random(4);
  for (int i = 0; i < 50; ++i) {
    const BlockIndex first = random.below(kMany);
    expect_range(machine.disk, first, first + random.below(std::min<BlockIndex>(kMany - first + 1, 3000)));
  }
  expect_range(machine.disk, kBatch - 100, 3 * kBatch + 100);
}

TEST_P(EntryStreamTest, ReadsEveryChunkOnce) {
  Simulated machine(numbered_entries(kMany), GetParam());
  expect_range(machine.disk, 0, kMany);
  EXPECT_EQ(machine.disk.completed(DeviceId::cache, IoKind::read), 8U);
}

TEST_P(EntryStreamTest, AnErrorComesInOrderAndEndsTheStream) {
  Simulated machine(numbered_entries(kMany), GetParam());
  for (const BlockIndex bad : {BlockIndex{0}, BlockIndex{100}, 3 * kBatch + 7, kMany - 1}) {
    machine.disk.clear_faults();
    machine.disk.add_bad_sectors(DeviceId::cache, IoKind::read, wc::Geometry::entry_offset_bytes(bad) / 512, 1);
    EntryStream stream(machine.disk, 0, kMany);
    BlockIndex next = 0;
    for (;;) {
      auto batch = stream.next();
      if (!batch) {
        EXPECT_EQ(batch.error().code, ErrorCode::io);
        break;
      }
      ASSERT_TRUE(*batch) << "no error before the end";
      next += (*batch)->count;
    }
    EXPECT_LE(next, bad);
    EXPECT_LT(bad, next + kBatch) << "the chunks before are whole";
    auto after = stream.next();
    ASSERT_TRUE(after);
    EXPECT_FALSE(*after);
  }
}

TEST_P(EntryStreamTest, CanBeDestroyedWhileReadsAreInFlight) {
  // The address sanitizer and the simulator notice a read that outlives its memory.
  Simulated machine(numbered_entries(kMany), GetParam());
  for (int batches = 0; batches < 9; ++batches) {
    {
      EntryStream stream(machine.disk, 0, kMany);
      for (int i = 0; i < batches; ++i) ASSERT_TRUE(stream.next());
    }
    EXPECT_EQ(machine.disk.poll(wc::Wait::no), 0U);
  }
}

TEST_P(EntryStreamTest, SharesThePortWithAnother) {
  Simulated machine(numbered_entries(kMany), GetParam());
  EntryStream other(machine.disk, 5, kMany);
  ASSERT_TRUE(other.next());
  expect_range(machine.disk, 0, 2 * kBatch);
  auto batch = other.next();
  ASSERT_TRUE(batch);
  ASSERT_TRUE(*batch);
  EXPECT_EQ((**batch)[0].seq_count, 1000 + (*batch)->first_index);
}

TEST_P(EntryStreamTest, OfNothingReadsNothing) {
  Simulated machine(numbered_entries(100), GetParam());
  expect_range(machine.disk, 0, 0);
  expect_range(machine.disk, 100, 100);
  expect_range(machine.disk, 50, 20);
  EXPECT_EQ(machine.disk.completed(DeviceId::cache, IoKind::read), 0U);
}

INSTANTIATE_TEST_SUITE_P(LogicalBlocks, EntryStreamTest, testing::Values(512U, 4096U));

}  // namespace
