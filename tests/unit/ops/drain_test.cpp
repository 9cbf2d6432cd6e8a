// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/ops/drain.cpp and what it is made of.
#include "writecache/drain.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "ops/drain_failures.hpp"
#include "sim/image_builder.hpp"
#include "sim/machine.hpp"
#include "sim/oracle.hpp"

namespace {

using ::testing::HasSubstr;
using wc::DeviceId;
using wc::DrainOptions;
using wc::DrainReport;
using wc::ErrorCode;
using wc::IoKind;
using wc::Sector;
using wc::UncommittedPolicy;
using wc::sim::Bytes;
using wc::sim::ImageBuilder;
using wc::sim::Machine;
using wc::sim::MachineImage;
using wc::sim::MachineOptions;

constexpr Sector kOriginSectors = 1024;

Machine machine_with(const ImageBuilder& image, MachineOptions options = {}, Sector origin = kOriginSectors,
                     std::uint64_t seed = 1) {
  return Machine(MachineImage{image.build(), wc::sim::make_origin(origin), {}}, options, seed);
}

wc::Result<DrainReport> drain(Machine& machine, const DrainOptions& options = {}) {
  wc::Observer observer;
  return wc::drain(machine.disk, machine.clock, options, observer);
}

std::size_t used_entries(const Bytes& cache) {
  const auto reference = wc::sim::read_reference(cache);
  return static_cast<std::size_t>(
      std::count_if(reference->entries.begin(), reference->entries.end(),
                    [](const wc::Entry& entry) { return entry.seq_count != wc::kFreeSequence; }));
}

/// Four live blocks, two of them neighbours, one stale and one uncommitted entry over a live one.
ImageBuilder small_cache() {
  return ImageBuilder(4096, 16)
      .seq_count(7)
      .entry(0, 80, 3)
      .entry(1, 88, 3)
      .entry(5, 800, 4)
      .entry(6, 800, 2)
      .entry(9, 16, 6)
      .entry(12, 80, 7);
}

TEST(Drain, WritesEveryLiveBlockAndFreesItsEntry) {
  auto machine = machine_with(small_cache());
  const auto before = machine.durable();
  const auto expected = wc::sim::merged_content(before.cache, before.origin);
  const auto report = drain(machine);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->blocks_total, 4U);
  EXPECT_EQ(report->blocks_written, 4U);
  EXPECT_EQ(report->bytes_written, 4U * 4096);
  EXPECT_EQ(report->blocks_failed, 0U);
  EXPECT_EQ(report->settled_until, wc::kSectorLimit);
  EXPECT_EQ(report->entries_freed, 6U);
  EXPECT_GT(report->nanoseconds, 0U);
  EXPECT_FALSE(report->cancelled);
  const auto after = machine.durable();
  EXPECT_TRUE(after.origin == expected.origin);
  EXPECT_EQ(used_entries(after.cache), 0U);
  EXPECT_EQ(machine.disk.completed(DeviceId::origin, IoKind::write), 3U) << "neighbours are one write";
  const auto again = drain(machine);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->blocks_total, 0U);
  EXPECT_EQ(again->entries_freed, 0U);
}

