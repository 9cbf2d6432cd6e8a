// SPDX-License-Identifier: LGPL-2.1-or-later
// lib/ops/dump*.cpp against references that share no code with it.
#include "writecache/dump.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/image_builder.hpp"
#include "sim/oracle.hpp"
#include "sim/sim_disk.hpp"

namespace wc {
namespace {

using sim::Bytes;
using sim::ImageBuilder;

constexpr std::uint64_t kMemory = std::uint64_t{16} << 20;

/// Two disks that cannot be written.
struct Disks {
  explicit Disks(Bytes cache, Bytes origin = {}, std::uint32_t logical_block_bytes = 512, std::uint64_t seed = 1)
      : port({std::move(cache), logical_block_bytes, 1U << 20, 0, false},
             {std::move(origin), logical_block_bytes, 1U << 20, 0, false}, seed, power) {}
  sim::SimPower power;
  sim::SimDisk port;
  Observer observer;
};

class Cancelled final : public Observer {
 public:
  bool is_cancelled() const noexcept override { return true; }
};

using Row = std::tuple<BlockIndex, Sector, Sequence, EntryState>;

std::vector<Row> listed(IoPort& port, const ListOptions& options, ListReport* report = nullptr) {
  std::vector<Row> rows;
  Observer observer;
  auto done = list_entries(
      port, options,
      [&](std::span<const ListedEntry> batch) -> Result<void> {
        EXPECT_FALSE(batch.empty());
        for (const ListedEntry& e : batch) rows.emplace_back(e.index, e.sector, e.seq_count, e.state);
        return {};
      },
      observer);
  EXPECT_TRUE(done) << done.error().message();
  if (done && report != nullptr) *report = *done;
  return rows;
}

std::vector<Row> reference_rows(const Bytes& cache, EntryStateSet states) {
  const auto reference = sim::read_reference(cache);
  const auto live = reference->live();
  std::vector<Row> rows;
  for (BlockIndex index = 0; index < reference->entries.size(); ++index) {
    const Entry& entry = reference->entries[index];
    EntryState state = EntryState::free;
    if (entry.seq_count < reference->superblock.seq_count) {
      state = live.at(entry.original_sector) == index ? EntryState::live : EntryState::stale;
    } else if (entry.seq_count == reference->superblock.seq_count) {
      state = EntryState::uncommitted;
    } else if (entry.seq_count != ~std::uint64_t{0}) {
      state = EntryState::future;
    }
    if (states.contains(state)) rows.emplace_back(index, entry.original_sector, entry.seq_count, state);
  }
  return rows;
}

Bytes mixed_image(std::uint64_t seed, std::uint64_t n_blocks, std::uint32_t block_bytes = 512) {
  sim::Random random(seed);
  sim::RandomImageOptions options;
  options.block_bytes = block_bytes;
  options.n_blocks = n_blocks;
  options.origin_sectors = n_blocks * block_bytes / 512;
  options.future_one_in = 9;
  options.misaligned_one_in = 20;
  options.beyond_origin_one_in = 20;
  options.identical_one_in = 25;
  return sim::random_image(random, options).build();
}

TEST(ListEntries, GivesEverySetOfStatesInEveryOrder) {
  const Bytes cache = mixed_image(3, 9000, 1024);
  Disks disks(cache);
  for (unsigned bits = 0; bits < 32; ++bits) {
    ListOptions options;
    options.states = {};
    for (unsigned state = 0; state < 5; ++state) {
      if (((bits >> state) & 1U) != 0) {
        options.states = options.states.with(EntryState{static_cast<std::uint8_t>(state)});
      }
    }
    std::vector<Row> expected = reference_rows(cache, options.states);
    if (bits == 31) {
      ASSERT_EQ(expected.size(), 9000U);
    }
    options.order = EntryOrder::index;
    EXPECT_TRUE(listed(disks.port, options) == expected) << bits;
    options.order = EntryOrder::sector;
    std::stable_sort(expected.begin(), expected.end(),
                     [](const Row& a, const Row& b) { return std::get<1>(a) < std::get<1>(b); });
    EXPECT_TRUE(listed(disks.port, options) == expected) << bits;
    expected = reference_rows(cache, options.states);
    options.order = EntryOrder::sequence;
    std::stable_sort(expected.begin(), expected.end(),
                     [](const Row& a, const Row& b) { return std::get<2>(a) < std::get<2>(b); });
    EXPECT_TRUE(listed(disks.port, options) == expected) << bits;
  }
}

TEST(ListEntries, ListsOnlyLiveByDefault) {
  const Bytes cache =
      ImageBuilder(4096, 8).seq_count(7).entry(0, 800, 3).entry(5, 800, 2).entry(6, 808, 7).entry(7, 16, 9).build();
  Disks disks(cache);
  EXPECT_EQ(listed(disks.port, {}), (std::vector<Row>{{0, 800, 3, EntryState::live}}));
}

TEST(ListEntries, SortsMoreEntriesThanFitInMemory) {
  // The 4 MiB left for sorting hold 131072 entries: several rounds.
  const std::uint64_t n_blocks = 300000;
  ImageBuilder builder(512, 1);
  builder.n_blocks(n_blocks).seq_count(1000);
  Bytes cache = builder.build();
  cache.resize(64 + n_blocks * (16 + 512) + 512);
  sim::Random random(5);
  for (BlockIndex i = 0; i < n_blocks; ++i) {
    sim::store_u64(cache, 64 + 16 * i, random.next() >> 30);
    sim::store_u64(cache, 72 + 16 * i, random.below(1000));
  }
  Disks disks(std::move(cache));
  ListOptions options;
  options.states = EntryStateSet::all();
  options.memory_bytes = std::uint64_t{8} << 20;
  options.order = EntryOrder::sector;
  const std::vector<Row> rows = listed(disks.port, options);
  ASSERT_EQ(rows.size(), n_blocks);
  EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return std::tie(std::get<1>(a), std::get<0>(a)) < std::tie(std::get<1>(b), std::get<0>(b));
  }));
}

