// SPDX-License-Identifier: LGPL-2.1-or-later
// The scenarios of the crash sweep, one family for each command.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/crash_sweep.hpp"

namespace wc::crash {

/// wc-format: over a blank device, a clean cache, a dirty one; wiping; finishing; restoring entries.
std::vector<sim::Scenario> format_scenarios(std::uint64_t seed);

/// wc-check -p and -y: every damage, and a mixture of them.
std::vector<sim::Scenario> check_scenarios(std::uint64_t seed);

/// wc-check --apply-undo: of finished repairs, and of some that were interrupted in between.
std::vector<sim::Scenario> undo_scenarios(std::uint64_t seed);

/// wc-flush: every option, residue of every kind, and devices with other logical blocks.
std::vector<sim::Scenario> drain_scenarios(std::uint64_t seed);

/// The live engine under load, type s and type p.
std::vector<sim::Scenario> engine_s_scenarios(std::uint64_t seed);
std::vector<sim::Scenario> engine_p_scenarios(std::uint64_t seed);

}  // namespace wc::crash
