// SPDX-License-Identifier: LGPL-2.1-or-later
// Simulated: one simulated cache device with an undo log, for tests of the store.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "media/entry.hpp"
#include "sim/bytes.hpp"
#include "sim/memory_undo_log.hpp"
#include "sim/sim_disk.hpp"
#include "sim/sim_power.hpp"

namespace wc::test {

/// The cache holds `content`; there is no origin.
struct Simulated {
  explicit Simulated(sim::Bytes content, std::uint32_t logical_block_bytes = 512, std::uint64_t seed = 1)
      : disk({.content = std::move(content), .logical_block_bytes = logical_block_bytes}, {}, seed, power),
        undo({}, seed, power) {}

  sim::SimPower power;
  sim::SimDisk disk;
  sim::MemoryUndoLog undo;
};

/// The area of `n_blocks` entries with a superblock of pattern bytes, rounded up to whole 4 KiB. Entry i
/// holds sector 8 i and sequence 1000 + i.
inline sim::Bytes numbered_entries(BlockIndex n_blocks) {
  sim::Bytes out = sim::pattern(77, round_up(Geometry::entry_offset_bytes(n_blocks), 4096));
  for (BlockIndex i = 0; i < n_blocks; ++i) {
    media::store_entry(out.data() + Geometry::entry_offset_bytes(i), {8 * i, 1000 + i});
  }
  return out;
}

}  // namespace wc::test
