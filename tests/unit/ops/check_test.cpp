// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/ops/check.cpp, examine.cpp, findings.cpp and activation.cpp: what is found and predicted.
#include "unit/ops/check_fixture.hpp"

#include "ops/activation.hpp"

namespace wc::test {
namespace {

using Outcome = Activation::Outcome;

/// Four live entries, S = 9, on 16 blocks.
ImageBuilder sound_cache() {
  return ImageBuilder(4096, 16).seq_count(9).entry(0, 800, 3).entry(1, 808, 8).entry(2, 0, 0).entry(7, 64, 5);
}

TEST(Check, FindsNothingInASoundCache) {
  const Bytes image = sound_cache().build();
  const CheckRun run(image, {}, 4096);
  EXPECT_EQ(run.found(), "");
  EXPECT_EQ(run.report.verdict, Verdict::clean);
  EXPECT_EQ(run.report.counts.live, 4U);
  EXPECT_EQ(run.report.counts.free, 12U);
  EXPECT_EQ(run.report.activation.outcome, Outcome::loads);
  EXPECT_EQ(run.report.activation.frees_entries, 0U);
  EXPECT_EQ(run.cache(), image);
}

TEST(Check, CountsTheNormalResidueOfACrashAsInfo) {
  const CheckRun run(sound_cache().entry(3, 816, 9).entry(4, 800, 2).build(), {});
  EXPECT_EQ(run.found(), "uncommitted stale");
  EXPECT_FALSE(has_errors(run.report.findings));
  EXPECT_EQ(run.report.verdict, Verdict::clean);
  EXPECT_EQ(run.report.activation.frees_entries, 2U);
  EXPECT_EQ(run.report.findings[1].entries, std::vector<BlockIndex>{4});
}

struct SuperblockCase {
  const char* name;
  ImageBuilder image;
  std::optional<std::uint32_t> table_block_bytes;
  const char* found;
  const char* driver_message;
};

class CheckSuperblock : public testing::TestWithParam<SuperblockCase> {};

TEST_P(CheckSuperblock, FindsTheFaultAndPredictsTheRefusal) {
  CheckOptions options;
  options.table_block_bytes = GetParam().table_block_bytes;
  const Bytes image = GetParam().image.build();
  const CheckRun run(image, options);
  EXPECT_EQ(run.found(), GetParam().found);
  EXPECT_EQ(run.report.verdict, Verdict::damaged);
  EXPECT_EQ(run.report.activation.outcome, Outcome::refuses);
  EXPECT_EQ(run.report.activation.driver_message, GetParam().driver_message);
  EXPECT_EQ(run.cache(), image);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, CheckSuperblock,
    testing::Values(
        SuperblockCase{"magic", sound_cache().magic(0x23489320), {}, "bad-magic", "Invalid magic in the superblock"},
        SuperblockCase{"version0", sound_cache().version(0), {}, "bad-version", "Invalid version in the superblock"},
        SuperblockCase{"version2", sound_cache().version(2), {}, "bad-version", "Invalid version in the superblock"},
        SuperblockCase{"block0", sound_cache().block_size(0), {}, "bad-block-size", "Block size does not match superblock"},
        SuperblockCase{"block513", sound_cache().block_size(513), {}, "bad-block-size", "Block size does not match superblock"},
        SuperblockCase{"table", sound_cache(), 512U, "block-size-mismatch", "Block size does not match superblock"},
        SuperblockCase{"count0", sound_cache().n_blocks(0), {}, "bad-n-blocks", "Cannot allocate memory"},
        SuperblockCase{"count2to52", sound_cache().n_blocks(std::uint64_t{1} << 52), {}, "bad-n-blocks", "Overflow in size calculation"},
        SuperblockCase{"countmax", sound_cache().n_blocks(~std::uint64_t{0}), {}, "bad-n-blocks", "Overflow in size calculation"},
        SuperblockCase{"count2to47", sound_cache().n_blocks(std::uint64_t{1} << 47), {}, "bad-n-blocks", "Memory area is too small"},
        SuperblockCase{"count17", sound_cache().n_blocks(17), {}, "area-too-small", "Memory area is too small"},
        SuperblockCase{"format", ImageBuilder().magic(0), {}, "interrupted-format", "Invalid magic in the superblock"},
        SuperblockCase{"formatWithEntries", sound_cache().magic(0), {}, "bad-magic", "Invalid magic in the superblock"}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(Check, PutsTheFaultsOfManyFieldsInOneReport) {
  const CheckRun run(sound_cache().magic(1).version(7).n_blocks(0).build(), {});
  EXPECT_EQ(run.found(), "bad-magic bad-version bad-n-blocks");
}

TEST(Check, ReportsADeviceTooSmallForASuperblock) {
  for (const std::size_t size : {0, 1, 63}) {
    const CheckRun run(Bytes(size), {});
    EXPECT_EQ(run.found(), "area-too-small") << size;
    EXPECT_FALSE(run.report.superblock.has_value());
    EXPECT_EQ(run.report.activation.driver_message, "Invalid device size");
  }
}

TEST(Check, ReportsADeviceTooSmallForOneBlockInTheDriversWords) {
  Bytes cut = sound_cache().build();
  cut.resize(512);
  for (const Bytes& image : {cut, Bytes(512), Bytes(1023)}) {
    const CheckRun run(image, {});
    EXPECT_EQ(run.found(), "area-too-small");
    EXPECT_EQ(run.report.verdict, Verdict::damaged);
    EXPECT_EQ(run.report.findings[0].driver_message, "Invalid device size");
    EXPECT_EQ(run.report.activation.driver_message, "Invalid device size");
  }
}

TEST(Check, JudgesTheRoomForABlockByTheTableLine) {
  CheckOptions options;
  EXPECT_EQ(CheckRun(Bytes(4096), options).found(), "blank");
  options.table_block_bytes = 4096;
  EXPECT_EQ(CheckRun(Bytes(4096), options).found(), "area-too-small");
}

TEST(Check, CallsZerosBlankAndPredictsTheFormat) {
  const CheckRun run(Bytes(1U << 20), {});
  EXPECT_EQ(run.found(), "blank");
  EXPECT_EQ(run.report.verdict, Verdict::blank);
  EXPECT_EQ(run.report.activation.outcome, Outcome::formats);
}

TEST(Check, CallsForeignDataBehindZerosBlank) {
  Bytes image = sim::pattern(0xfeed00000000beef, 1U << 20);
  std::fill_n(image.begin(), 512, std::byte{0});
  const CheckRun run(image, {});
  EXPECT_EQ(run.found(), "blank");
}

TEST(Check, SeesEntriesBehindAZeroedSuperblock) {
  const CheckRun run(sound_cache().bytes_at(0, Bytes(64)).build(), {});
  EXPECT_EQ(run.found(), "zeroed-superblock");
  EXPECT_EQ(run.report.activation.outcome, Outcome::formats);
  EXPECT_EQ(run.report.verdict, Verdict::damaged);
}

TEST(Check, PredictsTheDriversOrderForIdenticalEntries) {
  struct Case {
    std::array<Sequence, 3> sequences;
    const char* message;
    std::uint64_t identical;
  };
  // What the driver did is in doc/format.md.
  for (const Case& c : {Case{{5, 5, 7}, "two identical entries, position 1, sector 80, sequence 5", 2},
                        Case{{7, 5, 5}, "", 0}, Case{{5, 7, 5}, "", 0},
                        Case{{5, 5, 5}, "two identical entries, position 1, sector 80, sequence 5", 3},
                        Case{{5, 7, 7}, "two identical entries, position 2, sector 80, sequence 7", 2}}) {
    ImageBuilder builder = ImageBuilder(4096, 16).seq_count(9);
    for (std::size_t i = 0; i < 3; ++i) builder.entry(i, 80, c.sequences[i]);
    const CheckRun run(builder.build(), {});
    EXPECT_EQ(run.report.activation.driver_message, c.message);
    EXPECT_EQ(run.report.activation.outcome, c.identical == 0 ? Outcome::loads : Outcome::loads_with_error);
    EXPECT_EQ(run.report.counts.identical, c.identical);
    for (const Finding& finding : run.report.findings) {
      if (finding.code == FindingCode::identical) {
        EXPECT_EQ(finding.driver_message, c.message);
      }
    }
    EXPECT_EQ(run.report.counts.live, 1U);
    EXPECT_EQ(run.report.activation.frees_entries, 2U);
  }
}

TEST(Check, FindsEntriesThatPointNowhere) {
  const CheckRun run(sound_cache()
                         .entry(9, 801, 4)
                         .entry(10, std::uint64_t{1} << 54, 4)
                         .entry(11, 4096, 4)
                         .entry(12, 4088, 4)
                         .build(),
                     {}, 4096);
  EXPECT_EQ(run.found(), "misaligned out-of-range beyond-origin");
  EXPECT_EQ(run.report.counts.misaligned, 1U);
  EXPECT_EQ(run.report.counts.out_of_range, 1U);
  EXPECT_EQ(run.report.counts.beyond_origin, 1U);
  EXPECT_EQ(run.report.findings[2].entries, std::vector<BlockIndex>{11});
}

TEST(Check, FindsFutureAndExhaustedSequences) {
  EXPECT_EQ(CheckRun(sound_cache().entry(9, 8, 10).build(), {}).found(), "future");
  EXPECT_EQ(CheckRun(sound_cache().seq_count(~Sequence{0}).build(), {}).found(), "sequence-exhausted");
  const Sequence first = ~Sequence{0} - (Sequence{1} << 32);
  EXPECT_EQ(CheckRun(sound_cache().seq_count(first).build(), {}).found(), "sequence-exhausted");
  EXPECT_EQ(CheckRun(sound_cache().seq_count(first - 1).build(), {}).found(), "");
}

TEST(Check, WarnsOfPaddingAndMentionsSpareRoom) {
  const CheckRun run(sound_cache().pad(1).padding(31, std::byte{1}).spare_bytes(8192).build(), {});
  EXPECT_EQ(run.found(), "pad-not-zero spare-room");
  EXPECT_EQ(run.report.findings[0].severity, Severity::warning);
  EXPECT_EQ(run.report.verdict, Verdict::clean);
}

TEST(Check, DoesNotReadEntriesForTheSuperblockAlone) {
  CheckOptions options;
  options.superblock_only = true;
  const CheckRun run(sound_cache().entry(9, 801, 4).build(), options);
  EXPECT_EQ(run.found(), "");
  EXPECT_EQ(run.report.counts.live, 0U);
}

TEST(Check, RefusesAMemoryBoundThatCannotWork) {
  sim::Machine machine({sound_cache().build(), {}, {}}, {}, 1);
  CheckOptions options;
  options.memory_bytes = kMemoryBytesMin - 1;
  Observer observer;
  const auto result = check(machine.disk, options, observer);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
}

TEST(Activation, JudgesTheTablesBlockSizeFirst) {
  Superblock superblock;
  superblock.block_size = 4096;
  superblock.n_blocks = 1;
  superblock.version = 9;
  EXPECT_EQ(ops::predict_activation(superblock, 1U << 20, 8192U, 4096).driver_message, "Invalid block size");
  EXPECT_EQ(ops::predict_activation(superblock, 8191, 4096U, 4096).driver_message, "Invalid device size");
  EXPECT_EQ(ops::predict_activation(superblock, 8192, 4096U, 4096).driver_message,
            "Invalid version in the superblock");
}

TEST(Activation, LoadsABlockSizeUpToThePageSizeOnly) {
  Superblock superblock;
  superblock.block_size = 16384;
  superblock.n_blocks = 1;
  const auto refused = ops::predict_activation(superblock, 1U << 20, std::nullopt, 4096);
  EXPECT_EQ(refused.outcome, Outcome::refuses);
  EXPECT_EQ(refused.driver_message, "Invalid block size");  // the table line says 16384, as that is how it was made
  EXPECT_EQ(ops::predict_activation(superblock, 1U << 20, std::nullopt, 16384).outcome, Outcome::loads);
  superblock.block_size = 1000;
  EXPECT_EQ(ops::predict_activation(superblock, 1U << 20, std::nullopt, 4096).driver_message,
            "Block size does not match superblock");
}

}  // namespace
}  // namespace wc::test