TEST(Drain, EqualsTheMergedContentWhateverTheGeometry) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    wc::sim::Random random(seed);
    wc::sim::RandomImageOptions image_options;
    image_options.block_bytes = 512U << random.below(4);
    image_options.n_blocks = 1 + random.below(60);
    image_options.origin_sectors = 256;
    image_options.free_one_in = 4;
    const auto image = wc::sim::random_image(random, image_options);
    MachineOptions machine_options;
    machine_options.cache_logical_block_bytes = random.one_in(2) ? 512 : 4096;
    machine_options.origin_logical_block_bytes = random.one_in(2) ? 512 : 4096;
    machine_options.max_io_bytes = random.one_in(2) ? 1U << 20 : 4096;
    auto builder = image;
    builder.spare_bytes(wc::round_up(builder.build().size(), 4096) - builder.build().size());
    Machine machine(MachineImage{builder.build(), wc::sim::make_origin(256), {}}, machine_options, seed);
    const auto before = machine.durable();
    DrainOptions options;
    options.uncommitted = random.one_in(2) ? UncommittedPolicy::drop : UncommittedPolicy::flush;
    options.queue_depth = 1 + static_cast<unsigned>(random.below(4));
    options.verify = random.one_in(3);
    const auto expected = options.uncommitted == UncommittedPolicy::drop
                              ? wc::sim::merged_content(before.cache, before.origin)
                              : wc::sim::merged_with_uncommitted(before.cache, before.origin);
    const auto report = drain(machine, options);
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_EQ(report->blocks_failed, 0U);
    EXPECT_EQ(report->blocks_written, report->blocks_total);
    const auto after = machine.durable();
    ASSERT_TRUE(after.origin == expected.origin) << "seed " << seed;
    ASSERT_EQ(used_entries(after.cache), 0U) << "seed " << seed;
  }
}

TEST(Drain, DryRunWritesNothing) {
  auto machine = machine_with(small_cache());
  const auto before = machine.content();
  DrainOptions options;
  options.dry_run = true;
  const auto report = drain(machine, options);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->blocks_total, 4U);
  EXPECT_EQ(report->blocks_written, 0U);
  EXPECT_EQ(report->entries_freed, 0U);
  EXPECT_EQ(machine.content(), before);
}

TEST(Drain, KeepLeavesTheCacheAsItIs) {
  for (const auto policy : {UncommittedPolicy::drop, UncommittedPolicy::flush}) {
    auto machine = machine_with(small_cache());
    const auto before = machine.content();
    DrainOptions options;
    options.keep = true;
    options.uncommitted = policy;
    const auto report = drain(machine, options);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->blocks_written, 4U);
    EXPECT_EQ(report->entries_freed, 0U);
    EXPECT_TRUE(machine.content().cache == before.cache);
    const auto expected = policy == UncommittedPolicy::drop
                              ? wc::sim::merged_content(before.cache, before.origin)
                              : wc::sim::merged_with_uncommitted(before.cache, before.origin);
    EXPECT_TRUE(machine.durable().origin == expected.origin);
  }
}

TEST(Drain, RangeTouchesOnlyItsBlocks) {
  for (const auto policy : {UncommittedPolicy::drop, UncommittedPolicy::flush}) {
    auto image = small_cache();
    image.entry(13, 24, 7);
    auto machine = machine_with(image);
    const auto before = machine.content();
    DrainOptions options;
    options.range = wc::SectorRange{87, 2};  // the last sector of block 80 and the first of 88
    options.uncommitted = policy;
    const auto report = drain(machine, options);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->blocks_total, 2U);
    EXPECT_EQ(report->blocks_written, 2U);
    EXPECT_EQ(report->entries_freed, 3U);
    const auto after = machine.durable();
    const auto cache = *wc::sim::read_reference(after.cache);
    EXPECT_EQ(cache.entries[0].seq_count, wc::kFreeSequence);
    EXPECT_EQ(cache.entries[12].seq_count, wc::kFreeSequence);
    EXPECT_EQ(cache.entries[5].seq_count, 4U);
    EXPECT_EQ(cache.entries[6].seq_count, 2U);
    EXPECT_EQ(cache.entries[13].seq_count, 7U);
    EXPECT_EQ(cache.superblock.seq_count, 7U) << "uncommitted entries elsewhere were committed";
    const bool drops = policy == UncommittedPolicy::drop;
    const auto expected = wc::sim::merged_content(before.cache, before.origin);
    const auto newer = wc::sim::merged_with_uncommitted(before.cache, before.origin);
    const auto part = [](const Bytes& bytes) { return Bytes(bytes.begin() + 80 * 512, bytes.begin() + 96 * 512); };
    EXPECT_TRUE(part(after.origin) == part(drops ? expected.origin : newer.origin));
    EXPECT_TRUE(std::equal(after.origin.begin(), after.origin.begin() + 80 * 512, before.origin.begin()));
  }
}

