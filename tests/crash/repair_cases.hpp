// SPDX-License-Identifier: LGPL-2.1-or-later
// RepairCase: a damaged cache, how wc-check is to repair it, and what must be true meanwhile and afterwards.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/crash_sweep.hpp"
#include "writecache/check.hpp"

namespace wc::crash {

/// One damage and its repair. The families `check` and `undo` share them.
struct RepairCase {
  std::string name;
  sim::Bytes cache;   ///< as the repair finds it
  sim::Bytes origin;  ///< empty: the repair does not know it
  /// The same cache under the superblock that the repair must arrive at: it says which blocks are live.
  sim::Bytes sound;
  CheckOptions options;  ///< `undo` is the machine's where `has_undo` says so
  bool has_undo = true;
  bool is_refused = false;  ///< the repair must leave everything as it is
  std::uint32_t logical_block_bytes = 512;
  bool is_canary = false;
  bool sweeps_faults = true;

  sim::MachineImage image() const { return {cache, origin, {}}; }
  sim::MachineOptions machine() const { return {logical_block_bytes, 512, 1U << 20}; }
};

/// Every damage of the table in cli.md, for blocks of 512 and 4096 bytes.
std::vector<RepairCase> repair_cases(std::uint64_t seed);

/// wc::check with the options of the case, on the machine's undo log.
sim::Operation repair_operation(const RepairCase& repair);
/// wc::check as an impatient user runs it: stopped at its first look at the observer, started again and
/// stopped at the second, and so on until it ends.
sim::Operation stopped_repair_operation(const RepairCase& repair);
/// wc::apply_undo; does nothing where the log has no whole header, as then nothing was overwritten.
sim::Operation undo_operation();

/// No data block and nothing of the origin has changed; whatever a repair gave up lies in the undo log.
sim::Verdict verify_data(const RepairCase& repair, const sim::MachineImage& image);
/// Besides, what a reader has is what the driver would have shown, before or after the repair.
sim::Verdict verify_at_any_time(const RepairCase& repair, const sim::MachineImage& image);
/// Repaired: clean, with exactly the content that is to be kept, and the undo log leads back.
sim::Verdict verify_repaired(const RepairCase& repair, const sim::MachineImage& end);
/// The bytes of the cache are those that the first repair found.
sim::Verdict verify_undone(const RepairCase& repair, const sim::MachineImage& end);

}  // namespace wc::crash
