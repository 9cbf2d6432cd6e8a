// SPDX-License-Identifier: LGPL-2.1-or-later
// Fuzz target: checking, repairing and undoing an arbitrary cache.
#include "writecache/check.hpp"

#include <string>
#include <utility>

#include "fuzz/fuzz_image.hpp"
#include "fuzz/fuzz_input.hpp"
#include "fuzz/memory_port.hpp"
#include "sim/memory_undo_log.hpp"
#include "sim/oracle.hpp"

namespace wc::fuzz {
namespace {

using sim::Bytes;

constexpr std::size_t kOriginBytes = 64 << 10;

void check_counts(const CheckReport& report, const Bytes& cache) {
  if (!report.geometry) return;
  const EntryCounts& counts = report.counts;
  const std::uint64_t total = counts.free + counts.live + counts.stale + counts.uncommitted + counts.future;
  const auto reference = sim::read_reference(cache);
  if (!reference) return;
  require(report.geometry->n_blocks == reference->entries.size(), "the geometry differs from the reference's");
  if (total == 0) return;  // the superblock only
  require(total == reference->entries.size(), "the counts do not add up to the number of blocks");
  require(counts.live == reference->live().size(), "the number of live entries differs from the reference's");
}

/// Blocks that nothing is wrong with must be there after a repair, with their data.
void check_nothing_lost(const Bytes& before, const Bytes& after, bool has_origin) {
  const std::optional<Sector> origin_sectors =
      has_origin ? std::optional<Sector>(kOriginBytes / kSectorBytes) : std::nullopt;
  const auto kept = sim::undamaged_live_blocks(after, origin_sectors);
  for (const auto& [sector, block] : sim::undamaged_live_blocks(before, origin_sectors)) {
    const auto found = kept.find(sector);
    if (found == kept.end()) fail("the repair lost the block of sector " + std::to_string(sector));
    if (found->second != block) fail("the repair changed the block of sector " + std::to_string(sector));
  }
}

void run(FuzzInput input) {
  CheckOptions options;
  options.memory_bytes = kMemoryBytesMin;
  const std::uint8_t flags = input.u8();
  const bool has_origin = (flags & 1U) != 0;
  const bool is_preen = (flags & 2U) != 0;
  options.rebuild_superblock = (flags & 4U) != 0;
  options.future = (flags & 8U) != 0 ? FuturePolicy::commit : FuturePolicy::drop;
  if ((flags & 16U) != 0) options.table_block_bytes = 512U << (input.u8() % 8U);
  if ((flags & 32U) != 0) options.rebuild_n_blocks = input.u64();
  if ((flags & 64U) != 0) options.rebuild_seq_count = input.u64();
  if ((flags & 128U) != 0) options.page_bytes = 65536;

  MemoryPort::Device cache = take_cache(input);
  if (cache.content.empty()) return;
  const Bytes before = cache.content;
  MemoryPort port(std::move(cache), {has_origin ? Bytes(kOriginBytes) : Bytes(), false, 512});
  Observer observer;

  port.set_writable(DeviceId::cache, false);
  CheckOptions superblock_only = options;
  superblock_only.superblock_only = true;
  require(check(port, superblock_only, observer).has_value(), "a look at the superblock failed");
  const auto seen = check(port, options, observer);
  require(seen.has_value(), "a check failed");
  check_counts(*seen, before);
  require(seen->corrected == 0 && seen->verdict != Verdict::repaired, "a check says that it repaired");
  require(has_errors(seen->findings) == (seen->verdict == Verdict::damaged), "the verdict denies the findings");

  port.set_writable(DeviceId::cache, true);
  sim::SimPower power;
  sim::MemoryUndoLog undo({}, 1, power);
  options.mode = is_preen ? RepairMode::preen : RepairMode::repair;
  options.undo = &undo;
  const auto repaired = check(port, options, observer);
  require(repaired.has_value(), "a repair failed");
  const Bytes after = port.content(DeviceId::cache);
  check_counts(*repaired, after);
  require(repaired->corrected != 0 || after == before, "a repair changed the device without saying so");
  const bool keeps_superblock = !options.table_block_bytes && options.future == FuturePolicy::drop;
  if (is_preen) {
    require(sim::merged_content(before, {}) == sim::merged_content(after, {}), "preening changed the merged content");
  } else if (keeps_superblock && sim::read_reference(before)) {
    check_nothing_lost(before, after, has_origin);
  }

  CheckOptions again = options;
  again.mode = RepairMode::none;
  again.undo = nullptr;
  port.set_writable(DeviceId::cache, false);
  const auto second = check(port, again, observer);
  require(second.has_value(), "the check after a repair failed");
  require(has_errors(second->findings) == has_errors(repaired->remaining), "a repair misreports what remains");
  if (repaired->verdict == Verdict::repaired) {
    require(second->verdict == Verdict::clean, "a second check is not clean after a repair");
    require(second->activation.outcome == Activation::Outcome::loads || options.page_bytes != 4096 ||
                second->superblock->block_size > 4096,
            "the driver would not load what was repaired");
  }

  port.set_writable(DeviceId::cache, true);
  options.undo = nullptr;
  if (!has_errors(repaired->remaining)) {
    const auto nothing = check(port, options, observer);
    require(nothing.has_value() && nothing->corrected == 0, "a second repair finds something to repair");
  }
  if (undo.content().empty()) return;
  require(apply_undo(port, undo, observer).has_value(), "the undo log cannot be applied");
  require(port.content(DeviceId::cache) == before, "the undo log does not bring every byte back");
}

}  // namespace
}  // namespace wc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wc::fuzz::run({data, size});
  return 0;
}