TEST(Drain, RefusesAnEmptyRange) {
  auto machine = machine_with(small_cache());
  DrainOptions options;
  options.range = wc::SectorRange{8, 0};
  EXPECT_EQ(drain(machine, options).error().code, ErrorCode::invalid_argument);
}

TEST(Drain, RefusesAQueueDepthOutOfRange) {
  for (const unsigned depth : {0U, 1025U}) {
    auto machine = machine_with(small_cache());
    DrainOptions options;
    options.queue_depth = depth;
    EXPECT_EQ(drain(machine, options).error().code, ErrorCode::invalid_argument);
  }
}

TEST(Drain, RefusesWhatIsNoCache) {
  DrainOptions skips;
  skips.skip_check = true;
  auto damaged = machine_with(small_cache().magic(1));
  EXPECT_EQ(drain(damaged).error().code, ErrorCode::damaged);
  EXPECT_EQ(drain(damaged, skips).error().code, ErrorCode::not_a_cache);
  Machine blank(MachineImage{Bytes(64 << 10), wc::sim::make_origin(64), {}}, {}, 1);
  EXPECT_EQ(drain(blank).error().code, ErrorCode::not_a_cache);
  Machine none(MachineImage{Bytes(16), wc::sim::make_origin(64), {}}, {}, 1);
  EXPECT_EQ(drain(none).error().code, ErrorCode::not_a_cache);
}

TEST(Drain, NeedsAnOrigin) {
  Machine machine(MachineImage{small_cache().build(), {}, {}}, {}, 1);
  EXPECT_EQ(drain(machine).error().code, ErrorCode::invalid_argument);
}

TEST(Drain, RefusesReadOnlyDevicesUnlessItOnlyReadsThem) {
  wc::sim::SimPower power;
  wc::sim::SimClock clock;
  wc::Observer observer;
  for (const bool cache_writable : {false, true}) {
    wc::sim::SimDisk disk({.content = small_cache().build(), .writable = cache_writable},
                          {.content = wc::sim::make_origin(kOriginSectors), .writable = !cache_writable}, 1, power);
    DrainOptions options;
    EXPECT_EQ(wc::drain(disk, clock, options, observer).error().code, ErrorCode::permission);
    options.keep = true;
    EXPECT_EQ(wc::drain(disk, clock, options, observer).has_value(), !cache_writable);
    options.dry_run = true;
    EXPECT_TRUE(wc::drain(disk, clock, options, observer));
  }
}

TEST(Drain, RefusesDamageAndNamesIt) {
  auto machine = machine_with(small_cache().entry(2, 81, 3).entry(3, 240, 30));
  const auto before = machine.content();
  const auto report = drain(machine);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::damaged);
  EXPECT_THAT(report.error().context, HasSubstr("misaligned"));
  EXPECT_THAT(report.error().context, HasSubstr("future"));
  EXPECT_EQ(machine.content(), before);
}

TEST(Drain, SkipCheckIsDeterministicWithAnyDamage) {
  for (std::uint64_t image_seed = 0; image_seed < 20; ++image_seed) {
    std::optional<Bytes> origin;
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      wc::sim::Random random(image_seed);
      wc::sim::RandomImageOptions image_options;
      image_options.block_bytes = 2048;
      image_options.n_blocks = 50;
      image_options.origin_sectors = 128;
      image_options.misaligned_one_in = 2;
      image_options.identical_one_in = 4;
      image_options.future_one_in = 8;
      image_options.beyond_origin_one_in = 8;
      auto image = wc::sim::random_image(random, image_options);
      MachineOptions machine_options;
      machine_options.origin_logical_block_bytes = image_seed % 2 == 0 ? 512 : 4096;
      auto machine = machine_with(image, machine_options, 128, seed);
      DrainOptions options;
      options.skip_check = true;
      options.beyond_end = wc::BeyondEndPolicy::skip;
      options.uncommitted = UncommittedPolicy::flush;
      const auto report = drain(machine, options);
      ASSERT_TRUE(report) << report.error().message();
      EXPECT_EQ(report->blocks_written + report->blocks_failed, report->blocks_total);
      if (!origin) origin = machine.durable().origin;
      ASSERT_TRUE(*origin == machine.durable().origin) << "image " << image_seed << " seed " << seed;
    }
  }
}

