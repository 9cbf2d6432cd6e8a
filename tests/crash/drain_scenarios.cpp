// SPDX-License-Identifier: LGPL-2.1-or-later
// wc-flush under power cuts: at every moment cache and origin together show what the cache held.
#include "writecache/drain.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "scenarios.hpp"
#include "sim/image_builder.hpp"
#include "sim/oracle.hpp"
#include "sim/random.hpp"
#include "stopping_observer.hpp"
#include "write_losing_port.hpp"

namespace wc::crash {
namespace {

using sim::Bytes;
using sim::ImageBuilder;
using sim::Machine;
using sim::MachineImage;
using sim::MergedContent;

constexpr Sequence kS = 40;
constexpr Sector kOriginSectors = 64;

/// One way to drain one cache.
struct DrainCase {
  MachineImage initial;
  DrainOptions options;

  bool flushes_uncommitted() const { return options.uncommitted == UncommittedPolicy::flush; }
  bool is_in_range(Sector sector, std::uint32_t block_bytes) const {
    if (!options.range) return true;
    return sector < options.range->first + options.range->count &&
           sector + block_bytes / kSectorBytes > options.range->first;
  }
};

/// A block of which only the beginning lies on the origin is there as far as the origin reaches.
MergedContent cut_at_the_end(MergedContent merged, std::uint32_t block_bytes) {
  std::erase_if(merged.other, [&](const auto& block) {
    const auto begin = bytes_of_sectors(block.first);
    if (block.first % (block_bytes / kSectorBytes) != 0 || begin >= merged.origin.size()) return false;
    std::copy_n(block.second.begin(), merged.origin.size() - begin,
                merged.origin.begin() + static_cast<std::ptrdiff_t>(begin));
    return true;
  });
  return merged;
}

/// What the driver would show.
MergedContent shown(const MachineImage& image) {
  return cut_at_the_end(sim::merged_content(image.cache, image.origin), sim::load_u32(image.cache, 8));
}

/// The same with the uncommitted blocks, which the driver would drop.
MergedContent shown_with_uncommitted(const MachineImage& image) {
  return cut_at_the_end(sim::merged_with_uncommitted(image.cache, image.origin), sim::load_u32(image.cache, 8));
}

/// Only a drain that flushes uncommitted blocks changes what the driver would show, and each sector
/// only from the old data to the new ones.
std::string verify_each_is_old_or_new(const MergedContent& old, const MergedContent& now, const MergedContent& wanted) {
  for (std::size_t at = 0; at < now.origin.size(); at += kSectorBytes) {
    const auto here = static_cast<std::ptrdiff_t>(at);
    const auto is_equal = [&](const Bytes& origin) {
      return std::equal(now.origin.begin() + here, now.origin.begin() + here + kSectorBytes, origin.begin() + here);
    };
    if (!is_equal(old.origin) && !is_equal(wanted.origin)) {
      return "sector " + std::to_string(at / kSectorBytes) + " is neither old nor new";
    }
  }
  return now.other == old.other || now.other == wanted.other ? "" : "other blocks outside the origin";
}

std::string verify_entries(const DrainCase& drained, const MachineImage& image) {
  const auto before = sim::read_reference(drained.initial.cache);
  const auto now = sim::read_reference(image.cache);
  if (!now) return "the superblock is lost";
  const auto data = static_cast<std::ptrdiff_t>(before->data_offset_bytes);
  if (!std::equal(image.cache.begin() + data, image.cache.end(), drained.initial.cache.begin() + data)) {
    return "a data block of the cache changed";
  }
  const auto block_bytes = before->superblock.block_size;
  for (BlockIndex index = 0; index < before->entries.size(); ++index) {
    const auto& old = before->entries[index];
    const auto& entry = now->entries[index];
    if (entry.original_sector != old.original_sector) return "an entry names another sector";
    if (entry.seq_count == old.seq_count) continue;
    if (entry.seq_count != kFreeSequence) return "an entry has another number";
    if (!drained.is_in_range(old.original_sector, block_bytes)) return "an entry outside the range was freed";
  }
  return {};
}

std::string verify_cut(const DrainCase& drained, const MachineImage& image) {
  if (drained.options.keep && image.cache != drained.initial.cache) return "the cache changed in spite of --keep";
  if (auto wrong = verify_entries(drained, image); !wrong.empty()) return wrong;
  const auto old = shown(drained.initial);
  if (!drained.flushes_uncommitted()) return sim::difference(old, shown(image));
  const auto wanted = shown_with_uncommitted(drained.initial);
  if (auto wrong = sim::difference(wanted, shown_with_uncommitted(image)); !wrong.empty()) return wrong;
  return verify_each_is_old_or_new(old, shown(image), wanted);
}

/// On the origin stands what the cache held in the range, and nothing that can be drained is left.
std::string verify_drained(const DrainCase& drained, const MachineImage& end) {
  if (auto wrong = verify_cut(drained, end); !wrong.empty()) return wrong;
  const auto before = sim::read_reference(drained.initial.cache);
  const auto block_bytes = before->superblock.block_size;
  const auto all = drained.flushes_uncommitted() ? shown_with_uncommitted(drained.initial) : shown(drained.initial);
  for (Sector sector = 0; sector < sectors_of_bytes(end.origin.size()); ++sector) {
    const auto begin = static_cast<std::ptrdiff_t>(bytes_of_sectors(sector));
    const auto block = sector / (block_bytes / kSectorBytes) * (block_bytes / kSectorBytes);
    const auto& expected = drained.is_in_range(block, block_bytes) ? all.origin : drained.initial.origin;
    if (!std::equal(end.origin.begin() + begin, end.origin.begin() + begin + kSectorBytes, expected.begin() + begin)) {
      return "drained, but sector " + std::to_string(sector) + " of the origin is not right";
    }
  }
  if (drained.options.keep) return {};
  const auto after = sim::read_reference(end.cache);
  for (const auto& entry : after->entries) {
    if (entry.seq_count == kFreeSequence || entry.seq_count > kS) continue;
    if (!drained.is_in_range(entry.original_sector, block_bytes)) continue;
    if (bytes_of_sectors(entry.original_sector) < end.origin.size()) return "drained, but an entry is not free";
  }
  return {};
}

Result<sim::Said> judge(const DrainCase& drained, const Result<DrainReport>& report) {
  if (!report) return report.error();
  sim::Said said;
  // Blocks behind the origin's end count as failed although nothing more can be done.
  const auto reference = sim::read_reference(drained.initial.cache);
  std::uint64_t beyond = 0;
  for (const auto& [sector, index] : reference->live()) {
    beyond += bytes_of_sectors(sector) >= drained.initial.origin.size() ? 1 : 0;
  }
  said.is_complete = report->blocks_failed <= beyond && !report->cancelled;
  if (report->blocks_written + report->blocks_failed != report->blocks_total && !report->cancelled) {
    said.violation = "written and failed blocks are not all";
  }
  return said;
}

sim::Operation drain_operation(const DrainCase& drained) {
  return [drained](Machine& machine, IoPort& port) -> Result<sim::Said> {
    Observer observer;
    return judge(drained, drain(port, machine.clock, drained.options, observer));
  };
}

/// The view of a reader: a drain as the driver would do it, which frees nothing.
sim::Recovery reading(const DrainCase& drained) {
  DrainCase view = drained;
  view.options = DrainOptions{};
  view.options.keep = view.options.verify = view.options.skip_check = true;
  view.options.beyond_end = BeyondEndPolicy::skip;
  return {"reading as the driver", drain_operation(view), [drained](const MachineImage& end) -> std::string {
            const auto old = shown(drained.initial);
            if (!drained.flushes_uncommitted()) {
              return end.origin == old.origin ? "" : "a reader would not see what the cache held";
            }
            return verify_each_is_old_or_new(old, {end.origin, old.other}, shown_with_uncommitted(drained.initial));
          }};
}

sim::Scenario scenario_of(std::string name, const DrainCase& drained) {
  sim::Scenario scenario;
  scenario.name = "drain-" + std::move(name);
  scenario.initial = drained.initial;
  scenario.run = drain_operation(drained);
  scenario.verify_cut = [drained](const MachineImage& image) { return verify_cut(drained, image); };
  scenario.recoveries.push_back({"draining again", drain_operation(drained),
                                 [drained](const MachineImage& end) { return verify_drained(drained, end); }});
  scenario.recoveries.push_back(reading(drained));
  return scenario;
}

/// A few blocks, some of them neighbours, with residue of every kind in several sectors of metadata.
/// `far` is the index of entries in another sector than the first ones.
ImageBuilder dirty(std::uint32_t block_bytes, BlockIndex n_blocks = 70) {
  const auto at = [&](std::uint64_t block) { return block * (block_bytes / kSectorBytes); };
  const BlockIndex far = n_blocks - 8;
  return ImageBuilder(block_bytes, n_blocks)
      .seq_count(kS)
      .entry(0, at(2), 9)  // live, and two older ones
      .entry(far, at(2), 8)
      .entry(far + 1, at(2), 3)
      .entry(1, at(3), 9)  // its neighbour
      .entry(5, at(6), 4)  // stale, the live one lies far away
      .entry(far + 2, at(6), 5)
      .entry(7, at(2), kS)        // uncommitted, over a committed one
      .entry(far + 3, at(5), kS)  // uncommitted, over nothing
      .entry(8, at(0), 30)
      .freed_entry(9, at(3));
}

DrainCase case_of(const ImageBuilder& image, Sector origin_sectors = kOriginSectors) {
  return {{image.build(), sim::make_origin(origin_sectors), {}}, {}};
}

class Scenarios {
 public:
  explicit Scenarios(std::uint64_t seed) : seed_(seed) {}