TEST(ListEntries, CountsWhatItScannedAndNothingWhereItDidNot) {
  const Bytes cache = mixed_image(4, 500);
  Disks disks(cache, sim::make_origin(500));
  ListReport report;
  ListOptions options;
  listed(disks.port, options, &report);
  ASSERT_TRUE(report.counts);
  const EntryCounts& counts = *report.counts;
  EXPECT_EQ(counts.live, reference_rows(cache, EntryStateSet{}.with(EntryState::live)).size());
  EXPECT_EQ(counts.free + counts.live + counts.stale + counts.uncommitted + counts.future, 500U);
  EXPECT_GT(counts.beyond_origin, 0U);
  options.states = EntryStateSet{}.with(EntryState::free).with(EntryState::uncommitted);
  listed(disks.port, options, &report);
  EXPECT_FALSE(report.counts);
}

TEST(ListEntries, ReturnsTheErrorsOfSinkDeviceAndObserver) {
  const Bytes cache = mixed_image(6, 20000);
  for (const EntryOrder order : {EntryOrder::index, EntryOrder::sector}) {
    for (const EntryStateSet states : {EntryStateSet::all(), EntryStateSet{}.with(EntryState::free)}) {
      ListOptions options;
      options.states = states;
      options.order = order;
      const ListSink full = [](auto) -> Result<void> { return Error{ErrorCode::no_space, 28, 0, "full"}; };
      Disks disks(cache);
      auto done = list_entries(disks.port, options, full, disks.observer);
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error().code, ErrorCode::no_space);

      const ListSink take = [](auto) -> Result<void> { return {}; };
      Cancelled cancelled;
      done = list_entries(disks.port, options, take, cancelled);
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error().code, ErrorCode::cancelled);

      disks.port.add_bad_sectors(DeviceId::cache, IoKind::read, 300, 1);
      done = list_entries(disks.port, options, take, disks.observer);
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error().code, ErrorCode::io);
    }
  }
}

