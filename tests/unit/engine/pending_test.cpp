// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests that an engine that is killed, but not its clients, loses no write that was acknowledged.
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "engine_fixture.hpp"
#include "sim/random.hpp"
#include "writecache/pending_log.hpp"

namespace wc::test {
namespace {

class MemoryPendingLog final : public PendingLog {
 public:
  void add(const PendingBlock& block) noexcept override { blocks_.push_back(block); }
  std::vector<PendingBlock> left() const override { return blocks_; }
  void taken_over(Sequence sequence) noexcept override {
    std::erase_if(blocks_, [&](const PendingBlock& block) { return block.sequence > sequence; });
  }
  std::size_t size() const noexcept { return blocks_.size(); }

 private:
  std::vector<PendingBlock> blocks_;
};

class EnginePending : public testing::TestWithParam<CacheType> {
 protected:
  EngineOptions options() const {
    EngineOptions options = GetParam() == CacheType::pmem ? pmem_options() : ssd_options();
    options.autocommit_blocks = 7;
    return options;
  }
  /// Another engine on what the last one left on devices that never lost power.
  Result<void> restart(EngineBench& bench, PendingLog* log) const {
    bench.engine.reset();
    auto opened = Engine::open({&bench.machine.disk, bench.machine.pmem(), &bench.machine.clock, log}, options());
    if (!opened) return opened.error();
    bench.engine = std::move(*opened);
    return {};
  }
};

TEST_P(EnginePending, WithoutTheLogWhatWasNotCommittedIsGone) {
  EngineBench bench(options(), 16, 32);
  ASSERT_TRUE(bench.write(3, 1, 1).has_value());
  ASSERT_TRUE(restart(bench, nullptr).has_value());
  EXPECT_NE(bench.read(3), block_pattern(1, 4096));
}

TEST_P(EnginePending, AnAcknowledgedWriteSurvivesTheEngine) {
  MemoryPendingLog log;
  EngineBench bench(options(), 16, 32);
  ASSERT_TRUE(restart(bench, &log).has_value());
  ASSERT_TRUE(bench.write(3, 2, 1).has_value());
  EXPECT_EQ(log.size(), 2U);
  ASSERT_TRUE(restart(bench, &log).has_value());
  EXPECT_EQ(bench.read(3), block_pattern(1, 4096));
  EXPECT_EQ(bench.engine->details().uncommitted, 2U);
  ASSERT_TRUE(bench.flush().has_value());
  EXPECT_EQ(bench.engine->details().uncommitted, 0U);
}

TEST_P(EnginePending, ADiscardedBlockDoesNotComeBack) {
  MemoryPendingLog log;
  EngineBench bench(options(), 16, 32);
  ASSERT_TRUE(restart(bench, &log).has_value());
  ASSERT_TRUE(bench.write(3, 1, 1).has_value());
  ASSERT_TRUE(bench.discard(3, 1).has_value());
  ASSERT_TRUE(restart(bench, &log).has_value());
  EXPECT_EQ(bench.engine->status().free, 16U);
}

TEST_P(EnginePending, ALogOfAnotherCacheIsRefused) {
  MemoryPendingLog log;
  log.add({16, 0, 5, false});
  EngineBench bench(options(), 16, 32);
  const auto opened = restart(bench, &log);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::damaged);
}

TEST_P(EnginePending, ACommittedBlockThatTheLogCallsUncommittedIsRefused) {
  EngineBench bench(options(), 16, 32);
  ASSERT_TRUE(bench.write(3, 1, 1).has_value());
  ASSERT_TRUE(bench.flush().has_value());
  MemoryPendingLog log;
  log.add({0, 64, bench.engine->details().seq_count, false});
  const auto opened = restart(bench, &log);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::damaged);
}

/// Many lives on one cache: what was acknowledged in any of them is there, whatever was in flight when it ended.
TEST_P(EnginePending, ManyLivesLoseNothing) {
  constexpr std::uint64_t kOriginBlocks = 24;
  MemoryPendingLog log;
  EngineBench bench(options(), 12, kOriginBlocks);
  sim::Random random(11);
  std::map<std::uint64_t, std::vector<sim::Bytes>>
      allowed;  // by block: one content, or more where a write was in flight
  for (std::uint64_t block = 0; block < kOriginBlocks; ++block)
    allowed[block] = {bench.read(block)};
  std::uint64_t tag = 0;
  for (int life = 0; life < 150; ++life) {
    ASSERT_TRUE(restart(bench, &log).has_value()) << "life " << life;
    for (auto& [block, contents] : allowed) {
      const auto seen = bench.read(block);
      ASSERT_NE(std::find(contents.begin(), contents.end(), seen), contents.end())
          << "life " << life << " block " << block;
      contents = {seen};
    }
    for (std::uint64_t i = random.below(20); i > 0; --i) {
      const std::uint64_t block = random.below(kOriginBlocks);
      if (random.one_in(12)) {
        ASSERT_TRUE(bench.flush().has_value());
      } else {
        ASSERT_TRUE(bench.write(block, 1, ++tag).has_value());
        allowed[block] = {block_pattern(tag, 4096)};
      }
    }
    std::vector<std::unique_ptr<TestRequest>> in_flight;
    for (std::uint64_t block = random.below(4); block < kOriginBlocks && random.below(4) != 0;
         block += 1 + random.below(5)) {
      in_flight.push_back(bench.start_write(block, 1, ++tag));
      allowed[block].push_back(block_pattern(tag, 4096));
    }
    for (std::uint64_t steps = random.below(6); steps > 0; --steps)
      bench.engine->step(Wait::no);
    for (const auto& request : in_flight) {
      if (!request->outcome) continue;
      auto& contents = allowed[request->request.offset_bytes / 4096];
      contents = {contents.back()};
    }
    bench.engine.reset();  // before the memory of what is in flight
  }
}

INSTANTIATE_TEST_SUITE_P(Types, EnginePending, testing::Values(CacheType::ssd, CacheType::pmem),
                         [](const auto& kind) { return kind.param == CacheType::pmem ? "pmem" : "ssd"; });

}  // namespace
}  // namespace wc::test