  std::vector<sim::Scenario> make() {
    ordinary();
    uncommitted();
    beyond();
    ranges();
    damaged();
    devices();
    mishaps();
    random();
    return std::move(scenarios_);
  }

 private:
  sim::Scenario& add(std::string name, const DrainCase& drained) {
    return scenarios_.emplace_back(scenario_of(std::move(name), drained));
  }

  void ordinary() {
    add("default", case_of(dirty(512))).is_canary = true;
    add("larger-blocks", case_of(dirty(4096, 34))).options.cache_logical_block_bytes = 4096;
    auto keep = case_of(dirty(512));
    keep.options.keep = true;
    add("keep", keep);
    auto verify = case_of(dirty(512));
    verify.options.verify = true;
    add("verify", verify);
    auto little = case_of(dirty(512));
    little.options.memory_bytes = 0;
    little.options.queue_depth = 1;
    add("little-memory", little);
    // So slow that each block is a batch: 512 bytes take longer than a batch may.
    auto slow = case_of(dirty(512));
    slow.options.rate_bytes_per_second = 16;
    add("many-batches", slow);
    add("clean", case_of(ImageBuilder(512, 20).seq_count(kS).freed_entry(3, 8)));
  }

  static DrainCase flushing(const ImageBuilder& image) {
    auto drained = case_of(image);
    drained.options.uncommitted = UncommittedPolicy::flush;
    return drained;
  }

