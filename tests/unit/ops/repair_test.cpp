// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/ops/repair.cpp, rebuild.cpp and undo.cpp: what is changed, what is kept, what comes back.
#include "unit/ops/check_fixture.hpp"

#include "store/undo_writer.hpp"

namespace wc::test {
namespace {

/// Puts back what `run` changed and compares with `image` byte by byte.
void expect_undo_restores(CheckRun& run, const Bytes& image) {
  Observer observer;
  const auto restored = apply_undo(run.machine.disk, run.machine.undo, observer);
  ASSERT_TRUE(restored.has_value()) << restored.error().message();
  EXPECT_GT(*restored, 0U);
  EXPECT_TRUE(run.cache() == image) << "apply_undo did not restore the image";
}

struct RepairCase {
  const char* name;
  ImageBuilder image;
  const char* found;
  std::uint64_t live_after;
};

ImageBuilder base() {
  return ImageBuilder(4096, 16).seq_count(9).entry(0, 800, 3).entry(1, 808, 8).entry(7, 64, 5);
}

class RepairOne : public testing::TestWithParam<RepairCase> {};

TEST_P(RepairOne, LeavesACleanCacheAndCanBeUndone) {
  const Bytes image = GetParam().image.build();
  for (const std::uint32_t logical : {512U, 4096U}) {
    CheckRun run(image, repair_options(), 4096, logical);
    EXPECT_EQ(run.found(), GetParam().found);
    EXPECT_EQ(run.remaining(), "");
    EXPECT_EQ(run.report.verdict, Verdict::repaired);
    EXPECT_EQ(run.report.counts.live, GetParam().live_after);
    EXPECT_GT(run.report.corrected, 0U);
    EXPECT_EQ(run.report.activation.outcome, Activation::Outcome::loads);
    EXPECT_EQ(run.report.activation.frees_entries, 0U);
    const CheckRun again(run.cache(), {}, 4096);
    EXPECT_EQ(again.found(), "");
    // Blocks that stood and were not damaged still stand.
    const auto before = sim::undamaged_live_blocks(image, 4096);
    const auto after = sim::undamaged_live_blocks(run.cache(), 4096);
    for (const auto& [sector, data] : before) {
      ASSERT_TRUE(after.contains(sector)) << "sector " << sector;
      EXPECT_TRUE(after.at(sector) == data) << "sector " << sector;
    }
    expect_undo_restores(run, image);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Codes, RepairOne,
    testing::Values(RepairCase{"uncommitted", base().entry(3, 800, 9), "uncommitted", 3},
                    RepairCase{"stale", base().entry(3, 800, 1), "stale", 3},
                    RepairCase{"future", base().entry(3, 800, 10), "future", 3},
                    RepairCase{"identicalDiffering", base().entry(3, 64, 5).entry(9, 64, 5), "identical", 3},
                    RepairCase{"misaligned", base().entry(3, 801, 2), "misaligned", 3},
                    RepairCase{"outOfRange", base().entry(3, std::uint64_t{1} << 60, 2), "out-of-range", 3},
                    RepairCase{"beyondOrigin", base().entry(3, 4096, 2), "beyond-origin", 3},
                    RepairCase{"exhausted", base().seq_count(~Sequence{0} - 1), "sequence-exhausted", 3},
                    RepairCase{"padding", base().pad(7), "pad-not-zero", 3},
                    RepairCase{"badMagic", base().magic(7), "bad-magic", 3},
                    RepairCase{"badVersion", base().version(7), "bad-version", 3},
                    RepairCase{"misalignedWithOlder", base().entry(3, 801, 2).entry(4, 801, 1), "misaligned stale", 3}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(Repair, PreenFreesOnlyWhatLosesNothing) {
  CheckOptions options;
  options.mode = RepairMode::preen;
  const CheckRun run(base().entry(3, 800, 1).entry(4, 816, 9).pad(7).build(), options);
  EXPECT_EQ(run.report.corrected, 2U);
  EXPECT_EQ(run.remaining(), "pad-not-zero");
}

TEST(Repair, PreenTouchesNothingBesideAnError) {
  CheckOptions options;
  options.mode = RepairMode::preen;
  const Bytes image = base().entry(3, 800, 1).entry(4, 816, 10).build();
  const CheckRun run(image, options);
  EXPECT_EQ(run.report.corrected, 0U);
  EXPECT_EQ(run.report.verdict, Verdict::damaged);
  EXPECT_EQ(run.cache(), image);
}

TEST(Repair, RaisesTheSequenceAboveFutureEntries) {
  CheckOptions options = repair_options();
  options.future = FuturePolicy::commit;
  const CheckRun run(base().entry(3, 816, 9).entry(4, 800, 12).build(), options, 4096);
  EXPECT_EQ(run.report.superblock->seq_count, 13U);
  EXPECT_EQ(run.remaining(), "");
  // 816 was committed before 12 was, and the new 800 replaces the old one.
  EXPECT_EQ(run.report.counts.live, 4U);
  EXPECT_EQ(run.report.counts.free, 12U);
}

TEST(Repair, KeepsTheLaterOfIdenticalEntriesAndSavesTheOther) {
  const ImageBuilder builder = base().entry(3, 64, 5);
  CheckRun run(builder.build(), repair_options(), 4096);
  const auto reference = sim::read_reference(run.cache());
  EXPECT_EQ(reference->live().at(64), 7U);
  bool saved = false;
  const auto visited = store::visit_undo_backwards(
      run.machine.undo, run.machine.disk.info(DeviceId::cache), [&](const store::UndoRecord& record) {
        if (record.kind == store::UndoKind::data_block) {
          EXPECT_EQ(record.origin_sector, 64U);
          EXPECT_EQ(record.offset_bytes, builder.block_offset_bytes(3));
          saved = true;
        }
        return Result<void>{};
      });
  ASSERT_TRUE(visited.has_value());
  EXPECT_TRUE(saved);
}

TEST(Repair, SavesNoBlockOfIdenticalEntriesWithEqualData) {
  const Bytes data = sim::pattern(5, 4096);
  CheckRun run(base().entry(3, 64, 5).block(3, data).block(7, data).build(), repair_options(), 4096);
  const auto visited = store::visit_undo_backwards(
      run.machine.undo, run.machine.disk.info(DeviceId::cache), [&](const store::UndoRecord& record) {
        EXPECT_NE(record.kind, store::UndoKind::data_block);
        return Result<void>{};
      });
  EXPECT_TRUE(visited.has_value());
  EXPECT_EQ(run.remaining(), "");
}

TEST(Repair, FinishesAnInterruptedFormat) {
  CheckRun run(ImageBuilder(4096, 16).magic(0).build(), repair_options());
  EXPECT_EQ(run.found(), "interrupted-format");
  EXPECT_EQ(run.remaining(), "");
  EXPECT_EQ(run.report.superblock->magic, kMagic);
  EXPECT_EQ(run.report.counts.free, 16U);
}

// --- rebuilding the superblock ---

/// A cache that fills its device, with live entries in the whole table, as the driver leaves one.
ImageBuilder full_size(std::uint32_t block_bytes, std::uint64_t area_bytes, unsigned step = 3) {
  const std::uint64_t count = *capacity_blocks(area_bytes, block_bytes);
  ImageBuilder builder(block_bytes, count);
  builder.seq_count(40);
  for (BlockIndex i = 0; i < count; i += step) {
    builder.entry(i, (i * 7 + 8) * builder.sectors_per_block(), 1 + i % 39);
  }
  builder.entry(count - 1, (count * 7 + 8) * builder.sectors_per_block(), 39);
  builder.spare_bytes(area_bytes - builder.data_offset_bytes() - count * block_bytes);
  return builder;
}

class Rebuild : public testing::TestWithParam<std::uint32_t> {};

TEST_P(Rebuild, FindsTheLostSuperblockFromTheEntries) {
  const ImageBuilder builder = full_size(GetParam(), 1U << 20);
  const Bytes whole = builder.build();
  for (const std::size_t zeroed : {std::size_t{64}, std::size_t{512}, std::size_t{4096}}) {
    if (zeroed >= 64 + 16 * builder.block_count()) continue;
    Bytes image = whole;
    std::fill_n(image.begin(), zeroed, std::byte{0});
    CheckRun run(image, repair_options());
    EXPECT_EQ(run.found(), "zeroed-superblock") << zeroed;
    ASSERT_EQ(run.report.candidates.size(), 1U) << zeroed;
    EXPECT_EQ(run.report.candidates[0].block_bytes, GetParam());
    EXPECT_EQ(run.report.candidates[0].lost, (zeroed - 64) / 16);
    EXPECT_EQ(run.remaining(), "") << zeroed;
    EXPECT_EQ(run.report.superblock->n_blocks, builder.block_count());
    EXPECT_EQ(run.report.superblock->seq_count, 40U);
    // Everything behind the zeros is what it was.
    EXPECT_TRUE(std::equal(whole.begin() + static_cast<std::ptrdiff_t>(zeroed), whole.end(),
                           run.cache().begin() + static_cast<std::ptrdiff_t>(zeroed)));
    if (zeroed == 64) {
      EXPECT_TRUE(run.cache() == whole);
    }
    expect_undo_restores(run, image);
  }
}

TEST_P(Rebuild, CorrectsAWrongBlockSizeAndAWrongCount) {
  const ImageBuilder builder = full_size(GetParam(), 1U << 20);
  const Bytes whole = builder.build();
  for (ImageBuilder broken : {ImageBuilder(builder).block_size(513), ImageBuilder(builder).block_size(0),
                              ImageBuilder(builder).n_blocks(0), ImageBuilder(builder).n_blocks(~std::uint64_t{0}),
                              ImageBuilder(builder).n_blocks(builder.block_count() + 1)}) {
    CheckRun run(broken.build(), repair_options());
    EXPECT_EQ(run.remaining(), "") << run.found();
    EXPECT_TRUE(run.cache() == whole) << run.found();
  }
}

TEST_P(Rebuild, CorrectsTheBlockSizeThatTheTableLineNames) {
  const ImageBuilder builder = full_size(GetParam(), 1U << 20);
  CheckOptions options = repair_options();
  options.table_block_bytes = GetParam();
  const std::uint32_t wrong = GetParam() == 512 ? 1024 : 512;
  const Bytes image = ImageBuilder(builder).block_size(wrong).build();
  // Not without being told to: the table line may be what is wrong.
  if (wrong < GetParam()) {
    const CheckRun untold(image, options);
    EXPECT_EQ(untold.found(), "block-size-mismatch spare-room");
    EXPECT_TRUE(untold.cache() == image);
  }
  options.rebuild_superblock = true;
  const CheckRun run(image, options);
  EXPECT_EQ(run.remaining(), "") << run.found();
  EXPECT_TRUE(run.cache() == builder.build());
}

INSTANTIATE_TEST_SUITE_P(BlockSizes, Rebuild, testing::Values(512U, 1024U, 2048U, 4096U));

TEST(Rebuild, NeverPicksALargerBlockSizeBecauseOfOneDamagedEntry) {
  const ImageBuilder builder = full_size(2048, 1U << 20);
  const BlockIndex middle = builder.block_count() * 3 / 4;
  Bytes image = ImageBuilder(builder).bytes_at(0, Bytes(64)).entry(middle, 0x123456789abcdef1, 1).build();
  const CheckRun run(image, repair_options());
  EXPECT_EQ(run.found(), "zeroed-superblock");
  for (const RebuildCandidate& candidate : run.report.candidates) {
    if (run.report.candidates.size() == 1) {
      EXPECT_EQ(candidate.block_bytes, 2048U);
    }
  }
  if (run.report.candidates.size() > 1) {
    EXPECT_TRUE(run.cache() == image);
  }
}

TEST(Rebuild, ChangesNothingWhenSeveralSuperblocksFit) {
  // A format that was interrupted over a cache with data: either of the two may be wanted.
  const Bytes image = full_size(4096, 1U << 20).magic(0).seq_count(0).build();
  CheckOptions options = repair_options();
  CheckRun run(image, options);
  EXPECT_EQ(run.report.candidates.size(), 2U);
  EXPECT_EQ(run.report.verdict, Verdict::damaged);
  EXPECT_TRUE(run.cache() == image);
  options.rebuild_seq_count = 40;
  CheckRun chosen(image, options);
  EXPECT_EQ(chosen.remaining(), "");
  EXPECT_EQ(chosen.report.superblock->seq_count, 40U);
}

TEST(Rebuild, UsesTheGivenCountOfAGrownDevice) {
  const ImageBuilder builder = full_size(4096, 1U << 20).spare_bytes(1U << 20);
  CheckOptions options = repair_options();
  options.table_block_bytes = 4096;
  options.rebuild_n_blocks = builder.block_count();
  CheckRun run(ImageBuilder(builder).bytes_at(0, Bytes(64)).build(), options);
  EXPECT_EQ(run.remaining(), "spare-room");
  EXPECT_TRUE(run.cache() == builder.build());
}

TEST(Rebuild, RefusesABlockSizeThatTheEntriesContradict) {
  const Bytes image = full_size(512, 1U << 20, 1).bytes_at(0, Bytes(64)).build();
  CheckOptions options = repair_options();
  options.table_block_bytes = 4096;
  options.rebuild_superblock = true;
  const CheckRun run(image, options);
  EXPECT_TRUE(run.report.candidates.empty());
  EXPECT_TRUE(run.cache() == image);
}

TEST(Undo, RefusesAnotherDevicesLog) {
  CheckRun run(base().entry(3, 801, 2).build(), repair_options());
  sim::Machine other({ImageBuilder(4096, 17).build(), {}, run.machine.undo.content()}, {}, 1);
  Observer observer;
  const auto restored = apply_undo(other.disk, other.undo, observer);
  ASSERT_FALSE(restored.has_value());
  EXPECT_EQ(restored.error().code, ErrorCode::invalid_argument);
}

TEST(Undo, IsWrittenBeforeTheDevice) {
  sim::Machine machine({base().entry(3, 801, 2).build(), {}, {}}, {}, 1);
  machine.undo.inject({sim::UndoCall::sync, 0, true, 28});
  CheckOptions options = repair_options();
  options.undo = &machine.undo;
  Observer observer;
  const Bytes before = machine.content().cache;
  const auto result = check(machine.disk, options, observer);
  ASSERT_FALSE(result.has_value());
  EXPECT_TRUE(machine.content().cache == before);
}

}  // namespace
}  // namespace wc::test