template <class Outcome>
ErrorCode code_of(const Outcome& outcome) {
  EXPECT_FALSE(outcome);
  return outcome ? ErrorCode::dirty : outcome.error().code;
}

TEST(Dump, RefusesWhatIsNoCache) {
  const ByteSink bytes = [](auto) -> Result<void> { return {}; };
  const ListSink entries = [](auto) -> Result<void> { return {}; };
  const std::vector<Bytes> images{Bytes(8192),
                                  Bytes(512),
                                  ImageBuilder(4096, 8).version(2).build(),
                                  ImageBuilder(4096, 8).n_blocks(9).build(),
                                  ImageBuilder(4096, 8).n_blocks(~std::uint64_t{0}).build(),
                                  ImageBuilder(4096, 8).block_size(0).build()};
  for (const Bytes& image : images) {
    Disks disks(image, sim::make_origin(64));
    EXPECT_EQ(code_of(list_entries(disks.port, {}, entries, disks.observer)), ErrorCode::not_a_cache);
    EXPECT_EQ(code_of(read_block(disks.port, 0, bytes)), ErrorCode::not_a_cache);
    EXPECT_EQ(code_of(read_merged(disks.port, 0, 1, kMemory, bytes, disks.observer)), ErrorCode::not_a_cache);
    EXPECT_EQ(code_of(dirty_map(disks.port, 8, kMemory, disks.observer)), ErrorCode::not_a_cache);
  }
}

TEST(DumpImage, SavesAllThatCanBeEntriesWhereTheSuperblockDoesNotTell) {
  for (const Bytes& cache : {ImageBuilder(4096, 8).entry(2, 8, 1).version(2).build(),
                             ImageBuilder(4096, 8).entry(2, 8, 1).n_blocks(9).build(),
                             ImageBuilder(4096, 8).entry(2, 8, 1).block_size(0).build()}) {
    Disks disks(cache, {});
    Bytes saved;
    const ImageSink sink = [&](std::uint64_t offset_bytes, std::span<const std::byte> data) -> Result<void> {
      EXPECT_EQ(offset_bytes, saved.size());
      saved.insert(saved.end(), data.begin(), data.end());
      return {};
    };
    ASSERT_TRUE(dump_image(disks.port, sink, disks.observer));
    // Blocks of 512 bytes would make the most entries.
    const auto n_entries = capacity_blocks(cache.size(), kMinBlockBytes);
    ASSERT_TRUE(n_entries);
    ASSERT_EQ(saved.size(), Geometry::entry_offset_bytes(*n_entries));
    EXPECT_TRUE(std::equal(saved.begin(), saved.end(), cache.begin()));
  }
  Disks tiny(Bytes(512), {});
  EXPECT_FALSE(dump_image(tiny.port, [](auto, auto) -> Result<void> { return {}; }, tiny.observer));
}

TEST(ReadBlock, GivesTheBlockWhateverItsEntrySays) {
  for (const std::uint32_t logical : {512U, 4096U}) {
    const ImageBuilder builder = ImageBuilder(4096, 8).seq_count(3).entry(2, 8, 1).entry(7, 16, 9);
    const Bytes cache = builder.build();
    Disks disks(cache, {}, logical);
    for (BlockIndex index = 0; index < 8; ++index) {
      Bytes read;
      ASSERT_TRUE(read_block(disks.port, index, [&](std::span<const std::byte> data) -> Result<void> {
        read.insert(read.end(), data.begin(), data.end());
        return {};
      }));
      const auto at = cache.begin() + static_cast<std::ptrdiff_t>(builder.block_offset_bytes(index));
      EXPECT_EQ(read, Bytes(at, at + 4096)) << index;
    }
    for (const BlockIndex index : {BlockIndex{8}, ~BlockIndex{0}, BlockIndex{1} << 47}) {
      EXPECT_EQ(code_of(read_block(disks.port, index, [](auto) -> Result<void> { return {}; })),
                ErrorCode::invalid_argument);
    }
  }
}

