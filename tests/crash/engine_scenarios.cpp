// SPDX-License-Identifier: LGPL-2.1-or-later
// The sweeps of the live engine: one table of workloads, for both types.
#include <functional>

#include "engine_cases.hpp"
#include "scenarios.hpp"

namespace wc::crash {
namespace {

/// What is special of one workload.
struct Workload {
  const char* name;
  std::function<void(EngineCase& it)> adjust;
};

void cache_everything(EngineCase& it) {
  it.options.high_watermark_percent = it.options.low_watermark_percent = 100;
  it.cache_blocks = 40;
}

const std::vector<Workload>& common_workloads() {
  static const std::vector<Workload> all{
      {"writes",
       [](EngineCase& it) {
         cache_everything(it);
         it.is_canary = true;
         it.load.flush_weight = 4;
       }},
      {"overwrites",
       [](EngineCase& it) {
         cache_everything(it);
         it.load.span_blocks = 3;
         it.load.flush_weight = 4;
       }},
      {"fua",
       [](EngineCase& it) {
         it.load.fua_one_in = 2;
         it.load.flush_weight = 0;
       }},
      {"full",
       [](EngineCase& it) {
         it.cache_blocks = 4;
         it.load.requests = 14;
       }},
      {"drain-one-by-one",
       [](EngineCase& it) {
         it.is_canary = true;
         it.cache_blocks = 6;
         it.options.high_watermark_percent = it.options.low_watermark_percent = 0;
         it.options.writeback_jobs = 1;
         it.load.flush_weight = 4;
       }},
      {"overwrite-while-draining",
       [](EngineCase& it) {
         it.options.high_watermark_percent = it.options.low_watermark_percent = 0;
         it.load.fua_one_in = 2;
         it.load.depth = 4;
         it.load.max_blocks = 1;
         it.load.span_blocks = 1;
         it.load.requests = 20;
       }},
      {"discard",
       [](EngineCase& it) {
         it.load.discard_weight = 5;
         it.load.span_blocks = 6;
       }},
      {"discard-while-draining",
       [](EngineCase& it) {
         it.options.high_watermark_percent = it.options.low_watermark_percent = 0;
         it.load.discard_weight = 8;
         it.load.flush_weight = 4;
         it.load.span_blocks = 4;
         it.load.requests = 14;
       }},
      {"cleaner", [](EngineCase& it) { it.load.controls = {ControlKind::cleaner, ControlKind::flush}; }},
      {"flush-and-suspend",
       [](EngineCase& it) {
         cache_everything(it);
         it.load.controls = {ControlKind::flush, ControlKind::suspend};
       }},
      {"flush-on-suspend",
       [](EngineCase& it) {
         cache_everything(it);
         it.load.controls = {ControlKind::flush_on_suspend, ControlKind::suspend, ControlKind::clear_stats};
       }},
      {"metadata-only",
       [](EngineCase& it) {
         it.options.metadata_only = true;
         it.load.metadata_one_in = 2;
         it.load.span_blocks = 5;
       }},
      {"partial",
       [](EngineCase& it) {
         it.options.block_bytes = 1024;
         it.load.requests = 8;
         it.load.partial_one_in = 1;
         it.load.span_blocks = 6;
       }},
      {"dirty-start",
       [](EngineCase& it) {
         it.dirty_entries_seed = it.load.seed;
         it.load.requests = 8;
       }},
      {"autocommit",
       [](EngineCase& it) {
         it.options.autocommit_blocks = 3;
         it.options.autocommit_ms = 5;
         it.load.flush_weight = 0;
         it.load.pause_one_in = 3;
       }},
      {"max-age",
       [](EngineCase& it) {
         cache_everything(it);
         it.options.max_age_ms = 20;
         it.load.pause_one_in = 3;
       }},
      {"end-of-origin", [](EngineCase& it) {
         it.options.block_bytes = 1024;
         it.origin_spare_bytes = 512;
         it.origin_blocks = 4;
         it.load.partial_one_in = 2;
         it.load.requests = 8;
       }},
  };
  return all;
}

const std::vector<Workload>& ssd_workloads() {
  static const std::vector<Workload> all{
      {"no-overwrite",
       [](EngineCase& it) {
         cache_everything(it);
         it.options.block_bytes = 1024;
         it.options.no_overwrite = true;
         it.blocks_are_whole = true;
         it.load.span_blocks = 4;
         it.load.requests = 8;
       }},
      {"reuse",
       [](EngineCase& it) {
         // Two blocks that are freed and handed out again all the time, while entries are written.
         it.cache_blocks = 2;
         it.options.high_watermark_percent = it.options.low_watermark_percent = 0;
         it.load.seed += 2;
         it.load.requests = 24;
         it.load.depth = 6;
         it.load.max_blocks = 1;
         it.load.read_weight = 0;
         it.load.flush_weight = 4;
       }},
      {"sectors-of-4096",
       [](EngineCase& it) {
         it.options.block_bytes = 4096;
         it.logical_block_bytes = 4096;
         it.load.requests = 6;
         it.load.max_blocks = 1;
         it.load.partial_one_in = 2;
       }},
  };
  return all;
}

const std::vector<Workload>& pmem_workloads() {
  static const std::vector<Workload> all{
      {"nofua",
       [](EngineCase& it) {
         it.options.fua = false;
         it.cache_blocks = 5;
         it.options.high_watermark_percent = it.options.low_watermark_percent = 0;
       }},
      {"whole-blocks",
       [](EngineCase& it) {
         cache_everything(it);
         it.options.block_bytes = 1024;
         it.blocks_are_whole = true;
         it.load.span_blocks = 4;
         it.load.requests = 8;
       }},
  };
  return all;
}

void add(std::vector<sim::Scenario>& scenarios, const std::vector<Workload>& workloads, CacheType type,
         std::uint64_t seed) {
  for (const Workload& workload : workloads) {
    EngineCase it;
    it.name = std::string(type == CacheType::pmem ? "engine-p-" : "engine-s-") + workload.name;
    it.options.type = type;
    it.options.block_bytes = 512;
    it.load.seed = seed;
    it.load.requests = 12;
    it.load.depth = 3;
    it.load.max_blocks = 2;
    it.load.span_blocks = 10;
    if (type == CacheType::ssd) {
      it.options.pause_writeback_ms = 0;
    } else {
      it.load.requests = 8;  // many lines are unsettled at once
    }
    workload.adjust(it);
    scenarios.push_back(make_engine_scenario(it));
  }
}

}  // namespace

std::vector<sim::Scenario> engine_s_scenarios(std::uint64_t seed) {
  std::vector<sim::Scenario> scenarios;
  add(scenarios, common_workloads(), CacheType::ssd, seed);
  add(scenarios, ssd_workloads(), CacheType::ssd, seed);
  return scenarios;
}

std::vector<sim::Scenario> engine_p_scenarios(std::uint64_t seed) {
  std::vector<sim::Scenario> scenarios;
  add(scenarios, common_workloads(), CacheType::pmem, seed);
  add(scenarios, pmem_workloads(), CacheType::pmem, seed);
  return scenarios;
}

}  // namespace wc::crash
