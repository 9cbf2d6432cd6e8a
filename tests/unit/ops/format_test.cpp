// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/ops/format.cpp.
#include "writecache/format.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "sim/image_builder.hpp"
#include "sim/machine.hpp"
#include "sim/oracle.hpp"
#include "writecache/check.hpp"

namespace {

using wc::ErrorCode;
using wc::FormatOptions;
using wc::Overwrite;
using wc::sim::Bytes;
using wc::sim::ImageBuilder;
using wc::sim::Machine;
using wc::sim::MachineImage;
using wc::sim::MachineOptions;

Machine machine_with(const Bytes& cache, std::uint32_t logical = 512) {
  MachineOptions options;
  options.cache_logical_block_bytes = logical;
  return Machine(MachineImage{cache, {}, {}}, options, 3);
}

/// What no entry looks like.
Bytes noise(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t at = 0; at < size; at += 8) wc::sim::store_u64(bytes, at, wc::sim::mix_bits(at));
  return bytes;
}

class ListSource final : public wc::EntrySource {
 public:
  explicit ListSource(std::vector<Item> items) : items_(std::move(items)) {}
  wc::Result<std::optional<Item>> next() override {
    if (at_ == items_.size()) return std::optional<Item>{};
    return std::optional<Item>{items_[at_++]};
  }

 private:
  std::vector<Item> items_;
  std::size_t at_ = 0;
};

class StopAfter final : public wc::Observer {
 public:
  explicit StopAfter(int calls) : calls_(calls) {}
  bool is_cancelled() const noexcept override { return calls_-- <= 0; }

 private:
  mutable int calls_;
};

ImageBuilder dirty_cache() {
  ImageBuilder image(512, 300);
  image.seq_count(9);
  for (wc::BlockIndex i = 0; i < 300; i += 2) image.entry(i, 8 * i, 3 + i % 4);
  image.entry(1, 8, 9);
  return image;
}

TEST(Format, MakesAnEmptyCacheOfAllThatFits) {
  auto machine = machine_with(noise(1 << 20));
  wc::Observer observer;
  const auto report = wc::format(machine.disk, {}, observer);
  ASSERT_TRUE(report) << report.error().message();
  const auto image = machine.durable().cache;
  const auto cache = wc::sim::read_reference(image);
  ASSERT_TRUE(cache);
  EXPECT_EQ(cache->superblock.n_blocks, *wc::capacity_blocks(1 << 20, 4096));
  EXPECT_EQ(report->geometry.n_blocks, cache->superblock.n_blocks);
  EXPECT_EQ(report->device_bytes, 1U << 20);
  EXPECT_EQ(cache->superblock.seq_count, 0U);
  for (const auto& entry : cache->entries) {
    ASSERT_EQ(entry.seq_count, wc::kFreeSequence);
    ASSERT_EQ(entry.original_sector, wc::kFreeSequence);
  }
  for (auto at = report->geometry.metadata_bytes(); at < report->geometry.data_offset_bytes; ++at) {
    ASSERT_EQ(image[at], std::byte{0}) << at;
  }
  const auto data = static_cast<std::ptrdiff_t>(report->geometry.data_offset_bytes);
  EXPECT_TRUE(std::equal(image.begin() + data, image.end(), noise(1 << 20).begin() + data)) << "data were touched";
}

TEST(Format, HandlesEveryBlockSizeAndOddGeometry) {
  for (std::uint32_t block = 512; block <= 65536; block *= 2) {
    for (const std::uint32_t logical : {512U, 4096U}) {
      for (const std::uint64_t n_blocks : {std::uint64_t{1}, std::uint64_t{27}, std::uint64_t{29}}) {
        auto machine = machine_with(noise((64 << 10) + (n_blocks + 1) * block), logical);
        FormatOptions options;
        options.block_bytes = block;
        options.n_blocks = n_blocks;
        wc::Observer observer;
        const auto report = wc::format(machine.disk, options, observer);
        if (block < logical) {
          ASSERT_FALSE(report);
          EXPECT_EQ(report.error().code, ErrorCode::invalid_argument);
          continue;
        }
        ASSERT_TRUE(report) << report.error().message();
        const auto cache = wc::sim::read_reference(machine.durable().cache);
        ASSERT_TRUE(cache);
        EXPECT_EQ(cache->superblock.n_blocks, n_blocks);
        EXPECT_EQ(cache->superblock.block_size, block);
      }
    }
  }
}