Bytes merged(IoPort& port, Sector sector, Sector count, std::uint64_t memory_bytes = kMemory) {
  Bytes out;
  Observer observer;
  const auto read = read_merged(
      port, sector, count, memory_bytes,
      [&](std::span<const std::byte> data) -> Result<void> {
        out.insert(out.end(), data.begin(), data.end());
        return {};
      },
      observer);
  EXPECT_TRUE(read) << read.error().message();
  return out;
}

Bytes part_of(const Bytes& content, Sector sector, Sector count) {
  const auto begin = content.begin() + static_cast<std::ptrdiff_t>(sector * 512);
  return {begin, begin + static_cast<std::ptrdiff_t>(count * 512)};
}

TEST(ReadMerged, OverlaysTheOriginWithLiveBlocksOnly) {
  constexpr Sector kOrigin = 6144;
  for (const std::uint32_t block_bytes : {512U, 1024U, 2048U, 4096U, 65536U}) {
    for (const std::uint32_t logical : {512U, 4096U}) {
      sim::Random random(block_bytes + logical);
      sim::RandomImageOptions options;
      options.block_bytes = block_bytes;
      options.n_blocks = 4096 * 512 / block_bytes + 40;
      options.origin_sectors = kOrigin;
      options.beyond_origin_one_in = 15;
      options.future_one_in = 15;
      options.identical_one_in = 15;
      Bytes cache = sim::random_image(random, options).build();
      cache.resize((cache.size() + 4095) / 4096 * 4096);
      const Bytes origin = sim::make_origin(kOrigin);
      const Bytes expected = sim::merged_content(cache, origin).origin;
      ASSERT_TRUE(expected != origin);
      Disks disks(cache, origin, logical, random.next());
      EXPECT_TRUE(merged(disks.port, 0, kOrigin) == expected) << block_bytes << " " << logical;
      for (int i = 0; i < 30; ++i) {
        const Sector sector = random.below(kOrigin);
        const Sector count = random.below(std::min<Sector>(kOrigin + 1 - sector, i < 20 ? 40 : kOrigin));
        EXPECT_TRUE(merged(disks.port, sector, count) == part_of(expected, sector, count))
            << block_bytes << " " << logical << " " << sector << "+" << count;
      }
    }
  }
}

TEST(ReadMerged, TakesSeveralWindowsWhereMemoryIsShort) {
  // 1 MiB for the blocks holds 43690 of them; here are 60000 live ones and as many stale ones.
  const std::uint64_t n_blocks = 120000;
  const Sector origin_sectors = 70000;
  ImageBuilder builder(512, n_blocks);
  builder.seq_count(9);
  sim::Random random(8);
  for (BlockIndex i = 0; i < n_blocks / 2; ++i) {
    const Sector sector = (i * 7919) % origin_sectors;  // a prime: no sector twice
    const bool is_newer = random.one_in(2);
    builder.entry(i, sector, is_newer ? 8 : 7).entry(n_blocks - 1 - i, sector, is_newer ? 7 : 8);
  }
  const Bytes cache = builder.build();
  const Bytes origin = sim::make_origin(origin_sectors);
  Disks disks(cache, origin);
  const Bytes expected = sim::merged_content(cache, origin).origin;
  EXPECT_TRUE(merged(disks.port, 0, origin_sectors, 0) == expected);
  EXPECT_TRUE(merged(disks.port, 12345, 50001, 0) == part_of(expected, 12345, 50001));
}

TEST(ReadMerged, SurvivesTheSameSectorInEveryEntry) {
  const std::uint64_t n_blocks = 100000;
  ImageBuilder builder(512, n_blocks);
  builder.seq_count(n_blocks);
  for (BlockIndex i = 0; i < n_blocks; ++i) builder.entry(i, 5, (i * 7919) % n_blocks);
  const Bytes cache = builder.build();
  const Bytes origin = sim::make_origin(64);
  Disks disks(cache, origin);
  EXPECT_TRUE(merged(disks.port, 0, 64, 0) == sim::merged_content(cache, origin).origin);
}