  void uncommitted() {
    add("uncommitted", flushing(dirty(512))).is_canary = true;
    add("uncommitted-larger-blocks", flushing(dirty(4096, 34)));
    auto keep = flushing(dirty(512));
    keep.options.keep = true;
    add("uncommitted-keep", keep);
    // Two of one sector cannot be committed: they would be identical.
    auto doubles = flushing(dirty(512).entry(64, 2, kS).entry(30, 2, kS));
    add("uncommitted-doubles", doubles);
    doubles.options.rate_bytes_per_second = 16;
    add("uncommitted-doubles-many-batches", doubles);
    add_unflushed();
  }

  /// The machine wrote an uncommitted block just now, and nothing of it is durable when the drain begins.
  void add_unflushed() {
    // Nothing is superseded: freeing that would flush the device before S goes up.
    const auto image = ImageBuilder(512, 70).seq_count(kS).entry(0, 2, 9).entry(62, 6, 5).entry(63, 5, kS);
    auto drained = flushing(image);
    auto written = image;
    constexpr BlockIndex kIndex = 35;
    constexpr Sector kWritten = 9;
    written.entry(kIndex, kWritten, kS);
    const auto newer = written.build();
    const MachineImage whole{newer, drained.initial.origin, {}};
    auto& scenario = add("uncommitted-unflushed", drained);
    scenario.run = [drained, newer, image](Machine& machine, IoPort& port) -> Result<sim::Said> {
      const auto entry = round_down(image.entry_offset_bytes(kIndex), kSectorBytes);
      for (const auto offset : {image.block_offset_bytes(kIndex), entry}) {
        if (auto done = write_sector(port, newer, offset); !done) return done.error();
      }
      return drain_operation(drained)(machine, port);
    };
    // Once S has gone up the block is committed, and must be whole.
    scenario.verify_cut = [old = shown(drained.initial),
                           fresh = shown_with_uncommitted(whole)](const MachineImage& now) {
      const bool is_committed = sim::read_reference(now.cache)->superblock.seq_count > kS;
      return sim::difference(is_committed ? fresh : old, shown(now));
    };
    // Before, it is as lost as any unflushed write: a drain that drops it must find the rest.
    auto dropping = drained;
    dropping.options.uncommitted = UncommittedPolicy::drop;
    scenario.recoveries.resize(1);
    scenario.recoveries.front().run = drain_operation(dropping);
    scenario.recoveries.front().verify = [old = shown(drained.initial),
                                          fresh = shown_with_uncommitted(whole)](const MachineImage& end) {
      return verify_each_is_old_or_new(old, shown(end), fresh);
    };
    scenario.sweeps_faults = false;
    scenario.is_canary = true;
  }