TEST(Format, WritesManyChunksInBoundedMemory) {
  auto machine = machine_with(Bytes(36 << 20));
  FormatOptions options;
  options.block_bytes = 512;
  wc::Observer observer;
  const auto report = wc::format(machine.disk, options, observer);
  ASSERT_TRUE(report);
  EXPECT_GT(report->geometry.data_offset_bytes, 1U << 20);
  const auto cache = wc::sim::read_reference(machine.durable().cache);
  ASSERT_TRUE(cache);
  EXPECT_TRUE(std::all_of(cache->entries.begin(), cache->entries.end(),
                          [](const wc::Entry& entry) { return entry.seq_count == wc::kFreeSequence; }));
}

TEST(Format, RestoresEntries) {
  auto machine = machine_with(Bytes(4 << 20));
  ListSource source({{0, {8, 3}}, {27, {16, 4}}, {28, {24, 5}}, {500, {32, 6}}});
  FormatOptions options;
  options.entries = &source;
  options.seq_count = 6;
  wc::Observer observer;
  const auto report = wc::format(machine.disk, options, observer);
  ASSERT_TRUE(report) << report.error().message();
  const auto cache = wc::sim::read_reference(machine.durable().cache);
  ASSERT_TRUE(cache);
  EXPECT_EQ(cache->superblock.seq_count, 6U);
  EXPECT_EQ(cache->entries[27].original_sector, 16U);
  EXPECT_EQ(cache->entries[28].seq_count, 5U);
  EXPECT_EQ(cache->entries[500].original_sector, 32U);
  EXPECT_EQ(std::count_if(cache->entries.begin(), cache->entries.end(),
                          [](const wc::Entry& entry) { return entry.seq_count == wc::kFreeSequence; }),
            static_cast<std::ptrdiff_t>(cache->entries.size()) - 4);
}

TEST(Format, RefusesEntriesOutOfOrderOrRange) {
  for (const auto& items : {std::vector<wc::EntrySource::Item>{{5, {}}, {5, {}}}, {{6, {}}, {5, {}}}, {{1 << 20, {}}}}) {
    for (const bool dry_run : {false, true}) {
      auto machine = machine_with(Bytes(1 << 20));
      ListSource source(items);
      FormatOptions options;
      options.entries = &source;
      options.dry_run = dry_run;
      wc::Observer observer;
      const auto report = wc::format(machine.disk, options, observer);
      ASSERT_FALSE(report);
      EXPECT_EQ(report.error().code, ErrorCode::invalid_argument);
      EXPECT_FALSE(wc::sim::read_reference(machine.content().cache));
    }
  }
}

TEST(Format, RefusesASequenceWithoutEntries) {
  auto machine = machine_with(Bytes(1 << 20));
  FormatOptions options;
  options.seq_count = 1;
  wc::Observer observer;
  const auto report = wc::format(machine.disk, options, observer);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::invalid_argument);
}

TEST(Format, RefusesADeviceThatIsTooSmall) {
  auto machine = machine_with(Bytes(4096));
  wc::Observer observer;
  const auto report = wc::format(machine.disk, {}, observer);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::no_space);
}

TEST(Format, RefusesWhatOverwriteDoesNotAllow) {
  const auto clean = ImageBuilder(4096, 16).seq_count(7).entry(3, 8, 7).build();  // residue is not live
  const auto dirty = dirty_cache().build();
  const auto damaged = dirty_cache().block_size(77).build();
  struct Case {
    const Bytes* image;
    Overwrite overwrite;
    std::optional<ErrorCode> expected;
  };
  for (const auto& [image, overwrite, expected] :
       {Case{&clean, Overwrite::nothing, ErrorCode::busy}, Case{&clean, Overwrite::clean_cache, std::nullopt},
        Case{&dirty, Overwrite::nothing, ErrorCode::dirty}, Case{&dirty, Overwrite::clean_cache, ErrorCode::dirty},
        Case{&dirty, Overwrite::dirty_cache, std::nullopt}, Case{&damaged, Overwrite::clean_cache, ErrorCode::dirty},
        Case{&damaged, Overwrite::dirty_cache, std::nullopt}}) {
    for (const bool dry_run : {true, false}) {
      auto machine = machine_with(*image);
      FormatOptions options;
      options.overwrite = overwrite;
      options.dry_run = dry_run;
      wc::Observer observer;
      const auto report = wc::format(machine.disk, options, observer);
      ASSERT_EQ(report.has_value(), !expected.has_value());
      if (expected) {
        EXPECT_EQ(report.error().code, *expected);
      } else if (image == &dirty) {
        EXPECT_EQ(report->destroyed_live, 150U);
      }
      if (expected || dry_run) {
        EXPECT_EQ(machine.content().cache, *image);
      }
    }
  }
}