TEST(ReadMerged, CutsMisalignedAndOverhangingBlocks) {
  // The origin ends inside the block at 56; the block at 12 overlaps the one at 8 and wins from there on.
  const Bytes cache = ImageBuilder(4096, 8)
                          .seq_count(5)
                          .entry(0, 8, 1)
                          .entry(1, 12, 2)
                          .entry(2, 56, 3)
                          .entry(3, ~std::uint64_t{0} - 3, 4)
                          .entry(4, std::uint64_t{1} << 55, 4)
                          .build();
  const Bytes origin = sim::make_origin(60);
  Disks disks(cache, origin);
  const auto reference = sim::read_reference(cache);
  Bytes expected = origin;
  const auto put = [&](BlockIndex index, Sector count) {
    std::memcpy(expected.data() + reference->entries[index].original_sector * 512,
                reference->block(cache, index).data(), count * 512);
  };
  put(0, 8);
  put(1, 8);
  put(2, 4);
  EXPECT_TRUE(merged(disks.port, 0, 60) == expected);
  EXPECT_TRUE(merged(disks.port, 13, 2) == part_of(expected, 13, 2));
  EXPECT_TRUE(merged(disks.port, 59, 1) == part_of(expected, 59, 1));
}

TEST(ReadMerged, RefusesRangesBeyondTheOriginAndAMissingOrigin) {
  const Bytes cache = ImageBuilder(4096, 8).seq_count(5).entry(0, 8, 1).build();
  Disks disks(cache, sim::make_origin(64));
  const ByteSink none = [](auto) -> Result<void> {
    ADD_FAILURE();
    return {};
  };
  constexpr Sector kMax = ~std::uint64_t{0};
  for (const auto& [sector, count] : std::vector<std::pair<Sector, Sector>>{
           {0, 65}, {64, 1}, {65, 0}, {kMax, 1}, {1, kMax}, {kMax, kMax}, {Sector{1} << 55, 1}}) {
    EXPECT_EQ(code_of(read_merged(disks.port, sector, count, kMemory, none, disks.observer)),
              ErrorCode::invalid_argument)
        << sector << "+" << count;
  }
  EXPECT_TRUE(read_merged(disks.port, 64, 0, kMemory, none, disks.observer));
  Disks alone(cache);
  EXPECT_EQ(code_of(read_merged(alone.port, 0, 1, kMemory, none, alone.observer)), ErrorCode::invalid_argument);
}

TEST(ReadMerged, NeedsNoSectorOfTheOriginThatTheCacheHolds) {
  const Bytes cache = ImageBuilder(4096, 8).seq_count(5).entry(3, 8, 1).entry(6, 24, 2).build();
  const Bytes origin = sim::make_origin(64);
  Disks disks(cache, origin);
  disks.port.add_bad_sectors(DeviceId::origin, IoKind::read, 10, 3);
  EXPECT_TRUE(merged(disks.port, 0, 64) == sim::merged_content(cache, origin).origin);
  disks.port.add_bad_sectors(DeviceId::origin, IoKind::read, 40, 1);
  const ByteSink take = [](auto) -> Result<void> { return {}; };
  const auto read = read_merged(disks.port, 0, 64, kMemory, take, disks.observer);
  EXPECT_EQ(code_of(read), ErrorCode::io);
  EXPECT_NE(read.error().context.find("origin"), std::string::npos);
  EXPECT_TRUE(read_merged(disks.port, 0, 40, kMemory, take, disks.observer));
}

