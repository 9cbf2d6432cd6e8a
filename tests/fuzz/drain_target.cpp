// SPDX-License-Identifier: LGPL-2.1-or-later
// Fuzz target: draining an arbitrary cache to a small origin.
#include "writecache/drain.hpp"

#include <algorithm>
#include <utility>

#include "fuzz/fuzz_image.hpp"
#include "fuzz/fuzz_input.hpp"
#include "fuzz/memory_port.hpp"
#include "sim/image_builder.hpp"
#include "sim/oracle.hpp"
#include "sim/sim_clock.hpp"

namespace wc::fuzz {
namespace {

using sim::Bytes;

/// Whole blocks of every size, so that no aligned block lies on the origin in part.
constexpr Sector kWholeSectors = (128 << 10) / kSectorBytes;

/// Live blocks that lie on the origin only in part, or overlap others: the reference knows no merged content.
bool has_odd_blocks(const Bytes& cache, const DrainOptions& options) {
  const auto reference = sim::read_reference(cache);
  const auto per_block = reference->superblock.block_size / kSectorBytes;
  for (const Entry& entry : reference->entries) {
    const bool counts = entry.seq_count < reference->superblock.seq_count ||
                        (options.uncommitted == UncommittedPolicy::flush &&
                         entry.seq_count == reference->superblock.seq_count);
    if (counts && entry.original_sector % per_block != 0) return true;
  }
  return false;
}

void check_complete(const Bytes& cache, const Bytes& origin, const MemoryPort& port, const DrainOptions& options) {
  if (has_odd_blocks(cache, options)) return;
  const bool flushes = options.uncommitted == UncommittedPolicy::flush;
  const auto expected = flushes ? sim::merged_with_uncommitted(cache, origin) : sim::merged_content(cache, origin);
  require(port.content(DeviceId::origin) == expected.origin, "the origin is not the merged content");
  const auto merged = sim::merged_content(port.content(DeviceId::cache), port.content(DeviceId::origin));
  if (!options.keep || !flushes) {
    require(merged.origin == expected.origin, "the merged content changed");
  }
  const auto left = sim::read_reference(port.content(DeviceId::cache));
  require(left.has_value(), "the drain broke the superblock");
  require(options.keep || left->live().empty(), "live entries are left after a complete drain");
}

void run(FuzzInput input) {
  const std::uint8_t flags = input.u8();
  const std::uint8_t more = input.u8();
  DrainOptions options;
  options.dry_run = (flags & 1U) != 0;
  options.keep = (flags & 2U) != 0;
  options.verify = (flags & 4U) != 0;
  options.skip_check = (flags & 8U) != 0;
  options.uncommitted = (flags & 16U) != 0 ? UncommittedPolicy::flush : UncommittedPolicy::drop;
  options.beyond_end = (flags & 32U) != 0 ? BeyondEndPolicy::skip : BeyondEndPolicy::fail;
  if ((flags & 64U) != 0) options.range = SectorRange{input.u8(), input.u8()};
  const bool is_odd = (flags & 128U) != 0;  // an origin of any length
  options.queue_depth = 1 + more % 8U;
  options.memory_bytes = 1;  // the least there is
  const Sector origin_sectors = is_odd ? 8 + input.u8() / 8 * 8 : kWholeSectors;
  const std::uint32_t origin_logical = (more & 8U) != 0 ? 4096 : 512;

  MemoryPort::Device cache = take_cache(input);
  if (cache.content.empty()) return;
  const Bytes before = cache.content;
  const Bytes origin = sim::make_origin(origin_sectors);
  MemoryPort port(std::move(cache), {origin, !options.dry_run, origin_logical});
  port.set_writable(DeviceId::cache, !options.dry_run && !options.keep);
  sim::SimClock clock;
  Observer observer;
  const auto report = drain(port, clock, options, observer);
  const bool is_untouched =
      port.content(DeviceId::cache) == before && port.content(DeviceId::origin) == origin;
  if (!report) {
    const ErrorCode code = report.error().code;
    require(code == ErrorCode::not_a_cache || code == ErrorCode::damaged || code == ErrorCode::invalid_argument,
            "a drain failed although the devices work");
    require(is_untouched, "a drain that was refused has written");
    return;
  }
  require(sim::read_reference(before).has_value(), "something that is no cache was drained");
  require(!options.dry_run || is_untouched, "a dry run has written");
  require(options.dry_run || report->blocks_written + report->blocks_failed == report->blocks_total,
          "written and failed blocks are not all blocks");
  require((report->blocks_failed == 0) == report->failed_ranges.empty(), "failed blocks without ranges or the reverse");
  if (!options.dry_run && !options.range && !is_odd && report->blocks_failed == 0) {
    check_complete(before, origin, port, options);
  }
}

}  // namespace
}  // namespace wc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wc::fuzz::run({data, size});
  return 0;
}