/// A new cache of larger blocks in front of an older one, whose table reaches behind the new one.
Bytes formatted_over(const Bytes& older) {
  auto machine = machine_with(older);
  FormatOptions options;
  options.overwrite = Overwrite::dirty_cache;
  options.block_bytes = 4096;
  wc::Observer observer;
  EXPECT_TRUE(wc::format(machine.disk, options, observer));
  return machine.durable().cache;
}

/// The device after a wipe.
Bytes wiped(const Bytes& image) {
  auto machine = machine_with(image);
  FormatOptions options;
  options.wipe = true;
  options.overwrite = Overwrite::dirty_cache;
  wc::Observer observer;
  EXPECT_TRUE(wc::format(machine.disk, options, observer));
  return machine.durable().cache;
}

TEST(Format, WipesTheFirstFourKibibytes) {
  auto expected = ImageBuilder(512, 300).build();
  const auto after = wiped(expected);
  std::fill_n(expected.begin(), 4096, std::byte{0});
  EXPECT_EQ(after, expected);
}

TEST(Format, NothingOfAWipedDirtyCacheLooksLikeOne) {
  const auto cache = dirty_cache();
  auto lost = cache.build();
  std::fill_n(lost.begin(), wc::kSuperblockBytes, std::byte{0});
  const auto residue = ImageBuilder(512, 300).seq_count(4).entry(270, 8, 4).build();
  const auto older = formatted_over(cache.build());
  auto too_few = cache.build();
  wc::sim::store_u64(too_few, 16, 100);
  for (const auto& before : {cache.build(), lost, residue, older, too_few}) {
    const auto after = wiped(before);
    EXPECT_TRUE(std::all_of(after.begin(), after.begin() + 4096, [](std::byte byte) { return byte == std::byte{0}; }));
    auto machine = machine_with(after);
    wc::Observer observer;
    const auto report = wc::check(machine.disk, {}, observer);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->verdict, wc::Verdict::blank);
    const auto data_at = static_cast<std::ptrdiff_t>(cache.data_offset_bytes());
    EXPECT_TRUE(std::equal(after.begin() + data_at, after.end(), before.begin() + data_at)) << "data were touched";
  }
}

/// What wc-check -y makes of it, if a cache without errors.
std::optional<Bytes> repaired(const Bytes& image) {
  auto machine = machine_with(image);
  wc::CheckOptions options;
  options.mode = wc::RepairMode::repair;
  wc::Observer observer;
  const auto report = wc::check(machine.disk, options, observer);
  if (!report || wc::has_errors(report->remaining)) return std::nullopt;
  return machine.durable().cache;
}

/// After a cut anywhere a repair brings the old cache back as it was, or nothing.
void expect_no_repair_makes_a_different_cache(const Bytes& before) {
  const auto whole = repaired(before);
  ASSERT_TRUE(whole);
  const Bytes origin(200 << 10);
  const auto expected = wc::sim::merged_content(*whole, origin);
  FormatOptions options;
  options.wipe = true;
  options.overwrite = Overwrite::dirty_cache;
  for (std::uint64_t cut = 0;; ++cut) {
    auto machine = machine_with(before);
    machine.power.cut_at(cut);
    wc::Observer observer;
    const auto report = wc::format(machine.disk, options, observer);
    const wc::sim::CrashImages crash(machine, cut);
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(crash.size(), 300); ++i) {
      const auto end = repaired(crash.image(i).cache);
      const auto reference = end ? wc::sim::read_reference(*end) : std::nullopt;
      if (!reference || reference->live().empty()) continue;
      ASSERT_EQ(wc::sim::difference(expected, wc::sim::merged_content(*end, origin)), "") << "cut " << cut;
    }
    if (machine.power.is_on()) {
      ASSERT_TRUE(report);
      break;
    }
  }
}

/// 150 blocks, each with a superseded entry in the second half of the table.
ImageBuilder superseding_cache() {
  auto image = ImageBuilder(512, 300).seq_count(9);
  for (wc::BlockIndex i = 0; i < 300; ++i) image.entry(i, i % 150, i < 150 ? 8 : 2);
  return image;
}

TEST(Format, NoRepairMakesADifferentCacheOfAnInterruptedWipe) {
  expect_no_repair_makes_a_different_cache(superseding_cache().build());
}