TEST(Drain, RefusesABlockBehindTheOriginsEnd) {
  for (const bool skip_check : {false, true}) {
    auto machine = machine_with(small_cache().entry(2, kOriginSectors, 3));
    const auto before = machine.content();
    DrainOptions options;
    options.skip_check = skip_check;
    EXPECT_EQ(drain(machine, options).error().code, ErrorCode::damaged);
    EXPECT_EQ(machine.content(), before);
  }
}

TEST(Drain, SkipsABlockBehindTheOriginsEndWhenTold) {
  for (const bool dry_run : {false, true}) {
    auto machine = machine_with(small_cache().entry(2, kOriginSectors, 3).entry(3, kOriginSectors + 8, 3));
    DrainOptions options;
    options.beyond_end = wc::BeyondEndPolicy::skip;
    options.dry_run = dry_run;
    const auto report = drain(machine, options);
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_EQ(report->blocks_total, 6U);
    EXPECT_EQ(report->blocks_written, dry_run ? 0U : 4U);
    EXPECT_EQ(report->blocks_failed, 2U);
    ASSERT_EQ(report->failed_ranges.size(), 1U);
    EXPECT_EQ(report->failed_ranges[0].first, kOriginSectors);
    EXPECT_EQ(report->failed_ranges[0].count, 16U);
    EXPECT_THAT(report->failed_ranges[0].error, HasSubstr("beyond the end"));
    if (!dry_run) {
      EXPECT_EQ(used_entries(machine.durable().cache), 2U);
    }
  }
}

TEST(Drain, WritesABlockThatStraddlesTheOriginsEndUpToTheEnd) {
  for (const bool verify : {false, true}) {
    auto machine = machine_with(small_cache().entry(2, 1016, 3), {}, 1019);
    const auto before = machine.content();
    const auto expected = wc::sim::make_origin(1019);
    DrainOptions options;
    options.verify = verify;
    const auto report = drain(machine, options);
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_EQ(report->bytes_written, 4U * 4096 + 3 * 512);
    const auto origin = machine.durable().origin;
    const auto block = std::span(before.cache).subspan(small_cache().block_offset_bytes(2), 3 * 512);
    EXPECT_TRUE(std::equal(block.begin(), block.end(), origin.begin() + 1016 * 512));
    EXPECT_EQ(used_entries(machine.durable().cache), 0U);
  }
}

TEST(Drain, ABadSectorCostsOnlyItsBlock) {
  ImageBuilder image(4096, 64);
  image.seq_count(5);
  for (wc::BlockIndex i = 0; i < 40; ++i) image.entry(i, 80 + 8 * i, 2);
  struct Case {
    DeviceId device;
    IoKind kind;
    Sector sector;
    const char* text;
  };
  const Sector of_block_3 = wc::sectors_of_bytes(image.block_offset_bytes(3));
  for (const auto& [device, kind, sector, text] :
       {Case{DeviceId::cache, IoKind::read, of_block_3, "read of the cache: Input/output error"},
        Case{DeviceId::origin, IoKind::write, 80 + 8 * 3, "write to the origin: Input/output error"}}) {
    auto machine = machine_with(image);
    const auto expected = wc::sim::merged_content(machine.content().cache, machine.content().origin);
    machine.disk.add_bad_sectors(device, kind, sector, 9);  // reaches into the next block
    const auto report = drain(machine);
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_EQ(report->blocks_total, 40U);
    EXPECT_EQ(report->blocks_written, 38U);
    EXPECT_EQ(report->blocks_failed, 2U);
    EXPECT_EQ(report->entries_freed, 38U);
    ASSERT_EQ(report->failed_ranges.size(), 1U);
    EXPECT_EQ(report->failed_ranges[0].first, 80U + 24);
    EXPECT_EQ(report->failed_ranges[0].count, 16U);
    EXPECT_EQ(report->failed_ranges[0].error, text);
    EXPECT_EQ(used_entries(machine.durable().cache), 2U);
    machine.disk.clear_faults();
    const auto again = drain(machine);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->blocks_written, 2U);
    EXPECT_TRUE(machine.durable().origin == expected.origin);
  }
}