TEST(ReadMerged, ReportsABlockOfTheCacheThatCannotBeRead) {
  const ImageBuilder builder = ImageBuilder(4096, 64).seq_count(5).entry(3, 8, 1).entry(40, 24, 2);
  Disks disks(builder.build(), sim::make_origin(64));
  disks.port.add_bad_sectors(DeviceId::cache, IoKind::read, builder.block_offset_bytes(40) / 512 + 1, 1);
  const ByteSink take = [](auto) -> Result<void> { return {}; };
  const auto read = read_merged(disks.port, 0, 64, kMemory, take, disks.observer);
  EXPECT_EQ(code_of(read), ErrorCode::io);
  EXPECT_NE(read.error().context.find("cache"), std::string::npos);
  EXPECT_TRUE(read_merged(disks.port, 0, 24, kMemory, take, disks.observer));
}

TEST(ReadMerged, ReturnsTheErrorsOfSinkAndObserver) {
  Disks disks(ImageBuilder(4096, 8).seq_count(5).entry(0, 8, 1).build(), sim::make_origin(8192));
  const ByteSink full = [](auto) -> Result<void> { return Error{ErrorCode::no_space, 28, 0, "full"}; };
  EXPECT_EQ(code_of(read_merged(disks.port, 0, 8192, kMemory, full, disks.observer)), ErrorCode::no_space);
  Cancelled cancelled;
  const ByteSink take = [](auto) -> Result<void> { return {}; };
  EXPECT_EQ(code_of(read_merged(disks.port, 0, 8192, kMemory, take, cancelled)), ErrorCode::cancelled);
}

TEST(DumpImage, HoldsAllMetadataAndIsAcceptedInPlaceOfTheDevice) {
  for (const std::uint64_t n_blocks : {1U, 3U, 700U, 70000U}) {
    ImageBuilder single(512, 1);
    single.seq_count(9).entry(0, 8, 4);
    Bytes cache = n_blocks == 1 ? single.build() : mixed_image(n_blocks, n_blocks);
    cache.resize(cache.size() + 1024);
    Disks disks(cache);
    Bytes image(cache.size());
    std::uint64_t written = 0;
    ASSERT_TRUE(dump_image(
        disks.port,
        [&](std::uint64_t offset_bytes, std::span<const std::byte> data) -> Result<void> {
          std::copy(data.begin(), data.end(), image.begin() + static_cast<std::ptrdiff_t>(offset_bytes));
          written += data.size();
          return {};
        },
        disks.observer));
    EXPECT_EQ(written, 64 + 16 * n_blocks);
    EXPECT_TRUE(std::equal(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(written), cache.begin()));
    Disks copy(image);
    ListOptions all;
    all.states = EntryStateSet::all();
    EXPECT_TRUE(listed(copy.port, all) == listed(disks.port, all));
  }
}

TEST(DumpImage, ReturnsTheErrorsOfSinkDeviceAndObserver) {
  Disks disks(mixed_image(9, 5000));
  int calls = 0;
  const ImageSink full = [&](auto, auto) -> Result<void> {
    if (++calls == 2) return Error{ErrorCode::no_space, 28, 0, "full"};
    return {};
  };
  EXPECT_EQ(code_of(dump_image(disks.port, full, disks.observer)), ErrorCode::no_space);
  const ImageSink take = [](auto, auto) -> Result<void> { return {}; };
  Cancelled cancelled;
  EXPECT_EQ(code_of(dump_image(disks.port, take, cancelled)), ErrorCode::cancelled);
  disks.port.add_bad_sectors(DeviceId::cache, IoKind::read, 50, 1);
  EXPECT_EQ(code_of(dump_image(disks.port, take, disks.observer)), ErrorCode::io);
}

