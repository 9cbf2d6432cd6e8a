// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests the engine under long seeded loads: every read is checked on the way, and everything at the end.
#include <gtest/gtest.h>

#include "engine_fixture.hpp"
#include "sim/engine_load.hpp"
#include "sim/engine_oracle.hpp"

namespace wc::test {
namespace {

struct LoadCase {
  const char* name;
  void (*adjust)(EngineOptions& options, sim::LoadOptions& load);
};

const LoadCase kCases[] = {
    {"plain", [](EngineOptions&, sim::LoadOptions&) {}},
    {"fua", [](EngineOptions&, sim::LoadOptions& load) { load.fua_one_in = 4; }},
    {"discard", [](EngineOptions&, sim::LoadOptions& load) { load.discard_weight = 4; }},
    {"partial", [](EngineOptions&, sim::LoadOptions& load) { load.partial_one_in = 2; }},
    {"everything",
     [](EngineOptions& options, sim::LoadOptions& load) {
       options.max_age_ms = 50;
       options.autocommit_blocks = 5;
       options.writeback_jobs = 3;
       load.discard_weight = 3;
       load.partial_one_in = 3;
       load.fua_one_in = 8;
       load.pause_one_in = 40;
       load.controls = {ControlKind::flush, ControlKind::suspend, ControlKind::flush_on_suspend, ControlKind::suspend,
                        ControlKind::flush, ControlKind::cleaner, ControlKind::suspend};
     }},
    {"metadata",
     [](EngineOptions& options, sim::LoadOptions& load) {
       options.metadata_only = true;
       load.metadata_one_in = 2;
       load.discard_weight = 2;
     }},
    {"watermarks at zero",
     [](EngineOptions& options, sim::LoadOptions&) {
       options.high_watermark_percent = options.low_watermark_percent = 0;
     }},
    {"deep", [](EngineOptions&, sim::LoadOptions& load) { load.depth = 40; }},
};

void run(CacheType type, bool no_overwrite, std::uint64_t seed, const LoadCase& the_case) {
  EngineOptions options = type == CacheType::pmem ? pmem_options(1024) : ssd_options(1024);
  options.no_overwrite = no_overwrite;
  sim::LoadOptions load_options;
  load_options.seed = seed;
  load_options.requests = 1500;
  load_options.depth = 8;
  load_options.max_blocks = 5;
  load_options.discard_weight = 0;
  the_case.adjust(options, load_options);
  EngineBench bench(options, 3 + seed % 60, 48);
  ASSERT_TRUE(bench.engine) << bench.error->message();
  sim::EngineOracle oracle(sim::make_origin(48 * 2));
  sim::EngineLoad load(*bench.engine, oracle, bench.machine.clock, load_options);
  EXPECT_TRUE(load.run(true));
  EXPECT_EQ(load.violation(), "");
  EXPECT_EQ(oracle.check_image(bench.merged_after_crash()), "");
  const sim::Bytes seen = bench.read(0, 48);
  ASSERT_TRUE(bench.control(ControlKind::flush).has_value());
  EXPECT_EQ(bench.engine->status().free, bench.engine->status().n_blocks);
  EXPECT_TRUE(bench.machine.content().origin == seen);
  EXPECT_TRUE(bench.engine->close().has_value());
}

TEST(EngineLoad, EveryAnswerIsRightWhateverTheLoad) {
  for (const LoadCase& the_case : kCases) {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
      SCOPED_TRACE(std::string(the_case.name) + ", seed " + std::to_string(seed));
      run(CacheType::ssd, false, seed * 11, the_case);
      run(CacheType::ssd, true, seed * 11 + 1, the_case);
      run(CacheType::pmem, false, seed * 11 + 2, the_case);
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace wc::test
