// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/store/pmem_store.cpp: entries word by word, fenced before S is raised.
#include "store/pmem_store.hpp"

#include <gtest/gtest.h>

#include "sim/image_builder.hpp"
#include "sim/oracle.hpp"
#include "sim/sim_pmem.hpp"

namespace wc::store {
namespace {

constexpr Sequence kSeqCount = 5;

struct Fixture {
  sim::SimPower power;
  sim::SimPmem memory{sim::ImageBuilder(512, 8).seq_count(kSeqCount).freed_entry(2, 77).build(), 3, power};
  index::EntryTable table{8};
  PmemStore store{memory, table};

  sim::ReferenceCache durable() const { return *sim::read_reference(memory.durable()); }
  bool sync(Sequence limit) {
    store.start_sync(limit);
    const auto outcome = store.take_outcome();
    return outcome && outcome->has_value();
  }
};

TEST(PmemStore, ASyncMakesWhatChangedDurable) {
  Fixture fixture;
  fixture.table.insert(2, 40, kSeqCount);
  fixture.store.changed(2);
  ASSERT_TRUE(fixture.sync(kSeqCount));
  EXPECT_TRUE(fixture.memory.is_settled());
  EXPECT_EQ(fixture.durable().entries[2].original_sector, 40U);
  EXPECT_EQ(fixture.durable().entries[2].seq_count, kSeqCount);
  EXPECT_EQ(fixture.durable().superblock.seq_count, kSeqCount);
}

TEST(PmemStore, EntriesAboveTheLimitWaitForALaterSync) {
  Fixture fixture;
  fixture.table.insert(2, 40, kSeqCount + 1);
  fixture.store.changed(2);
  ASSERT_TRUE(fixture.sync(kSeqCount));
  EXPECT_EQ(fixture.durable().entries[2].seq_count, kFreeSequence);
  ASSERT_TRUE(fixture.sync(kSeqCount + 1));
  EXPECT_EQ(fixture.durable().entries[2].seq_count, kSeqCount + 1);
}

TEST(PmemStore, FreeingChangesTheNumberAlone) {
  Fixture fixture;
  fixture.table.insert(2, 40, kSeqCount);
  fixture.store.changed(2);
  ASSERT_TRUE(fixture.sync(kSeqCount));
  fixture.table.remove(2);
  fixture.store.changed(2);
  ASSERT_TRUE(fixture.sync(kSeqCount));
  EXPECT_EQ(fixture.durable().entries[2].seq_count, kFreeSequence);
  EXPECT_EQ(fixture.durable().entries[2].original_sector, 40U);
}

TEST(PmemStore, RaisingWritesTheNumberDurably) {
  Fixture fixture;
  fixture.store.start_raise(kSeqCount + 1);
  const auto outcome = fixture.store.take_outcome();
  ASSERT_TRUE(outcome && outcome->has_value());
  EXPECT_FALSE(fixture.store.take_outcome()) << "once";
  EXPECT_EQ(fixture.durable().superblock.seq_count, kSeqCount + 1);
}

TEST(PmemStore, AFailedFenceIsTold) {
  Fixture fixture;
  fixture.memory.inject(0, false);
  EXPECT_FALSE(fixture.sync(kSeqCount));
}

}  // namespace
}  // namespace wc::store