/// The cells that a map must have, and the live blocks in none of them.
std::pair<std::vector<DirtyMap::Cell>, std::uint64_t> reference_cells(const Bytes& cache, const DirtyMap& map) {
  const auto reference = sim::read_reference(cache);
  std::vector<DirtyMap::Cell> cells(map.cells.size());
  std::uint64_t beyond_end = 0;
  for (const auto& [sector, index] : reference->live()) {
    if (sector >= map.origin_sectors) {
      ++beyond_end;
      continue;
    }
    const Sequence sequence = reference->entries[index].seq_count;
    DirtyMap::Cell& cell = cells[sector / map.sectors_per_cell];
    cell = {cell.live + 1, std::min(cell.oldest, sequence), std::max(cell.newest, sequence)};
  }
  return {std::move(cells), beyond_end};
}

TEST(DirtyMap, CountsEveryLiveBlockOnce) {
  for (const std::uint32_t block_bytes : {512U, 4096U}) {
    const Bytes cache = mixed_image(11, 5000, block_bytes);
    const std::uint64_t live = reference_rows(cache, EntryStateSet{}.with(EntryState::live)).size();
    for (const bool has_origin : {true, false}) {
      const Sector per_block = block_bytes / 512;
      const Sector origin_sectors = 5000 * per_block - 3;
      Disks disks(cache, has_origin ? sim::make_origin(origin_sectors) : Bytes{});
      for (const std::size_t cell_count : {1U, 2U, 7U, 64U, 1000U, 5000U, 1U << 20}) {
        auto map = dirty_map(disks.port, cell_count, kMemory, disks.observer);
        ASSERT_TRUE(map);
        ASSERT_LE(map->cells.size(), cell_count);
        ASSERT_EQ(map->sectors_per_cell, map->blocks_per_cell * per_block);
        EXPECT_GE(map->cells.size() * map->sectors_per_cell, map->origin_sectors);
        EXPECT_LT((map->cells.size() - 1) * map->sectors_per_cell, map->origin_sectors);
        if (has_origin) {
          EXPECT_EQ(map->origin_sectors, origin_sectors);
        }
        const auto [expected, beyond_end] = reference_cells(cache, *map);
        EXPECT_EQ(map->beyond_end, beyond_end);
        EXPECT_EQ(has_origin, beyond_end != 0);
        std::uint64_t sum = map->beyond_end;
        for (std::size_t i = 0; i < expected.size(); ++i) {
          sum += map->cells[i].live;
          ASSERT_EQ(map->cells[i].live, expected[i].live);
          ASSERT_EQ(map->cells[i].oldest, expected[i].oldest);
          ASSERT_EQ(map->cells[i].newest, expected[i].newest);
        }
        EXPECT_EQ(sum, live);
      }
    }
  }
}

TEST(DirtyMap, KeepsItsScaleWhereASectorIsImpossible) {
  Disks disks(ImageBuilder(4096, 8)
                  .seq_count(5)
                  .entry(0, 8, 1)
                  .entry(1, kSectorLimit, 2)
                  .entry(2, ~std::uint64_t{0}, 2)
                  .entry(3, 1000, 5)
                  .build());
  auto map = dirty_map(disks.port, 4, kMemory, disks.observer);
  ASSERT_TRUE(map);
  EXPECT_EQ(map->origin_sectors, 16U);
  EXPECT_EQ(map->beyond_end, 2U);
}

TEST(DirtyMap, IsEmptyWhereNothingIsLiveAndNoOriginIsKnown) {
  Disks disks(ImageBuilder(4096, 8).seq_count(5).entry(3, 1000, 5).build());
  auto map = dirty_map(disks.port, 4, kMemory, disks.observer);
  ASSERT_TRUE(map);
  EXPECT_EQ(map->origin_sectors, 0U);
  EXPECT_TRUE(map->cells.empty());
}

TEST(DirtyMap, RefusesSillyNumbersOfCells) {
  Disks disks(ImageBuilder(4096, 8).seq_count(5).build());
  for (const std::size_t cells : {std::size_t{0}, (std::size_t{1} << 20) + 1, ~std::size_t{0}}) {
    EXPECT_EQ(code_of(dirty_map(disks.port, cells, kMemory, disks.observer)), ErrorCode::invalid_argument);
  }
}

}  // namespace
}  // namespace wc
