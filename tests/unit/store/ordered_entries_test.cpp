// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/store/ordered_entries.cpp.
#include "store/ordered_entries.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/image_builder.hpp"
#include "sim/machine.hpp"
#include "store/superblock_io.hpp"

namespace {

using wc::EntryOrder;
using wc::EntryState;
using wc::EntryStateSet;
using wc::ListedEntry;

constexpr wc::Sector kOriginSectors = 4096;

std::uint64_t key_of(const ListedEntry& entry, EntryOrder order) {
  return order == EntryOrder::sector ? entry.sector : entry.seq_count;
}

class OrderedEntriesTest : public ::testing::Test {
 protected:
  void load(const wc::sim::ImageBuilder& image) {
    machine_.emplace(wc::sim::MachineImage{image.build(), wc::sim::make_origin(kOriginSectors), {}},
                     wc::sim::MachineOptions{}, 5);
    auto cache = wc::store::open_cache(machine_->disk);
    ASSERT_TRUE(cache);
    auto scan = wc::store::Scan::run(machine_->disk, cache->geometry, cache->superblock.seq_count, {}, observer_);
    ASSERT_TRUE(scan);
    scan_.emplace(std::move(*scan));
  }

  std::vector<ListedEntry> ordered(EntryStateSet states, EntryOrder order, std::size_t entries_in_memory) {
    wc::store::OrderedEntries entries(*scan_, states, order, entries_in_memory * sizeof(ListedEntry));
    std::vector<ListedEntry> all;
    rounds_ = 0;
    while (true) {
      auto round = entries.next_round(observer_);
      EXPECT_TRUE(round);
      if (!round || round->empty()) return all;
      EXPECT_LE(round->size(), std::max<std::size_t>(4, entries_in_memory));
      ++rounds_;
      all.insert(all.end(), round->begin(), round->end());
    }
  }

  std::vector<ListedEntry> sorted(EntryStateSet states, EntryOrder order) {
    std::vector<ListedEntry> all;
    EXPECT_TRUE(scan_->visit(
        [&](const wc::store::ClassifiedBatch& batch) -> wc::Result<void> {
          for (std::size_t i = 0; i < batch.size(); ++i) {
            const auto raw = batch.entry(i);
            const auto state = batch.state(i, raw.seq_count);
            if (states.contains(state)) all.push_back({batch.first_index() + i, raw.original_sector, raw.seq_count, state});
          }
          return {};
        },
        observer_));
    std::stable_sort(all.begin(), all.end(),
                     [&](const auto& a, const auto& b) { return key_of(a, order) < key_of(b, order); });
    return all;
  }

  wc::Observer observer_;
  std::optional<wc::sim::Machine> machine_;
  std::optional<wc::store::Scan> scan_;
  std::size_t rounds_ = 0;
};

TEST_F(OrderedEntriesTest, EqualsASortWhateverTheMemory) {
  wc::sim::Random random(1);
  wc::sim::RandomImageOptions options;
  options.block_bytes = 512;
  options.n_blocks = 300;
  options.origin_sectors = kOriginSectors;
  load(wc::sim::random_image(random, options));
  const auto live = EntryStateSet{}.with(EntryState::live);
  for (const auto states : {live, live.with(EntryState::stale), EntryStateSet::all()}) {
    for (const auto order : {EntryOrder::sector, EntryOrder::sequence}) {
      const auto expected = sorted(states, order);
      for (const std::size_t entries_in_memory : {0, 5, 17, 100, 1000}) {
        const auto actual = ordered(states, order, entries_in_memory);
        ASSERT_EQ(actual.size(), expected.size());
        for (std::size_t i = 0; i < actual.size(); ++i) {
          ASSERT_EQ(actual[i].index, expected[i].index) << i;
          ASSERT_EQ(actual[i].state, expected[i].state) << i;
          ASSERT_EQ(actual[i].sector, expected[i].sector) << i;
        }
        if (entries_in_memory == 5) {
          EXPECT_GT(rounds_, 10U);
        }
        if (entries_in_memory == 1000) {
          EXPECT_EQ(rounds_, 1U);
        }
      }
    }
  }
}

TEST_F(OrderedEntriesTest, EqualKeysComeByIndexAcrossRounds) {
  wc::sim::ImageBuilder image(512, 40);
  image.seq_count(9);
  for (wc::BlockIndex i = 0; i < 40; ++i) image.entry(i, (39 - i) * 2, 3);
  load(image);
  const auto entries = ordered(EntryStateSet{}.with(EntryState::live), EntryOrder::sequence, 6);
  ASSERT_EQ(entries.size(), 40U);
  for (wc::BlockIndex i = 0; i < 40; ++i) EXPECT_EQ(entries[i].index, i);
}

TEST_F(OrderedEntriesTest, IsEmptyWhereNothingMatches) {
  load(wc::sim::ImageBuilder(512, 40));
  EXPECT_TRUE(ordered(EntryStateSet{}.with(EntryState::live), EntryOrder::sector, 8).empty());
}

TEST_F(OrderedEntriesTest, ReportsAnUnreadableEntry) {
  load(wc::sim::ImageBuilder(512, 40).seq_count(3).entry(1, 8, 1));
  machine_->disk.add_bad_sectors(wc::DeviceId::cache, wc::IoKind::read, 0, 1);
  wc::store::OrderedEntries entries(*scan_, EntryStateSet::all(), EntryOrder::sector, 1024);
  auto round = entries.next_round(observer_);
  ASSERT_FALSE(round);
  EXPECT_EQ(round.error().code, wc::ErrorCode::io);
}

}  // namespace
