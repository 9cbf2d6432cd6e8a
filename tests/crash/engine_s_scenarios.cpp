// SPDX-License-Identifier: LGPL-2.1-or-later
// The sweep of the live engine, type s.
#include "engine_cases.hpp"
#include "scenarios.hpp"

namespace wc::crash {
namespace {

EngineCase small_case(const char* name, std::uint64_t seed) {
  EngineCase result;
  result.name = std::string("engine-s-") + name;
  result.options.block_bytes = 1024;
  result.load.seed = seed;
  result.load.requests = 24;
  result.load.depth = 3;
  result.load.max_blocks = 3;
  return result;
}

}  // namespace

std::vector<sim::Scenario> engine_s_scenarios(std::uint64_t seed) {
  std::vector<EngineCase> cases;
  {
    auto it = small_case("writes", seed);
    it.is_canary = true;
    it.load.flush_weight = 3;
    it.options.high_watermark_percent = 100;
    it.options.low_watermark_percent = 100;
    it.cache_blocks = 40;
    cases.push_back(it);
  }
  {
    auto it = small_case("fua", seed + 1);
    it.load.fua_one_in = 3;
    it.load.flush_weight = 0;
    cases.push_back(it);
  }
  std::vector<sim::Scenario> scenarios;
  for (const auto& it : cases)
    scenarios.push_back(make_engine_scenario(it));
  return scenarios;
}

}  // namespace wc::crash
