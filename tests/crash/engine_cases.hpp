// SPDX-License-Identifier: LGPL-2.1-or-later
// EngineCase: a workload on the live engine, and what must hold of every image that a crash leaves of it.
#pragma once

#include <string>

#include "sim/crash_sweep.hpp"
#include "sim/engine_load.hpp"
#include "writecache/engine.hpp"

namespace wc::crash {

struct EngineCase {
  std::string name;
  EngineOptions options;
  sim::LoadOptions load;
  std::uint64_t cache_blocks = 12;
  std::uint64_t origin_blocks = 16;
  std::uint64_t origin_spare_bytes = 0;   ///< behind the last whole block
  std::uint64_t dirty_entries_seed = 0;   ///< the cache holds seeded entries at the start; 0: it is empty
  std::uint32_t logical_block_bytes = 512;
  bool is_canary = false;
  bool blocks_are_whole = false;  ///< no block is ever torn
};

/// The scenario of a case. Recoveries: the engine again, which must show the merged content and write it back; drain.
sim::Scenario make_engine_scenario(const EngineCase& engine_case);

}  // namespace wc::crash
