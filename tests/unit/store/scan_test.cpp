// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/store/scan.cpp against a plain reference: thousands of small caches, and large ones that need the rare ways.
#include "store/scan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "index/sector_table.hpp"
#include "sim/random.hpp"
#include "unit/store/entries_port.hpp"
#include "unit/store/scan_reference.hpp"

namespace {

using wc::BlockIndex;
using wc::Entry;
using wc::EntryState;
using wc::ErrorCode;
using wc::kFreeSequence;
using wc::Observer;
using wc::Result;
using wc::Sector;
using wc::Sequence;
using wc::sim::Random;
using wc::store::ClassifiedBatch;
using wc::store::Scan;
using wc::store::ScanOptions;
using wc::test::EntriesPort;
using wc::test::ScanReference;

constexpr Sequence kSequence = 1000;
/// With the least memory the bits cover so many blocks of the origin; one zone.
constexpr std::uint64_t kZoneBlocks = wc::kMemoryBytesMin / 2 * 8;
constexpr std::uint64_t kZones = 4096;

struct Cache {
  std::vector<Entry> entries;
  std::uint32_t block_bytes = 4096;
  Sequence seq_count = kSequence;
  ScanOptions options{.memory_bytes = wc::kMemoryBytesMin, .origin_sectors = {}, .uncommitted_is_live = false};
  std::uint32_t logical_block_bytes = 512;
};

std::vector<BlockIndex> first_ones(std::vector<BlockIndex> all) {
  if (all.size() > wc::kFindingEntriesMax) all.resize(wc::kFindingEntriesMax);
  return all;
}

/// Compares the states that visit() yields; the first difference fails the test.
void expect_states(const Scan& scan, const Cache& cache, const ScanReference& expected) {
  Observer observer;
  BlockIndex next = 0;
  auto visited = scan.visit(
      [&](const ClassifiedBatch& batch) -> Result<void> {
        EXPECT_EQ(batch.first_index(), next);
        for (std::size_t i = 0; i < batch.size(); ++i) {
          const Entry entry = batch.entry(i);
          const Entry& there = cache.entries[next + i];
          const EntryState state = batch.state(i, entry.seq_count);
          const bool is_right = entry.original_sector == there.original_sector && entry.seq_count == there.seq_count &&
                                state == expected.states[next + i] &&
                                !(batch.all_committed_live() && state == EntryState::stale);
          if (!is_right) {
            ADD_FAILURE() << "entry " << next + i << " is " << to_string(state) << ", not "
                          << to_string(expected.states[next + i]);
            return wc::Error{};
          }
        }
        next += batch.size();
        return {};
      },
      observer);
  EXPECT_TRUE(visited);
  EXPECT_EQ(next, cache.entries.size());
}

void expect_equals_reference(const Cache& cache) {
  const ScanReference expected(cache.entries, cache.block_bytes, cache.seq_count, cache.options);
  EntriesPort port(cache.entries, cache.block_bytes, cache.logical_block_bytes);
  Observer observer;
  auto scan = Scan::run(port, port.geometry(), cache.seq_count, cache.options, observer);
  ASSERT_TRUE(scan) << scan.error().message();
  EXPECT_TRUE(port.is_idle());

  EXPECT_EQ(scan->counts().free, expected.counts.free);
  EXPECT_EQ(scan->counts().live, expected.counts.live);
  EXPECT_EQ(scan->counts().stale, expected.counts.stale);
  EXPECT_EQ(scan->counts().uncommitted, expected.counts.uncommitted);
  EXPECT_EQ(scan->counts().future, expected.counts.future);
  EXPECT_EQ(scan->counts().identical, expected.counts.identical);
  EXPECT_EQ(scan->counts().misaligned, expected.counts.misaligned);
  EXPECT_EQ(scan->counts().out_of_range, expected.counts.out_of_range);
  EXPECT_EQ(scan->counts().beyond_origin, expected.counts.beyond_origin);

  EXPECT_EQ(scan->samples().uncommitted, first_ones(expected.uncommitted));
  EXPECT_EQ(scan->samples().future, first_ones(expected.future));
  EXPECT_EQ(scan->samples().stale, first_ones(expected.stale));
  EXPECT_EQ(scan->samples().identical, first_ones(expected.identical));
  EXPECT_EQ(scan->samples().misaligned, first_ones(expected.misaligned));
  EXPECT_EQ(scan->samples().out_of_range, first_ones(expected.out_of_range));
  EXPECT_EQ(scan->samples().beyond_origin, first_ones(expected.beyond_origin));

  EXPECT_EQ(scan->identical_losers(), expected.pairs.size());
  std::set<std::pair<BlockIndex, BlockIndex>> pairs;
  for (const auto& pair : scan->identical_pairs()) {
    EXPECT_TRUE(pairs.insert({pair.loser, pair.kept}).second);
    EXPECT_EQ(expected.pairs.count({pair.loser, pair.kept}), 1U) << pair.loser << " " << pair.kept;
  }
  EXPECT_EQ(pairs.size(), std::min<std::size_t>(expected.pairs.size(), 65536));
  std::optional<BlockIndex> first_kept;
  for (const auto& [loser, kept] : expected.pairs) first_kept = std::min(first_kept.value_or(kept), kept);
  EXPECT_EQ(scan->samples().first_identical.has_value(), first_kept.has_value());
  if (first_kept && scan->samples().first_identical) {
    EXPECT_EQ(scan->samples().first_identical->kept, *first_kept);
  }
  EXPECT_EQ(scan->highest_sequence(), expected.highest);

  // Twice: the second visit must not depend on where the first one ended.
  expect_states(*scan, cache, expected);
  expect_states(*scan, cache, expected);
  EXPECT_TRUE(port.is_idle());
}

// --- small caches ---------------------------------------------------------------------------------------------------

Sector random_sector(Random& random, std::uint32_t block_bytes) {
  const Sector step = block_bytes / 512;
  const Sector near = random.below(5) - 2;  // -2 to 2
  switch (random.below(10)) {
    case 0: return random.below(40) * step;
    case 1: return random.below(40 * step);                           // mostly misaligned
    case 2: return (kZoneBlocks * random.below(5) + near) * step;     // around zones
    case 3: return (kZoneBlocks * kZones + near) * step;              // around the last zone's end
    case 4: return (Sector{1} << 54) + near;
    case 5: return (Sector{1} << 54) + near * step;
    case 6: return ~Sector{0} - random.below(3);
    case 7: return Sector{1} << random.below(64);
    case 8: return random.next();
    default: return (random.next() >> random.below(64)) / step * step;
  }
}

Sequence random_sequence(Random& random, Sequence superblock) {
  switch (random.below(12)) {
    case 0: return 0;
    case 1: return superblock;
    case 2: return superblock + 1;
    case 3: return kFreeSequence - 1;
    case 4: return kFreeSequence;
    case 5: return random.next();
    default: return superblock - 1 - random.below(random.one_in(2) ? 2 : 6);  // wraps where S is small
  }
}

Cache random_cache(std::uint64_t seed) {
  Random random(seed);
  Cache cache;
  cache.block_bytes = 512U << random.below(8);
  cache.logical_block_bytes = random.one_in(2) ? 512 : 4096;
  const Sequence superblocks[] = {0, 1, 2, 7, kSequence, kFreeSequence - 2, kFreeSequence - 1, kFreeSequence, random.next()};
  cache.seq_count = superblocks[random.below(std::size(superblocks))];
  cache.options.uncommitted_is_live = random.one_in(2);
  std::vector<Sector> sectors(1 + random.below(random.one_in(2) ? 4 : 60));
  for (Sector& sector : sectors) sector = random_sector(random, cache.block_bytes);
  switch (random.below(4)) {
    case 0: break;
    case 1: cache.options.origin_sectors = random.below(100 * (cache.block_bytes / 512)); break;
    case 2: cache.options.origin_sectors = sectors[0]; break;
    default: cache.options.origin_sectors = sectors[0] + 1; break;
  }
  cache.entries.resize(1 + random.below(random.one_in(4) ? 700 : 60));
  const std::uint64_t free_one_in = random.below(4);  // 0: none
  for (Entry& entry : cache.entries) {
    entry.original_sector = sectors[random.below(sectors.size())];
    entry.seq_count = random_sequence(random, cache.seq_count);
    if (free_one_in != 0 && random.one_in(free_one_in)) entry.seq_count = kFreeSequence;
  }
  return cache;
}

class ScanSmall : public testing::TestWithParam<std::uint64_t> {};

TEST_P(ScanSmall, EqualsTheReference) {
  constexpr std::uint64_t kSeeds = 400;
  for (std::uint64_t seed = GetParam() * kSeeds; seed < (GetParam() + 1) * kSeeds; ++seed) {
    expect_equals_reference(random_cache(seed));
    if (HasFailure()) FAIL() << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ScanSmall, testing::Range<std::uint64_t>(0, 10));

TEST(Scan, KeepsTheLaterOfTwoEqualAndTheNewestOfAll) {
  Cache cache;
  cache.entries = {{80, 5}, {80, 5}, {80, 6}, {80, 5}, {80, 6}, {80, 6}, {88, 1}};
  EntriesPort port(cache.entries, cache.block_bytes);
  Observer observer;
  auto scan = Scan::run(port, port.geometry(), cache.seq_count, cache.options, observer);
  ASSERT_TRUE(scan);
  EXPECT_EQ(scan->counts().live, 2U);
  EXPECT_EQ(scan->counts().stale, 5U);
  EXPECT_EQ(scan->counts().identical, 5U);
  EXPECT_EQ(scan->identical_losers(), 3U);
  EXPECT_EQ(scan->samples().identical, (std::vector<BlockIndex>{0, 1, 2, 4, 5}));
  EXPECT_EQ(scan->samples().stale, (std::vector<BlockIndex>{1, 3})) << "those that did not lose to an equal one";
  ASSERT_EQ(scan->identical_pairs().size(), 3U);
  EXPECT_EQ(scan->identical_pairs()[2].loser, 4U);
  EXPECT_EQ(scan->identical_pairs()[2].kept, 5U);
  EXPECT_EQ(scan->highest_sequence(), 6U);
  expect_equals_reference(cache);
}

TEST(Scan, OfFreeEntriesHasNoHighestSequence) {
  Cache cache;
  cache.entries.assign(1000, Entry{});
  expect_equals_reference(cache);
}

TEST(Scan, TakesEntriesAtTheSameSectorAsOne) {
  for (const Sector sector : {Sector{0}, Sector{8}, Sector{3}, Sector{1} << 54, ~Sector{0}, kZoneBlocks * 8}) {
    for (const Sequence step : {0, 1}) {
      Cache cache;
      for (Sequence i = 0; i < 900; ++i) cache.entries.push_back({sector, 50 + i * step});
      expect_equals_reference(cache);
      std::reverse(cache.entries.begin(), cache.entries.end());
      expect_equals_reference(cache);
    }
  }
}

// --- large caches, with the least memory ----------------------------------------------------------------------------

/// `copies` committed entries for each of `sectors`, among free ones, in random order.
Cache shuffled_cache(const std::vector<Sector>& sectors, unsigned copies, std::size_t n_blocks, std::uint64_t seed) {
  Random random(seed);
  Cache cache;
  cache.entries.reserve(n_blocks);
  for (const Sector sector : sectors) {
    for (unsigned copy = 0; copy < copies; ++copy) {
      // Few sequences: some twins.
      cache.entries.push_back({sector, kSequence - 1 - random.below(50)});
    }
  }
  EXPECT_LE(cache.entries.size(), n_blocks);
  while (cache.entries.size() < n_blocks) cache.entries.push_back({random.below(1 << 20), kFreeSequence});
  for (std::size_t i = cache.entries.size(); i > 1; --i) std::swap(cache.entries[i - 1], cache.entries[random.below(i)]);
  return cache;
}

/// `count` different blocks of one zone; `spread` larger than `count`.
void add_zone_sectors(std::vector<Sector>& sectors, std::uint64_t zone, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) sectors.push_back((zone * kZoneBlocks + i * 11) * 8);
}

TEST(ScanLarge, FindsRepeatedSectorsThatFitTheSet) {
  std::vector<Sector> sectors;
  add_zone_sectors(sectors, 0, 30000);
  expect_equals_reference(shuffled_cache(sectors, 2, 100000, 1));
}

TEST(ScanLarge, MoreRepeatedSectorsThanTheSetHolds) {
  // The set holds 32768; the whole zone then goes through the table, in several parts, and more are superseded than
  // a list holds.
  std::vector<Sector> sectors;
  add_zone_sectors(sectors, 0, 60000);
  expect_equals_reference(shuffled_cache(sectors, 4, 250000, 2));
}

TEST(ScanLarge, FullZonesFarOutGetTheirOwnBits) {
  std::vector<Sector> sectors;
  add_zone_sectors(sectors, 2, 90000);
  add_zone_sectors(sectors, kZones - 1, 90000);
  add_zone_sectors(sectors, 5, 1000);  // through the table
  Cache cache = shuffled_cache(sectors, 1, 200000, 3);
  // Some twice, and some keys that differ by whole zones only.
  Random random(4);
  for (int i = 0; i < 3000; ++i) {
    cache.entries[random.below(cache.entries.size())].original_sector = sectors[random.below(sectors.size())];
  }
  expect_equals_reference(cache);
}

TEST(ScanLarge, FullZonesFarOutWithMoreRepeatedSectorsThanTheSetHolds) {
  std::vector<Sector> sectors;
  add_zone_sectors(sectors, 1, 45000);
  add_zone_sectors(sectors, 3, 45000);
  expect_equals_reference(shuffled_cache(sectors, 2, 200000, 5));
}

TEST(ScanLarge, ManySparseZonesGoThroughTheTable) {
  std::vector<Sector> sectors;
  for (std::uint64_t zone = 0; zone < 120; ++zone) add_zone_sectors(sectors, zone * 34, 1000);
  expect_equals_reference(shuffled_cache(sectors, 2, 250000, 6));
}

TEST(ScanLarge, ManySectorsThatNoDeviceHas) {
  std::vector<Sector> sectors;
  Random random(7);
  for (int i = 0; i < 130000; ++i) sectors.push_back(random.next());
  expect_equals_reference(shuffled_cache(sectors, 2, 260000, 8));
}

/// The sector whose hash is `hash`: every step of index::mixed() undone.
Sector sector_with_hash(std::uint64_t hash) {
  const auto inverse = [](std::uint64_t odd) {
    std::uint64_t out = odd;  // Each step doubles the bits that are right, from 3.
    for (int i = 0; i < 5; ++i) out *= 2 - odd * out;
    return out;
  };
  hash ^= hash >> 32;
  hash *= inverse(0xd6e8feb86659fd93U);
  hash ^= (hash >> 29) ^ (hash >> 58);
  hash *= inverse(0x9fb21c651e98df25U);
  hash ^= hash >> 32;
  return hash;
}

TEST(ScanLarge, SectorsThatWereChosenToFallIntoOnePart) {
  // All lower halves of the hashes are nearly equal: no number of equal parts would separate them.
  std::vector<Sector> sectors;
  for (std::uint64_t i = 0; i < 150000; ++i) {
    const std::uint64_t hash = (i * 28633 << 32) + (i % 2 << 20);
    sectors.push_back(sector_with_hash(hash));
    ASSERT_EQ(wc::index::mixed(sectors.back()), hash);
  }
  const Cache cache = shuffled_cache(sectors, 1, 160000, 14);
  expect_equals_reference(cache);
  EntriesPort port(cache.entries, cache.block_bytes);
  Observer observer;
  ASSERT_TRUE(Scan::run(port, port.geometry(), cache.seq_count, cache.options, observer));
  EXPECT_LT(port.bytes_read(), 50 * cache.entries.size() * wc::kEntryBytes) << "passes over the metadata";
}

TEST(ScanLarge, MoreSupersededEntriesThanOneWindowHolds) {
  // One window of bits covers 4194304 entries with the least memory.
  std::vector<Sector> sectors;
  add_zone_sectors(sectors, 0, 24000);
  Cache cache = shuffled_cache(sectors, 3, 60000 + 24000, 9);
  const std::size_t half = cache.entries.size() / 2;
  cache.entries.insert(cache.entries.begin() + static_cast<std::ptrdiff_t>(half), 4300000, Entry{});
  expect_equals_reference(cache);
}

TEST(ScanLarge, HalfAMillionEntriesOfEveryKind) {
  Random random(10);
  Cache cache;
  cache.options.origin_sectors = 3 * kZoneBlocks * 8;
  cache.entries.resize(500000);
  for (Entry& entry : cache.entries) {
    const std::uint64_t kind = random.below(100);
    entry.original_sector = (kind < 3 ? random.next() >> random.below(20) : random.below(4 * kZoneBlocks) * 8);
    if (kind == 4) entry.original_sector = random.below(1000);
    entry.seq_count = kind < 10 ? random_sequence(random, kSequence) : random.below(kSequence);
  }
  expect_equals_reference(cache);
}

// --- errors ---------------------------------------------------------------------------------------------------------

TEST(ScanErrors, AFailedReadAtAnyPointIsReported) {
  std::vector<Sector> sectors;
  add_zone_sectors(sectors, 0, 45000);
  const Cache cache = shuffled_cache(sectors, 3, 200000, 11);
  Observer observer;
  EntriesPort counter(cache.entries, cache.block_bytes);
  ASSERT_TRUE(Scan::run(counter, counter.geometry(), cache.seq_count, cache.options, observer));
  for (std::uint64_t nth = 0; nth < counter.reads(); ++nth) {
    EntriesPort port(cache.entries, cache.block_bytes);
    port.fail_from(nth);
    auto scan = Scan::run(port, port.geometry(), cache.seq_count, cache.options, observer);
    ASSERT_FALSE(scan) << nth;
    EXPECT_EQ(scan.error().code, ErrorCode::io);
    EXPECT_TRUE(port.is_idle()) << nth;
  }
}

TEST(ScanErrors, AVisitThatFailedCanBeRepeated) {
  // Several windows of superseded entries: a failed visit must not leave half a window behind.
  std::vector<Sector> sectors;
  add_zone_sectors(sectors, 0, 24000);
  Cache cache = shuffled_cache(sectors, 3, 60000 + 24000, 12);
  const std::size_t half = cache.entries.size() / 2;
  cache.entries.insert(cache.entries.begin() + static_cast<std::ptrdiff_t>(half), 4300000, Entry{});
  const ScanReference expected(cache.entries, cache.block_bytes, cache.seq_count, cache.options);
  EntriesPort port(cache.entries, cache.block_bytes);
  Observer observer;
  auto scan = Scan::run(port, port.geometry(), cache.seq_count, cache.options, observer);
  ASSERT_TRUE(scan);
  const auto visit = [&] { return scan->visit([](const ClassifiedBatch&) { return Result<void>{}; }, observer); };
  const std::uint64_t before = port.reads();
  ASSERT_TRUE(visit());
  const std::uint64_t visit_reads = port.reads() - before;
  for (const std::uint64_t nth : {visit_reads / 2, visit_reads * 3 / 4}) {
    // Twice: the second starts where the first broke something, if anything.
    for (int i = 0; i < 2; ++i) {
      port.fail_from(port.reads() + nth);
      ASSERT_FALSE(visit());
      port.fail_from(port.reads() + 1);
      ASSERT_FALSE(visit());
    }
    port.fail_from({});
    expect_states(*scan, cache, expected);
    if (HasFailure()) FAIL() << "read " << nth;
  }
}

TEST(ScanErrors, TheVisitorsErrorEndsTheVisit) {
  Cache cache;
  cache.entries.assign(200000, Entry{});
  EntriesPort port(cache.entries, cache.block_bytes);
  Observer observer;
  auto scan = Scan::run(port, port.geometry(), cache.seq_count, cache.options, observer);
  ASSERT_TRUE(scan);
  int calls = 0;
  auto visited = scan->visit(
      [&](const ClassifiedBatch&) -> Result<void> {
        ++calls;
        return wc::Error{ErrorCode::no_space, 0, 0, "full"};
      },
      observer);
  ASSERT_FALSE(visited);
  EXPECT_EQ(visited.error().code, ErrorCode::no_space);
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(port.is_idle());
}

class CountingObserver : public Observer {
 public:
  explicit CountingObserver(int calls_left) : calls_left_(calls_left) {}
  void on_progress(const wc::Progress& progress) override {
    EXPECT_LE(progress.done_bytes, progress.total_bytes);
    --calls_left_;
    ++calls;
  }
  bool is_cancelled() const noexcept override { return calls_left_ <= 0; }
  int calls = 0;

 private:
  int calls_left_;
};

TEST(ScanErrors, StopsSoonAfterACancel) {
  std::vector<Sector> sectors;
  add_zone_sectors(sectors, 0, 20000);
  const Cache cache = shuffled_cache(sectors, 3, 200000, 13);
  CountingObserver patient(1 << 30);
  EntriesPort counter(cache.entries, cache.block_bytes);
  ASSERT_TRUE(Scan::run(counter, counter.geometry(), cache.seq_count, cache.options, patient));
  ASSERT_GT(patient.calls, 4);
  for (int calls = 0; calls < patient.calls; ++calls) {
    EntriesPort port(cache.entries, cache.block_bytes);
    CountingObserver observer(calls);
    auto scan = Scan::run(port, port.geometry(), cache.seq_count, cache.options, observer);
    ASSERT_FALSE(scan) << calls;
    EXPECT_EQ(scan.error().code, ErrorCode::cancelled);
    EXPECT_EQ(observer.calls, calls);
    EXPECT_TRUE(port.is_idle());
  }
}

}  // namespace
