// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/store/ssd_store.hpp: what a sync and a raise write, and what they must not.
#include "store/ssd_store.hpp"

#include <gtest/gtest.h>

#include "media/entry.hpp"
#include "sim/image_builder.hpp"
#include "sim/oracle.hpp"
#include "sim/sim_disk.hpp"
#include "store/superblock_io.hpp"

namespace {

using wc::BlockIndex;
using wc::DeviceId;
using wc::IoKind;
using wc::Result;
using wc::sim::ImageBuilder;

class SsdStoreTest : public testing::Test {
 protected:
  static constexpr BlockIndex kBlocks = 1000;  // four pages of entries
  explicit SsdStoreTest(std::uint32_t logical_block_bytes = 512)
      : image_(ImageBuilder(512, kBlocks).seq_count(9).padding(3, std::byte{7}).build()),
        disk_({.content = image_, .logical_block_bytes = logical_block_bytes}, {}, 1, power_),
        cache_(*wc::store::open_cache(disk_)),
        store_(disk_, table_, cache_.geometry, cache_.superblock) {}

  Result<void> finish() {
    for (;;) {
      if (auto outcome = store_.take_outcome()) return *outcome;
      disk_.poll(wc::Wait::for_one);
    }
  }
  std::uint64_t writes() const { return disk_.completed(DeviceId::cache, IoKind::write); }
  wc::sim::ReferenceCache durable() const { return *wc::sim::read_reference(disk_.durable(DeviceId::cache)); }

  wc::sim::Bytes image_;
  wc::sim::SimPower power_;
  wc::sim::SimDisk disk_;
  wc::index::EntryTable table_{kBlocks};
  wc::store::OpenedCache cache_;
  wc::store::SsdStore store_;
};

TEST_F(SsdStoreTest, SyncMakesChangedEntriesDurableAndLeavesTheSuperblock) {
  for (const wc::index::Slot slot : {0U, 999U}) {
    table_.insert(slot, 8 * slot, 9);
    store_.changed(slot);
  }
  store_.start_sync(9);
  ASSERT_TRUE(finish().has_value());
  const auto reference = durable();
  EXPECT_EQ(reference.superblock.seq_count, 9U);
  EXPECT_EQ(reference.superblock.padding[3], std::byte{7});
  EXPECT_EQ(reference.entries[999].original_sector, 8 * 999U);
  EXPECT_EQ(reference.entries[999].seq_count, 9U);
  EXPECT_EQ(reference.entries[0].seq_count, 9U);
  EXPECT_EQ(reference.entries[500].seq_count, wc::kFreeSequence);
  EXPECT_EQ(writes(), 2U);
}

TEST_F(SsdStoreTest, DataBehindTheEntriesStay) {
  table_.insert(999, 8, 9);
  store_.changed(999);
  store_.start_sync(9);
  ASSERT_TRUE(finish().has_value());
  const auto offset = static_cast<std::ptrdiff_t>(cache_.geometry.data_offset_bytes);
  const auto after = disk_.durable(DeviceId::cache);
  EXPECT_TRUE(std::equal(image_.begin() + offset, image_.end(), after.begin() + offset));
}

TEST_F(SsdStoreTest, AnEntryAboveTheLimitStaysHiddenUntilItsNumberIsAllowed) {
  table_.insert(4, 80, 10);
  store_.changed(4);
  store_.start_sync(9);
  ASSERT_TRUE(finish().has_value());
  EXPECT_EQ(durable().entries[4].seq_count, wc::kFreeSequence);
  store_.start_raise(10);
  ASSERT_TRUE(finish().has_value());
  EXPECT_EQ(durable().superblock.seq_count, 10U);
  EXPECT_EQ(durable().entries[4].seq_count, wc::kFreeSequence);
  store_.start_sync(10);
  ASSERT_TRUE(finish().has_value());
  EXPECT_EQ(durable().entries[4].seq_count, 10U);
}

TEST_F(SsdStoreTest, NeighbouringPagesAreOneWriteAndCleanOnesNone) {
  for (const wc::index::Slot slot : {10U, 300U, 600U}) {
    table_.insert(slot, 8 * slot, 9);
    store_.changed(slot);
  }
  store_.start_sync(9);
  ASSERT_TRUE(finish().has_value());
  EXPECT_EQ(writes(), 1U);
  store_.start_sync(9);
  ASSERT_TRUE(finish().has_value());
  EXPECT_EQ(writes(), 1U);
  EXPECT_EQ(disk_.completed(DeviceId::cache, IoKind::flush), 2U);
}

TEST_F(SsdStoreTest, AFailedWriteEndsTheSyncWithoutAFlush) {
  table_.insert(1, 8, 9);
  store_.changed(1);
  disk_.inject({DeviceId::cache, IoKind::write, 0});
  store_.start_sync(9);
  const auto outcome = finish();
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().os_errno, 5);
  EXPECT_EQ(disk_.completed(DeviceId::cache, IoKind::flush), 0U);
}

TEST_F(SsdStoreTest, AFailedFlushAndAFailedRaiseAreErrors) {
  disk_.inject({DeviceId::cache, IoKind::flush, 0});
  store_.start_sync(9);
  EXPECT_FALSE(finish().has_value());
  disk_.clear_faults();
  disk_.inject({DeviceId::cache, IoKind::write, 0});
  store_.start_raise(10);
  EXPECT_FALSE(finish().has_value());
}

}  // namespace