TEST(Format, NoRepairMakesADifferentCacheOfAnInterruptedWipeWithoutASuperblock) {
  auto lost = superseding_cache().build();
  std::fill_n(lost.begin(), wc::kSuperblockBytes, std::byte{0});
  expect_no_repair_makes_a_different_cache(lost);
}

TEST(Format, NoRepairMakesADifferentCacheOfAnInterruptedWipeOverAnOlderCache) {
  expect_no_repair_makes_a_different_cache(formatted_over(superseding_cache().build()));
}

TEST(Format, RefusesAReadOnlyDevice) {
  wc::sim::SimPower power;
  wc::sim::SimDisk disk({.content = Bytes(1 << 20), .writable = false}, {}, 1, power);
  wc::Observer observer;
  const auto report = wc::format(disk, {}, observer);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::permission);
  FormatOptions dry;
  dry.dry_run = true;
  EXPECT_TRUE(wc::format(disk, dry, observer));
}

TEST(Format, CancelledLeavesTheDeviceAsItIsOrAnInterruptedFormat) {
  bool was_interrupted = false;
  bool was_cancelled = true;
  for (int calls = 0; was_cancelled; ++calls) {
    const auto before = ImageBuilder(512, 40).seq_count(7).build();
    auto machine = machine_with(before);
    FormatOptions options;
    options.block_bytes = 512;
    options.overwrite = Overwrite::clean_cache;
    StopAfter observer(calls);
    const auto report = wc::format(machine.disk, options, observer);
    was_cancelled = !report;
    if (report) continue;
    EXPECT_EQ(report.error().code, ErrorCode::cancelled);
    const auto image = machine.durable().cache;
    if (image == before) continue;
    was_interrupted = true;
    EXPECT_EQ(wc::sim::load_u32(image, 0), 0U);
    EXPECT_EQ(wc::sim::load_u32(image, 4), 1U);
  }
  EXPECT_TRUE(was_interrupted);
}

TEST(Format, EveryFailingOperationIsReportedAndLeavesNoCacheWithoutASuperblock) {
  for (const auto kind : {wc::IoKind::read, wc::IoKind::write, wc::IoKind::flush}) {
    bool has_failed = true;
    for (std::uint64_t nth = 0; has_failed; ++nth) {
      auto machine = machine_with(dirty_cache().build());
      machine.disk.inject({.kind = kind, .nth = nth});
      FormatOptions options;
      options.overwrite = Overwrite::dirty_cache;
      wc::Observer observer;
      const auto report = wc::format(machine.disk, options, observer);
      has_failed = machine.disk.has_faulted();
      ASSERT_EQ(report.has_value(), !has_failed);
      if (!report) {
        EXPECT_EQ(report.error().code, ErrorCode::io);
      }
    }
  }
}

// Any image that a power cut may leave is either the old cache, untouched, or no cache that holds data.
void sweep(const FormatOptions& options, std::uint32_t logical) {
  const auto before = dirty_cache().build();
  const auto expected = wc::sim::merged_content(before, Bytes(200 << 10));
  std::size_t old_ones = 0;
  std::size_t images = 0;
  for (std::uint64_t cut = 0;; ++cut) {
    auto machine = machine_with(before, logical);
    machine.power.cut_at(cut);
    wc::Observer observer;
    const auto report = wc::format(machine.disk, options, observer);
    const wc::sim::CrashImages crash(machine, cut);
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(crash.size(), 300); ++i) {
      const auto cache = crash.image(i).cache;
      ++images;
      const auto reference = wc::sim::read_reference(cache);
      if (!reference) continue;
      if (reference->superblock.n_blocks == 300) {
        ++old_ones;
        ASSERT_EQ(wc::sim::difference(expected, wc::sim::merged_content(cache, Bytes(200 << 10))), "") << "cut " << cut;
      } else {
        ASSERT_TRUE(reference->live().empty()) << "cut " << cut << " image " << i;
      }
    }
    if (machine.power.is_on()) {
      ASSERT_TRUE(report);
      break;
    }
  }
  EXPECT_GT(old_ones, 0U);
  EXPECT_GT(images, old_ones);
}

TEST(Format, SurvivesAPowerCutAnywhere) {
  for (const std::uint32_t logical : {512U, 4096U}) {
    FormatOptions options;
    options.overwrite = Overwrite::dirty_cache;
    options.n_blocks = 30;
    sweep(options, logical);
    options.wipe = true;
    sweep(options, logical);
  }
}

}  // namespace