TEST(Drain, ABadSectorOfTheOriginIsNamedWhenPartOfALogicalBlockIsWritten) {
  MachineOptions options;
  options.origin_logical_block_bytes = 4096;
  auto machine = machine_with(ImageBuilder(512, 16).seq_count(5).entry(0, 9, 2).entry(4, 100, 2), options);
  machine.disk.add_bad_sectors(DeviceId::origin, IoKind::read, 8, 1);
  const auto report = drain(machine);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->blocks_failed, 1U);
  ASSERT_EQ(report->failed_ranges.size(), 1U);
  EXPECT_EQ(report->failed_ranges[0].error, "read of the origin: Input/output error");
  EXPECT_EQ(report->failed_ranges[0].first, 9U);
  EXPECT_EQ(report->failed_ranges[0].count, 1U);
}

TEST(Drain, RetriesBeforeABlockCounts) {
  for (const unsigned retries : {0U, 1U}) {
    auto machine = machine_with(ImageBuilder(4096, 16).seq_count(5).entry(0, 80, 2));
    machine.disk.inject({.device = DeviceId::origin, .kind = IoKind::write, .nth = 0});
    DrainOptions options;
    options.retries = retries;
    const auto report = drain(machine, options);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->blocks_failed, retries == 0 ? 1U : 0U);
    EXPECT_EQ(report->blocks_written, retries == 0 ? 0U : 1U);
  }
}

TEST(Drain, AFailedFlushOfTheOriginFreesNothing) {
  auto machine = machine_with(ImageBuilder(4096, 16).seq_count(5).entry(0, 80, 2).entry(1, 8, 2));
  machine.disk.inject({.device = DeviceId::origin, .kind = IoKind::flush, .nth = 0});
  const auto report = drain(machine);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::io);
  EXPECT_EQ(used_entries(machine.content().cache), 2U);
}

TEST(Drain, EveryFailingOperationLosesNothingAndASecondRunFinishes) {
  MachineOptions machine_options;
  machine_options.origin_logical_block_bytes = 4096;
  for (const auto policy : {UncommittedPolicy::drop, UncommittedPolicy::flush}) {
    for (const auto device : {DeviceId::cache, DeviceId::origin}) {
      for (const auto kind : {IoKind::read, IoKind::write, IoKind::flush}) {
        for (const bool persistent : {false, true}) {
          bool has_failed = true;
          for (std::uint64_t nth = 0; has_failed; ++nth) {
            auto machine = machine_with(small_cache(), machine_options, kOriginSectors, nth);
            const auto before = machine.durable();
            const auto expected = policy == UncommittedPolicy::drop
                                      ? wc::sim::merged_content(before.cache, before.origin)
                                      : wc::sim::merged_with_uncommitted(before.cache, before.origin);
            machine.disk.inject({.device = device, .kind = kind, .nth = nth, .persistent = persistent});
            DrainOptions options;
            options.uncommitted = policy;
            const auto report = drain(machine, options);
            has_failed = machine.disk.has_faulted();
            if (!report) {
              ASSERT_EQ(report.error().code, ErrorCode::io);
            }
            if (!has_failed) {
              ASSERT_TRUE(report && report->blocks_failed == 0);
            }
            machine.disk.clear_faults();
            const auto again = drain(machine, options);
            ASSERT_TRUE(again) << again.error().message();
            ASSERT_TRUE(machine.durable().origin == expected.origin)
                << "device " << static_cast<int>(device) << " kind " << static_cast<int>(kind) << " nth " << nth;
            ASSERT_EQ(used_entries(machine.durable().cache), 0U);
          }
        }
      }
    }
  }
}