  static Result<void> write_sector(IoPort& port, const Bytes& image, std::uint64_t offset_bytes) {
    alignas(4096) std::array<std::byte, kSectorBytes> memory{};
    std::copy_n(image.begin() + static_cast<std::ptrdiff_t>(offset_bytes), kSectorBytes, memory.begin());
    std::optional<Result<void>> outcome;
    IoOp op;
    op.kind = IoKind::write;
    op.device = DeviceId::cache;
    op.offset_bytes = offset_bytes;
    op.memory = memory;
    op.owner = &outcome;
    op.on_done = [](IoOp& done, Result<void> result) {
      *static_cast<std::optional<Result<void>>*>(done.owner) = std::move(result);
    };
    port.submit(op);
    while (!outcome)
      port.poll(Wait::for_one);
    return *outcome;
  }

  void beyond() {
    auto drained = case_of(dirty(512).entry(20, kOriginSectors + 3, 7).entry(66, kOriginSectors + 3, 6));
    drained.options.beyond_end = BeyondEndPolicy::skip;
    drained.options.skip_check = true;
    add("beyond-end", drained);
    // The origin ends inside a block.
    add("cut-block", case_of(dirty(4096, 34), 8 * 6 + 3));
  }

  void ranges() {
    auto drained = case_of(dirty(512));
    drained.options.range = SectorRange{2, 2};
    add("range", drained);
    drained = flushing(dirty(512));
    drained.options.range = SectorRange{1, 3};  // an uncommitted block lies outside
    add("range-uncommitted", drained).is_canary = true;
    drained = flushing(dirty(4096, 34));
    drained.options.range = SectorRange{16, 1};
    add("range-uncommitted-larger-blocks", drained);
  }

  void damaged() {
    auto future = flushing(dirty(512).entry(33, 12, kS + 2));
    future.options.skip_check = true;
    add("future", future);
    auto identical = flushing(dirty(512).entry(33, 12, 7).entry(2, 12, 7).entry(34, 12, kS));
    identical.options.skip_check = true;
    add("identical", identical);
  }

  void devices() {
    // Eight blocks of the cache make one block of the origin: its other sectors are read and written back.
    auto& shared = add("origin-4096", case_of(dirty(512)));
    shared.options.origin_logical_block_bytes = 4096;
    auto& uncommitted = add("origin-4096-uncommitted", flushing(dirty(512)));
    uncommitted.options.origin_logical_block_bytes = 4096;
    // Short runs: several of them share a block of the origin.
    auto& runs = add("origin-4096-short-runs", case_of(dirty(512)));
    runs.options.origin_logical_block_bytes = 4096;
    runs.options.max_io_bytes = 4096;
  }

  void mishaps() {
    // Without residue, which once freed would let the next drain end before it can be stopped again.
    const auto live = ImageBuilder(512, 70).seq_count(kS).entry(0, 2, 9).entry(1, 3, 9).entry(62, 6, 5).entry(9, 30, 2);
    const auto drained = case_of(live);
    add("stopped", drained).run = [drained](Machine& machine, IoPort& port) -> Result<sim::Said> {
      for (std::uint64_t patience = 0;; ++patience) {
        StoppingObserver observer(patience);
        const auto report = drain(port, machine.clock, drained.options, observer);
        const bool is_stopped = report ? report->cancelled : report.error().code == ErrorCode::cancelled;
        if (!is_stopped) return judge(drained, report);
      }
    };
    auto verifying = case_of(dirty(512));
    verifying.options.verify = true;
    add("lost-write", verifying).run = [verifying](Machine& machine, IoPort& port) -> Result<sim::Said> {
      WriteLosingPort losing(port, DeviceId::origin);
      Observer observer;
      const auto first = drain(losing, machine.clock, verifying.options, observer);
      if (!first) return first.error();
      if (first->blocks_failed == 0) return sim::Said{true, "a write that was lost was not noticed"};
      return drain_operation(verifying)(machine, port);
    };
  }

  void random() {
    for (const std::uint32_t block_bytes : {512U, 4096U}) {
      sim::Random random(seed_ ^ block_bytes);
      sim::RandomImageOptions options;
      options.block_bytes = block_bytes;
      options.n_blocks = block_bytes == 512 ? 36 : 8;
      options.origin_sectors = kOriginSectors;
      options.seq_count = kS;
      options.uncommitted_one_in = 5;
      const auto image = sim::random_image(random, options);
      add("random-" + std::to_string(block_bytes), case_of(image));
      add("random-uncommitted-" + std::to_string(block_bytes), flushing(image));
    }
  }

  std::uint64_t seed_;
  std::vector<sim::Scenario> scenarios_;
};

}  // namespace

std::vector<sim::Scenario> drain_scenarios(std::uint64_t seed) { return Scenarios(seed).make(); }

}  // namespace wc::crash
