// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests the live engine on both types: content, durability, controls, refusals.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine_fixture.hpp"

namespace wc::test {
namespace {

class BothTypes : public testing::TestWithParam<CacheType> {
 protected:
  static EngineOptions options(std::uint32_t block_bytes = 4096) {
    return GetParam() == CacheType::pmem ? pmem_options(block_bytes) : ssd_options(block_bytes);
  }
};
INSTANTIATE_TEST_SUITE_P(Engine, BothTypes, testing::Values(CacheType::ssd, CacheType::pmem),
                         [](const auto& tested) { return tested.param == CacheType::ssd ? "Ssd" : "Pmem"; });

TEST_P(BothTypes, ReadsWhatWasWrittenAndTheOriginElsewhere) {
  EngineBench bench(options(), 16, 32);
  ASSERT_TRUE(bench.write(3, 2, 7).has_value());
  // Hit, miss, hit: the kernel of type p answers this one wrongly.
  ASSERT_TRUE(bench.write(6, 1, 8).has_value());
  const auto content = bench.read(2, 6);
  const auto at = [&](std::size_t block) {
    const auto begin = content.begin() + static_cast<std::ptrdiff_t>(block * 4096);
    return sim::Bytes(begin, begin + 4096);
  };
  EXPECT_EQ(at(0), bench.origin_block(2));
  EXPECT_EQ(at(1), block_pattern(7, 4096));
  EXPECT_EQ(at(2), block_pattern(7, 4096, 1));
  EXPECT_EQ(at(3), bench.origin_block(5));
  EXPECT_EQ(at(4), block_pattern(8, 4096));
  EXPECT_EQ(at(5), bench.origin_block(7));
}

TEST_P(BothTypes, AWriteIsDurableAfterAFlushAndNotInTheOrigin) {
  EngineBench bench(options(), 16, 32);
  ASSERT_TRUE(bench.write(3, 1, 7).has_value());
  EXPECT_EQ(bench.merged_after_crash(), sim::make_origin(32 * 8));
  ASSERT_TRUE(bench.flush().has_value());
  auto expected = sim::make_origin(32 * 8);
  const auto block = block_pattern(7, 4096);
  std::copy(block.begin(), block.end(), expected.begin() + 3 * 4096);
  EXPECT_EQ(bench.merged_after_crash(), expected);
  EXPECT_EQ(bench.machine.disk.durable(DeviceId::origin), sim::make_origin(32 * 8));
}

TEST_P(BothTypes, FuaMakesOneWriteDurable) {
  EngineBench bench(options(), 16, 32);
  auto request = bench.start_write(9, 1, 5);
  request->request.fua = true;
  ASSERT_TRUE(bench.wait(*request).has_value());
  const auto merged = bench.merged_after_crash();
  const auto block = block_pattern(5, 4096);
  EXPECT_TRUE(std::equal(block.begin(), block.end(), merged.begin() + 9 * 4096));
}

TEST_P(BothTypes, AnOverwriteOfACommittedBlockIsDurableAfterTheNextFlush) {
  EngineBench bench(options(), 16, 32);
  for (const std::uint64_t tag : {1U, 2U, 3U}) {
    ASSERT_TRUE(bench.write(4, 1, tag).has_value());
    ASSERT_TRUE(bench.flush().has_value());
    const auto merged = bench.merged_after_crash();
    const auto block = block_pattern(tag, 4096);
    EXPECT_TRUE(std::equal(block.begin(), block.end(), merged.begin() + 4 * 4096)) << tag;
    EXPECT_EQ(bench.read(4), block);
  }
}

TEST_P(BothTypes, PartsOfBlocksAreWrittenOverWhatIsThere) {
  EngineBench bench(options(), 16, 32);
  auto expected = bench.machine.disk.content(DeviceId::origin);
  const auto write = [&](std::uint64_t offset, std::uint64_t bytes, std::uint64_t tag) {
    ASSERT_TRUE(bench.wait(*bench.start_write_bytes(offset, bytes, tag)).has_value());
    const auto content = sim::pattern(tag, bytes);
    std::copy(content.begin(), content.end(), expected.begin() + static_cast<std::ptrdiff_t>(offset));
  };
  write(5 * 4096 + 512, 1024, 1);      // inside one block
  write(5 * 4096 + 1024, 512, 2);      // over it
  write(6 * 4096 + 512, 3 * 4096, 3);  // parts at both ends
  write(0, 512, 4);
  write(32 * 4096 - 512, 512, 5);
  EXPECT_EQ(bench.read(0, 32), expected);
  EXPECT_EQ(bench.read_bytes(6 * 4096 + 1024, 4096),
            sim::Bytes(expected.begin() + 6 * 4096 + 1024, expected.begin() + 7 * 4096 + 1024));
  ASSERT_TRUE(bench.control(ControlKind::flush).has_value());
  EXPECT_EQ(bench.machine.disk.content(DeviceId::origin), expected);
}

TEST_P(BothTypes, OverlappingWritesInFlightEndInTheOrderOfSubmission) {
  EngineBench bench(options(), 16, 32);
  std::vector<std::unique_ptr<TestRequest>> requests;
  for (std::uint64_t tag = 1; tag <= 20; ++tag)
    requests.push_back(bench.start_write(2 + tag % 3, 2, tag));
  TestRequest read(RequestKind::read, 4 * 4096, 4096);
  bench.engine->submit(read.request);
  for (const auto& request : requests)
    ASSERT_TRUE(bench.wait(*request).has_value());
  ASSERT_TRUE(bench.wait(read).has_value());
  // 20 % 3 = 2: the last one covers blocks 4 and 5.
  EXPECT_EQ(bench.read(4, 2), sim::pattern(20, 2 * 4096));
  EXPECT_TRUE(std::equal(read.memory.get(), read.memory.get() + 4096, sim::pattern(20, 4096).begin()));
}

TEST_P(BothTypes, ARequestLargerThanTheCacheIsWrittenWhole) {
  EngineBench bench(options(), 4, 64);
  ASSERT_TRUE(bench.write(1, 40, 9).has_value());
  ASSERT_TRUE(bench.flush().has_value());
  EXPECT_EQ(bench.read(1, 40), sim::pattern(9, 40 * 4096));
  const auto merged = bench.merged_after_crash();
  const auto content = sim::pattern(9, 40 * 4096);
  EXPECT_TRUE(std::equal(content.begin(), content.end(), merged.begin() + 4096));
}

TEST_P(BothTypes, TheFlushMessageWritesEverythingBackAndFreesIt) {
  EngineBench bench(options(), 32, 64);
  for (const std::uint64_t block : {40U, 3U, 41U, 7U, 8U})
    ASSERT_TRUE(bench.write(block, 1, block).has_value());
  ASSERT_TRUE(bench.control(ControlKind::flush).has_value());
  EXPECT_EQ(bench.engine->status().free, 32U);
  EXPECT_EQ(bench.engine->status().writeback, 0U);
  for (const std::uint64_t block : {40U, 3U, 41U, 7U, 8U})
    EXPECT_EQ(bench.origin_block(block), block_pattern(block, 4096));
  EXPECT_TRUE(sim::read_reference(bench.machine.durable().cache)->live().empty());
}

TEST_P(BothTypes, WatermarksBoundWhatIsUsed) {
  auto wanted = options();
  wanted.high_watermark_percent = 50;
  wanted.low_watermark_percent = 30;
  EngineBench bench(wanted, 20, 64);
  // No neighbours, which would go together.
  for (std::uint64_t i = 0; i < 10; ++i)
    ASSERT_TRUE(bench.write(2 * i, 1, i + 1).has_value());
  ASSERT_TRUE(bench.flush().has_value());
  bench.settle();
  // Free at 50 %: 10; writeback goes on while at most 14 are free.
  EXPECT_EQ(bench.engine->status().free, 15U);
  for (std::uint64_t i = 0; i < 5; ++i)
    EXPECT_EQ(bench.origin_block(2 * i), block_pattern(i + 1, 4096));
  EXPECT_NE(bench.origin_block(10), block_pattern(6, 4096));
}

TEST_P(BothTypes, OldBlocksAreWrittenBackWhenTheirTimeHasCome) {
  auto wanted = options();
  wanted.max_age_ms = 1600;
  wanted.autocommit_ms = 100;
  EngineBench bench(wanted, 20, 64);
  ASSERT_TRUE(bench.write(1, 1, 1).has_value());
  bench.machine.clock.advance_ns(1'000'000'000);
  ASSERT_TRUE(bench.write(3, 1, 2).has_value());
  bench.settle();
  EXPECT_EQ(bench.engine->status().free, 18U);
  bench.machine.clock.advance_ns(700'000'000);
  bench.settle();
  EXPECT_EQ(bench.engine->status().free, 19U);
  EXPECT_EQ(bench.origin_block(1), block_pattern(1, 4096));
  // First the commit, then its age.
  while (const auto deadline = bench.engine->next_deadline_ns()) {
    bench.machine.clock.advance_ns(*deadline - bench.machine.clock.now_ns());
    bench.settle();
  }
  EXPECT_EQ(bench.engine->status().free, 20U);
}

TEST_P(BothTypes, AutocommitComesByTimeAndByBlocks) {
  auto wanted = options();
  wanted.autocommit_blocks = 3;
  wanted.autocommit_ms = 500;
  EngineBench bench(wanted, 20, 64);
  ASSERT_TRUE(bench.write(1, 1, 1).has_value());
  bench.settle();
  EXPECT_EQ(bench.engine->details().uncommitted, 1U);
  ASSERT_TRUE(bench.engine->next_deadline_ns().has_value());
  bench.machine.clock.advance_ns(500'000'000);
  bench.settle();
  EXPECT_EQ(bench.engine->details().uncommitted, 0U);
  EXPECT_EQ(bench.engine->details().seq_count, 6U);
  EXPECT_FALSE(bench.engine->next_deadline_ns().has_value());
  ASSERT_TRUE(bench.write(2, 3, 2).has_value());
  bench.settle();
  EXPECT_EQ(bench.engine->details().seq_count, 7U);
}

TEST_P(BothTypes, ADiscardFreesTheEntriesDurablyAndPassesOn) {
  EngineBench bench(options(), 16, 32);
  ASSERT_TRUE(bench.write(3, 4, 7).has_value());
  ASSERT_TRUE(bench.flush().has_value());
  ASSERT_TRUE(bench.write(4, 1, 8).has_value());
  ASSERT_TRUE(bench.discard(4, 2).has_value());
  EXPECT_EQ(bench.engine->status().free, 14U);
  EXPECT_EQ(bench.engine->status().discards, 2U);
  EXPECT_EQ(bench.machine.disk.completed(DeviceId::origin, IoKind::discard), 1U);
  const auto live = sim::read_reference(bench.machine.durable().cache)->live();
  EXPECT_EQ(live.size(), 2U);
  EXPECT_FALSE(live.contains(4 * 8));
}

TEST_P(BothTypes, ADiscardOfMoreBlocksThanTheCacheHasFreesOnlyItsRange) {
  EngineBench bench(options(), 8, 64);
  ASSERT_TRUE(bench.write(3, 1, 7).has_value());
  ASSERT_TRUE(bench.write(40, 1, 8).has_value());
  ASSERT_TRUE(bench.write(60, 1, 9).has_value());
  ASSERT_TRUE(bench.discard(10, 50).has_value());
  EXPECT_EQ(bench.engine->status().free, 6U);
  EXPECT_EQ(bench.read(3), block_pattern(7, 4096));
  EXPECT_EQ(bench.read(60), block_pattern(9, 4096));
}

TEST_P(BothTypes, CleanerWritesBackAndCachesNothingNew) {
  EngineBench bench(options(), 16, 32);
  ASSERT_TRUE(bench.write(3, 4, 7).has_value());
  ASSERT_TRUE(bench.control(ControlKind::cleaner).has_value());
  bench.settle();
  EXPECT_EQ(bench.engine->status().free, 16U);
  ASSERT_TRUE(bench.write(9, 2, 8).has_value());
  EXPECT_EQ(bench.engine->status().free, 16U);
  EXPECT_EQ(bench.engine->status().writes_around, 2U);
  ASSERT_TRUE(bench.flush().has_value());
  EXPECT_EQ(bench.origin_block(9), block_pattern(8, 4096));
}

TEST_P(BothTypes, MetadataOnlyCachesMarkedWritesAndThoseOfCachedBlocks) {
  auto wanted = options();
  wanted.metadata_only = true;
  EngineBench bench(wanted, 16, 32);
  ASSERT_TRUE(bench.write(1, 1, 1).has_value());
  EXPECT_EQ(bench.engine->status().free, 16U);
  auto marked = bench.start_write(2, 1, 2);
  marked->request.is_metadata = true;
  ASSERT_TRUE(bench.wait(*marked).has_value());
  EXPECT_EQ(bench.engine->status().free, 15U);
  ASSERT_TRUE(bench.write(2, 1, 3).has_value());
  EXPECT_NE(bench.origin_block(2), block_pattern(3, 4096));
  EXPECT_EQ(bench.read(2), block_pattern(3, 4096));
}

TEST_P(BothTypes, RequestsWaitWhileSuspended) {
  EngineBench bench(options(), 16, 32);
  ASSERT_TRUE(bench.write(1, 1, 1).has_value());
  ASSERT_TRUE(bench.control(ControlKind::suspend).has_value());
  EXPECT_TRUE(bench.engine->details().is_suspended);
  EXPECT_EQ(bench.engine->details().uncommitted, 0U);
  auto write = bench.start_write(2, 1, 2);
  for (int i = 0; i < 20; ++i)
    bench.engine->step(Wait::for_one);
  EXPECT_FALSE(write->outcome.has_value());
  ASSERT_TRUE(bench.control(ControlKind::resume).has_value());
  ASSERT_TRUE(bench.wait(*write).has_value());
  EXPECT_EQ(bench.read(2), block_pattern(2, 4096));
}

TEST_P(BothTypes, FlushOnSuspendWritesEverythingBackOnce) {
  EngineBench bench(options(), 16, 32);
  ASSERT_TRUE(bench.write(1, 3, 1).has_value());
  ASSERT_TRUE(bench.control(ControlKind::flush_on_suspend).has_value());
  EXPECT_EQ(bench.engine->status().free, 13U);
  ASSERT_TRUE(bench.control(ControlKind::suspend).has_value());
  EXPECT_EQ(bench.engine->status().free, 16U);
  ASSERT_TRUE(bench.control(ControlKind::resume).has_value());
  ASSERT_TRUE(bench.write(1, 3, 1).has_value());
  ASSERT_TRUE(bench.control(ControlKind::suspend).has_value());
  EXPECT_EQ(bench.engine->status().free, 13U);
}

TEST_P(BothTypes, CloseCommitsAndRefusesWhatWasHeld) {
  EngineBench bench(options(), 16, 32);
  ASSERT_TRUE(bench.write(1, 1, 1).has_value());
  ASSERT_TRUE(bench.control(ControlKind::suspend).has_value());
  const auto held = bench.start_write(2, 1, 2);
  ASSERT_TRUE(bench.engine->close().has_value());
  ASSERT_TRUE(held->outcome.has_value());
  EXPECT_FALSE(held->outcome->has_value());
  EXPECT_EQ(sim::read_reference(bench.machine.durable().cache)->live().size(), 1U);
}

TEST_P(BothTypes, ADestroyedEngineLeavesNothingInFlight) {
  EngineBench bench(options(), 16, 32);
  const auto write = bench.start_write(1, 3, 1);
  TestRequest flush(RequestKind::flush, 0, 0);
  bench.engine->submit(flush.request);
  bench.engine->step(Wait::no);
  bench.engine.reset();
  EXPECT_EQ(bench.machine.disk.poll(Wait::for_one), 0U);
}

TEST_P(BothTypes, TheReadOnlyViewShowsTheMergedContentAndWritesNothing) {
  sim::Random random(4);
  auto image = sim::random_image(random, {.n_blocks = 24, .origin_sectors = 256});
  auto wanted = options();
  wanted.read_only = true;
  EngineBench bench(wanted, image.build(), sim::make_origin(256));
  ASSERT_TRUE(bench.engine) << bench.error->message();
  const auto before = bench.machine.content();
  EXPECT_EQ(bench.read(0, 32), sim::merged_content(before.cache, before.origin).origin);
  EXPECT_EQ(bench.write(1, 1, 1).error().code, ErrorCode::permission);
  EXPECT_EQ(bench.discard(1, 1).error().code, ErrorCode::permission);
  EXPECT_TRUE(bench.flush().has_value());
  EXPECT_EQ(bench.control(ControlKind::flush).error().code, ErrorCode::permission);
  ASSERT_TRUE(bench.engine->close().has_value());
  EXPECT_EQ(bench.machine.content(), before);
  EXPECT_TRUE(bench.machine.is_settled());
}

TEST_P(BothTypes, StartsOnACrashedCacheAsActivationDoes) {
  sim::Random random(5);
  const auto image = sim::random_image(random, {.n_blocks = 24, .origin_sectors = 256}).build();
  const auto merged = sim::merged_content(image, sim::make_origin(256)).origin;
  EngineBench bench(options(), image, sim::make_origin(256));
  ASSERT_TRUE(bench.engine) << bench.error->message();
  EXPECT_EQ(bench.read(0, 32), merged);
  const auto reference = *sim::read_reference(bench.machine.durable().cache);
  const auto live = reference.live();
  for (BlockIndex i = 0; i < reference.entries.size(); ++i) {
    const bool is_live = reference.is_committed(i) && live.at(reference.entries[i].original_sector) == i;
    EXPECT_EQ(is_live, reference.entries[i].seq_count != kFreeSequence) << i;
  }
}

TEST_P(BothTypes, RefusesBadRequestsWithoutAChange) {
  EngineBench bench(options(), 16, 32);
  const auto code = [&](RequestKind kind, std::uint64_t offset, std::uint64_t bytes) {
    TestRequest request(kind, offset, bytes);
    bench.engine->submit(request.request);
    const auto outcome = bench.wait(request);
    return outcome ? std::optional<ErrorCode>() : outcome.error().code;
  };
  EXPECT_EQ(code(RequestKind::write, 100, 512), ErrorCode::invalid_argument);
  EXPECT_EQ(code(RequestKind::write, 512, 100), ErrorCode::invalid_argument);
  EXPECT_EQ(code(RequestKind::read, 32 * 4096, 512), ErrorCode::invalid_argument);
  EXPECT_EQ(code(RequestKind::write, 31 * 4096, 8192), ErrorCode::invalid_argument);
  EXPECT_EQ(code(RequestKind::discard, 512, ~std::uint64_t{0} - 511), ErrorCode::invalid_argument);
  EXPECT_EQ(code(RequestKind::read, 32 * 4096, 0), std::nullopt);
  EXPECT_EQ(code(RequestKind::write, ~std::uint64_t{0} - 511, 512), ErrorCode::invalid_argument);
  EXPECT_EQ(bench.engine->status().writes, 0U);
  EXPECT_EQ(bench.engine->status().free, 16U);
}

TEST_P(BothTypes, OpensOnlyWhatIsSoundAndFitsTheTable) {
  const auto origin = sim::make_origin(256);
  const auto error_of = [&](EngineOptions wanted, sim::Bytes cache) {
    const EngineBench bench(wanted, std::move(cache), origin);
    return bench.error.value_or(Error{ErrorCode::cancelled, 0, 0, "it opened"});
  };
  const auto sound = sim::ImageBuilder(4096, 8).seq_count(5).build();
  EXPECT_EQ(error_of(options(), sound).context, "it opened");
  EXPECT_EQ(error_of(options(512), sound).context, "Block size does not match superblock");
  EXPECT_EQ(error_of(options(), sim::ImageBuilder(4096, 8).magic(5).build()).context,
            "Invalid magic in the superblock");
  EXPECT_EQ(error_of(options(), sim::Bytes(65536)).code, ErrorCode::not_a_cache);
  EXPECT_EQ(error_of(options(), sim::ImageBuilder(4096, 8).seq_count(5).entry(1, 8, 9).build()).code,
            ErrorCode::damaged);
  EXPECT_EQ(error_of(options(), sim::ImageBuilder(4096, 8).seq_count(5).entry(1, 256, 3).build()).code,
            ErrorCode::damaged);
  auto wanted = options(700);
  EXPECT_EQ(error_of(wanted, sound).context, "Invalid block size");
  wanted = options();
  wanted.low_watermark_percent = 60;
  EXPECT_EQ(error_of(wanted, sound).context, "High watermark must be greater than or equal to low watermark");
  wanted = options();
  wanted.max_age_ms = 86'400'001;
  EXPECT_EQ(error_of(wanted, sound).context, "Invalid optional argument");
}

TEST_P(BothTypes, FormatsABlankCacheOnlyIfAskedTo) {
  auto wanted = options();
  wanted.format_blank = true;
  EngineBench bench(wanted, sim::Bytes(20 * 4096), sim::make_origin(256));
  ASSERT_TRUE(bench.engine) << bench.error->message();
  ASSERT_TRUE(bench.write(1, 1, 1).has_value());
  ASSERT_TRUE(bench.engine->close().has_value());
  EXPECT_EQ(sim::read_reference(bench.machine.durable().cache)->live().size(), 1U);
}

TEST_P(BothTypes, TheFirstErrorStaysAndReadsGoOn) {
  EngineBench bench(options(), 16, 32);
  ASSERT_TRUE(bench.write(1, 1, 1).has_value());
  ASSERT_TRUE(bench.flush().has_value());
  bench.machine.disk.inject({DeviceId::origin, IoKind::write, 0, true});
  EXPECT_FALSE(bench.control(ControlKind::flush).has_value());
  bench.machine.disk.clear_faults();
  EXPECT_EQ(bench.engine->status().error, 1U);
  EXPECT_FALSE(bench.write(2, 1, 2).has_value());
  EXPECT_FALSE(bench.flush().has_value());
  EXPECT_FALSE(bench.discard(1, 1).has_value());
  EXPECT_EQ(bench.read(1), block_pattern(1, 4096));
  EXPECT_FALSE(bench.engine->close().has_value());
  EXPECT_EQ(sim::read_reference(bench.machine.durable().cache)->live().size(), 1U);
}

TEST(EngineSsd, AFailedReadConcernsOnlyItsRequest) {
  EngineBench bench(ssd_options(), 16, 32);
  bench.machine.disk.add_bad_sectors(DeviceId::origin, IoKind::read, 8, 1);
  TestRequest read(RequestKind::read, 4096, 4096);
  bench.engine->submit(read.request);
  EXPECT_FALSE(bench.wait(read).has_value());
  EXPECT_EQ(bench.engine->status().error, 0U);
  EXPECT_TRUE(bench.write(1, 1, 1).has_value());
}

TEST(EngineSsd, AFreshBlockWhoseDataFailedShowsTheOldContent) {
  EngineBench bench(ssd_options(), 16, 32);
  bench.machine.disk.inject({DeviceId::cache, IoKind::write, 0, true});
  EXPECT_FALSE(bench.write(1, 1, 1).has_value());
  EXPECT_EQ(bench.read(1), bench.origin_block(1));
  EXPECT_EQ(bench.engine->status().error, 1U);
}

TEST(EngineSsd, PauseHoldsBackgroundWritebackAfterAWriteAround) {
  auto options = ssd_options();
  options.pause_writeback_ms = 3000;
  options.high_watermark_percent = options.low_watermark_percent = 0;
  options.metadata_only = true;
  EngineBench bench(options, 16, 32);
  ASSERT_TRUE(bench.write(9, 1, 9).has_value());  // around
  auto marked = bench.start_write(1, 1, 1);
  marked->request.is_metadata = true;
  ASSERT_TRUE(bench.wait(*marked).has_value());
  ASSERT_TRUE(bench.flush().has_value());
  bench.settle();
  EXPECT_EQ(bench.engine->status().free, 15U);
  const auto deadline = bench.engine->next_deadline_ns();
  ASSERT_TRUE(deadline.has_value());
  bench.machine.clock.advance_ns(*deadline - bench.machine.clock.now_ns());
  bench.settle();
  EXPECT_EQ(bench.engine->status().free, 16U);
}

TEST(EngineSsd, TheEndOfAnOriginInsideABlockIsServedUncached) {
  EngineBench bench(ssd_options(), sim::ImageBuilder(4096, 8).seq_count(5).build(), sim::make_origin(17));
  ASSERT_EQ(bench.engine->size_bytes(), 17 * 512U);
  ASSERT_TRUE(bench.wait(*bench.start_write_bytes(4096 + 512, 4096, 3)).has_value());
  EXPECT_EQ(bench.read_bytes(4096 + 512, 4096), sim::pattern(3, 4096));
  EXPECT_EQ(bench.engine->status().writes_around, 1U);
  EXPECT_EQ(bench.engine->status().free, 7U);
}

}  // namespace
}  // namespace wc::test