/// Writes of some sectors of the origin end up elsewhere, and nobody says so.
class MisdirectingPort final : public wc::IoPort {
 public:
  MisdirectingPort(wc::IoPort& port, Sector from, Sector to) : port_(port), from_(from), to_(to) {}
  wc::DeviceInfo info(DeviceId device) const noexcept override { return port_.info(device); }
  void submit(wc::IoOp& op) noexcept override {
    if (op.kind == IoKind::write && op.device == DeviceId::origin && op.offset_bytes == from_ * 512) {
      op.offset_bytes = to_ * 512;
    }
    port_.submit(op);
  }
  std::size_t poll(wc::Wait wait) override { return port_.poll(wait); }

 private:
  wc::IoPort& port_;
  Sector from_;
  Sector to_;
};

TEST(Drain, VerifyFindsAnOriginThatLies) {
  for (const bool verify : {true, false}) {
    auto machine = machine_with(small_cache());
    MisdirectingPort port(machine.disk, 80, 512);
    DrainOptions options;
    options.verify = verify;
    wc::Observer observer;
    const auto report = wc::drain(port, machine.clock, options, observer);
    ASSERT_TRUE(report);
    if (!verify) {
      EXPECT_EQ(report->blocks_failed, 0U);
      continue;
    }
    EXPECT_EQ(report->blocks_written, 2U);
    EXPECT_EQ(report->blocks_failed, 2U);
    ASSERT_EQ(report->failed_ranges.size(), 1U);
    EXPECT_EQ(report->failed_ranges[0].first, 80U);
    EXPECT_EQ(report->failed_ranges[0].count, 16U);
    EXPECT_THAT(report->failed_ranges[0].error, HasSubstr("verification"));
    EXPECT_EQ(used_entries(machine.durable().cache), 2U);
  }
}

TEST(Drain, HoldsTheRate) {
  ImageBuilder image(4096, 64);
  image.seq_count(5);
  for (wc::BlockIndex i = 0; i < 60; ++i) image.entry(i, 16 * i, 2);
  auto machine = machine_with(image);
  DrainOptions options;
  options.rate_bytes_per_second = 48 << 10;
  const auto report = drain(machine, options);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->blocks_written, 60U);
  // 240 KiB at 48 KiB a second, of which the last block need not be waited for.
  EXPECT_GE(report->nanoseconds, 4'900'000'000U);
  EXPECT_LE(report->nanoseconds, 6'000'000'000U);
}

TEST(Drain, ABatchEndsAfterHalfAMinute) {
  ImageBuilder image(4096, 64);
  image.seq_count(5);
  for (wc::BlockIndex i = 0; i < 60; ++i) image.entry(i, 16 * i, 2);
  auto machine = machine_with(image);
  DrainOptions options;
  options.rate_bytes_per_second = 4096;
  ASSERT_TRUE(drain(machine, options));
  EXPECT_EQ(machine.disk.completed(DeviceId::origin, IoKind::flush), 2U);
}

class StopAfter final : public wc::Observer {
 public:
  explicit StopAfter(int calls) : calls_(calls) {}
  bool is_cancelled() const noexcept override { return calls_-- <= 0; }
  void on_progress(const wc::Progress& progress) override {
    EXPECT_LE(progress.done_bytes, progress.total_bytes);
    if (progress.phase == "drain") last_ = progress;
  }
  wc::Progress last_;

 private:
  mutable int calls_;
};

TEST(Drain, CancelledReportsWhatIsTrueAndLosesNothing) {
  ImageBuilder image(4096, 64);
  image.seq_count(5);
  for (wc::BlockIndex i = 0; i < 60; ++i) image.entry(i, 16 * i, 2);
  bool was_partial = false;
  bool was_cancelled = true;
  for (int calls = 0; was_cancelled; calls += 3) {
    auto machine = machine_with(image);
    const auto expected = wc::sim::merged_content(machine.content().cache, machine.content().origin);
    StopAfter observer(calls);
    const auto report = wc::drain(machine.disk, machine.clock, {}, observer);
    ASSERT_TRUE(report) << report.error().message();
    was_cancelled = report->cancelled;
    const auto after = machine.durable();
    EXPECT_EQ(used_entries(after.cache), 60 - report->blocks_written);
    EXPECT_EQ(report->entries_freed, report->blocks_written);
    EXPECT_EQ(report->settled_until, was_cancelled ? 16 * report->blocks_written : wc::kSectorLimit);
    EXPECT_TRUE(wc::sim::merged_content(after.cache, after.origin) == expected);
    was_partial = was_partial || (report->blocks_written > 0 && report->blocks_written < 60);
    if (!was_cancelled) {
      EXPECT_EQ(observer.last_.done_bytes, 60U * 4096);
      EXPECT_EQ(observer.last_.total_bytes, 60U * 4096);
    }
  }
  EXPECT_TRUE(was_partial);
}

TEST(Drain, JoinsNeighboursAsFarAsItsMemoryAllows) {
  ImageBuilder image(4096, 600);
  image.seq_count(5);
  for (wc::BlockIndex i = 0; i < 512; ++i) image.entry(i, 8 * i, 2);
  for (const auto& [depth, writes] : {std::pair{8U, 2U}, std::pair{64U, 8U}}) {
    auto machine = machine_with(image, {}, 8192);
    wc::DrainOptions options;
    options.queue_depth = depth;
    ASSERT_TRUE(drain(machine, options));
    EXPECT_EQ(machine.disk.completed(DeviceId::origin, IoKind::write), writes);
  }
}

TEST(Drain, JoinsNeighboursThatLieScatteredInTheCache) {
  ImageBuilder image(4096, 64);
  image.seq_count(5);
  for (wc::BlockIndex i = 0; i < 60; ++i) image.entry(i, 8 * ((i * 7) % 60), 2);
  auto machine = machine_with(image);
  const auto expected = wc::sim::merged_content(machine.content().cache, machine.content().origin);
  ASSERT_TRUE(drain(machine));
  EXPECT_EQ(machine.disk.completed(DeviceId::origin, IoKind::write), 1U);
  EXPECT_TRUE(machine.durable().origin == expected.origin);
}

constexpr Sector kSweepSectors = 128;
constexpr std::uint64_t kImagesPerCut = 24;

/// Every sector of every crash image's merged content is old or new, blocks are never mixed unless
/// `torn_allowed`, and a second run completes the job.
void sweep(const ImageBuilder& image, const DrainOptions& options, const MachineOptions& machine_options,
           bool torn_allowed) {
  const auto start = machine_with(image, machine_options, kSweepSectors).durable();
  const auto old_content = wc::sim::merged_content(start.cache, start.origin);
  const auto new_content = options.uncommitted == UncommittedPolicy::flush
                               ? wc::sim::merged_with_uncommitted(start.cache, start.origin)
                               : old_content;
  const std::size_t step = torn_allowed ? 512 : image.block_bytes();
  std::size_t images = 0;
  for (std::uint64_t cut = 0;; ++cut) {
    auto machine = machine_with(image, machine_options, kSweepSectors, cut);
    machine.power.cut_at(cut);
    const auto report = drain(machine, options);
    const wc::sim::CrashImages crash(machine, cut);
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(crash.size(), kImagesPerCut); ++i) {
      const auto number = crash.size() <= kImagesPerCut ? i : (i * 7919) % crash.size();
      const auto found = crash.image(number);
      ++images;
      const auto merged = wc::sim::merged_content(found.cache, found.origin);
      for (std::size_t at = 0; at < merged.origin.size(); at += step) {
        const auto size = std::min(step, merged.origin.size() - at);
        const bool is_old = std::memcmp(&merged.origin[at], &old_content.origin[at], size) == 0;
        const bool is_new = std::memcmp(&merged.origin[at], &new_content.origin[at], size) == 0;
        ASSERT_TRUE(is_old || is_new) << "cut " << cut << " image " << number << " sector " << at / 512;
      }
      Machine rebooted(found, machine_options, i);
      const auto again = drain(rebooted, options);
      ASSERT_TRUE(again) << again.error().message();
      if (!options.range) {
        ASSERT_TRUE(rebooted.durable().origin == new_content.origin) << "cut " << cut << " image " << number;
      }
    }
    if (machine.power.is_on()) {
      ASSERT_TRUE(report);
      break;
    }
  }
  EXPECT_GT(images, 10U);
}

TEST(Drain, SurvivesAPowerCutAnywhere) {
  auto image = ImageBuilder(1024, 40).seq_count(7);
  image.entry(0, 80, 3).entry(1, 82, 3).entry(5, 100, 4).entry(36, 100, 2).entry(9, 16, 6).entry(12, 80, 7);
  image.entry(38, 20, 7).entry(39, 102, 6).entry(30, 102, 5);
  for (const std::uint32_t logical : {512U, 4096U}) {
    MachineOptions machine_options;
    machine_options.origin_logical_block_bytes = logical;
    DrainOptions options;
    sweep(image, options, machine_options, false);
    options.uncommitted = UncommittedPolicy::flush;
    sweep(image, options, machine_options, false);
    options.range = wc::SectorRange{0, 101};
    sweep(image, options, machine_options, false);
  }
}

TEST(Drain, SurvivesAPowerCutWhereUncommittedEntriesStayElsewhere) {
  auto image = ImageBuilder(1024, 40).seq_count(7);
  image.entry(0, 80, 3).entry(36, 80, 2).entry(12, 80, 7).entry(38, 20, 7).entry(39, 102, 7).entry(1, 102, 6);
  DrainOptions options;
  options.uncommitted = UncommittedPolicy::flush;
  options.range = wc::SectorRange{0, 90};
  sweep(image, options, {}, true);
}

TEST(Drain, TakesTheHighestOfSeveralUncommittedEntriesOfASector) {
  auto image = ImageBuilder(4096, 16).seq_count(7).entry(0, 80, 7).entry(3, 80, 7).entry(5, 80, 2).entry(6, 80, 7);
  auto machine = machine_with(image);
  const auto expected = wc::sim::merged_with_uncommitted(machine.content().cache, machine.content().origin);
  DrainOptions options;
  options.uncommitted = UncommittedPolicy::flush;
  const auto report = drain(machine, options);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->entries_freed, 4U);
  EXPECT_EQ(used_entries(machine.durable().cache), 0U);
  EXPECT_TRUE(machine.durable().origin == expected.origin);
}

TEST(FailureList, JoinsSortsAndBounds) {
  wc::ops::FailureList list;
  list.add(16, 8, "a");
  list.add(0, 8, "a");
  list.add(8, 8, "a");
  list.add(24, 8, "b");
  auto ranges = list.take();
  ASSERT_EQ(ranges.size(), 2U);
  EXPECT_EQ(ranges[0].first, 0U);
  EXPECT_EQ(ranges[0].count, 24U);
  EXPECT_EQ(ranges[1].first, 24U);
  EXPECT_EQ(list.listed_until(), wc::kSectorLimit);
  for (Sector i = 0; i < 3 * wc::kFailedRangesMax; ++i) list.add(2 * i, 1, "c");
  ranges = list.take();
  EXPECT_EQ(ranges.size(), wc::kFailedRangesMax);
  EXPECT_EQ(ranges.back().first, 2 * (wc::kFailedRangesMax - 1));
  EXPECT_EQ(list.listed_until(), ranges.back().first + 1);
  EXPECT_TRUE(list.take().empty());
}

}  // namespace
