// SPDX-License-Identifier: LGPL-2.1-or-later
// What must hold while a cache is repaired, and the operations of repair and undo.
#include <algorithm>
#include <utility>

#include "repair_cases.hpp"
#include "sim/oracle.hpp"
#include "stopping_observer.hpp"

namespace wc::crash {
namespace {

using sim::Bytes;
using sim::Machine;
using sim::MachineImage;
using sim::MergedContent;
using sim::ReferenceCache;

constexpr std::size_t kUndoHeaderBytes = 64;
constexpr Sequence kExhausted = kFreeSequence - (Sequence{1} << 32);

/// True where a repair may give the block up: its sector cannot be right.
bool is_misplaced(const RepairCase& repair, const ReferenceCache& reference, Sector sector) {
  const auto limit = repair.origin.empty() ? kSectorLimit : sectors_of_bytes(repair.origin.size());
  return sector % (reference.superblock.block_size / kSectorBytes) != 0 || sector >= std::min(limit, kSectorLimit);
}

/// Empty if `image` shows the same blocks as `sound`; misplaced ones may be gone.
std::string difference_to(const RepairCase& repair, const Bytes& sound, const Bytes& cache) {
  const auto reference = sim::read_reference(sound);
  auto expected = sim::merged_content(sound, repair.origin);
  const auto actual = sim::merged_content(cache, repair.origin);
  std::erase_if(expected.other, [&](const auto& block) {
    return !actual.other.contains(block.first) && is_misplaced(repair, *reference, block.first);
  });
  return sim::difference(expected, actual);
}

bool contains(const Bytes& log, std::span<const std::byte> block) {
  return std::search(log.begin(), log.end(), block.begin(), block.end()) != log.end();
}

/// Blocks that a repair gives up although they may be somebody's data: where the entry is free, the
/// undo log must hold the block.
std::string verify_given_up(const RepairCase& repair, const ReferenceCache& sound, const MachineImage& image) {
  const auto live = sound.live();
  const auto is_freed = [&](BlockIndex index) { return sim::load_u64(image.cache, 72 + 16 * index) == kFreeSequence; };
  for (BlockIndex index = 0; index < sound.entries.size(); ++index) {
    const auto newest = live.find(sound.entries[index].original_sector);
    if (!sound.is_committed(index) || newest == live.end() || !is_freed(index)) continue;
    if (sound.entries[index].seq_count != sound.entries[newest->second].seq_count) continue;
    const auto block = sound.block(repair.cache, index);
    const auto kept = sound.block(repair.cache, newest->second);
    const bool is_kept =
        !is_misplaced(repair, sound, newest->first) && std::equal(block.begin(), block.end(), kept.begin());
    if (!is_kept && !contains(image.undo, block)) {
      return "the undo log does not hold the block that entry " + std::to_string(index) + " gave up";
    }
  }
  return {};
}

/// What is neither superblock nor entry belongs to the user.
bool has_same_data(const RepairCase& repair, const ReferenceCache& sound, const Bytes& cache) {
  const auto data = static_cast<std::ptrdiff_t>(sound.data_offset_bytes);
  return std::equal(repair.cache.begin() + data, repair.cache.end(), cache.begin() + data, cache.end());
}

Result<CheckReport> look(const RepairCase& repair, const MachineImage& image) {
  Machine machine({image.cache, image.origin, {}}, repair.machine(), 1);
  CheckOptions options;
  options.table_block_bytes = repair.options.table_block_bytes;
  options.memory_bytes = kMemoryBytesMin;
  Observer observer;
  return check(machine.disk, options, observer);
}

std::string verify_clean(const RepairCase& repair, const MachineImage& end) {
  const auto report = look(repair, end);
  if (!report) return "the repaired cache cannot be checked: " + report.error().message();
  if (report->verdict != Verdict::clean) return std::string("the repaired cache is ") + to_string(report->verdict);
  for (const auto& finding : report->findings) {
    if (finding.code != FindingCode::spare_room)
      return std::string("the repaired cache has ") + to_string(finding.code);
  }
  if (report->activation.outcome != Activation::Outcome::loads || report->activation.frees_entries != 0) {
    return "activation is not quiet after the repair";
  }
  return {};
}

std::string verify_superblock(const ReferenceCache& sound, const ReferenceCache& end) {
  auto expected = sound.superblock;
  if (expected.seq_count >= kExhausted) expected.seq_count = 1;
  const auto& actual = end.superblock;
  const bool is_equal = expected.block_size == actual.block_size && expected.n_blocks == actual.n_blocks &&
                        expected.seq_count == actual.seq_count && !actual.has_nonzero_padding();
  return is_equal ? "" : "the superblock is not the one expected";
}

Result<sim::Said> judge(const RepairCase& repair, const Result<CheckReport>& report) {
  if (!report) return report.error();
  sim::Said said;
  if (repair.is_refused) {
    if (report->corrected != 0) said.violation = "something was corrected that should have been refused";
    if (report->verdict != Verdict::damaged) said.violation = "a refused repair was called a success";
    return said;
  }
  if (has_errors(report->remaining)) said.violation = "errors remain, and no error was returned";
  if (report->verdict == Verdict::damaged) said.violation = "a repair that ended well left damage";
  return said;
}

}  // namespace

sim::Operation repair_operation(const RepairCase& repair) {
  return [repair](Machine& machine, IoPort& port) -> Result<sim::Said> {
    auto options = repair.options;
    if (repair.has_undo) options.undo = &machine.undo;
    Observer observer;
    return judge(repair, check(port, options, observer));
  };
}

sim::Operation stopped_repair_operation(const RepairCase& repair) {
  return [repair](Machine& machine, IoPort& port) -> Result<sim::Said> {
    auto options = repair.options;
    if (repair.has_undo) options.undo = &machine.undo;
    for (std::uint64_t patience = 0;; ++patience) {
      StoppingObserver observer(patience);
      const auto report = check(port, options, observer);
      if (!report && report.error().code == ErrorCode::cancelled) continue;
      return judge(repair, report);
    }
  };
}

sim::Operation undo_operation() {
  return [](Machine& machine, IoPort& port) -> Result<sim::Said> {
    auto size = machine.undo.size_bytes();
    if (!size) return size.error();
    if (*size < kUndoHeaderBytes) return sim::Said{};
    Observer observer;
    auto restored = apply_undo(port, machine.undo, observer);
    if (!restored) return restored.error();
    return sim::Said{};
  };
}

sim::Verdict verify_data(const RepairCase& repair, const MachineImage& image) {
  if (image.origin != repair.origin) return "a repair changed the origin";
  if (repair.is_refused) return image.cache == repair.cache ? "" : "a repair that must be refused changed the cache";
  const auto sound = sim::read_reference(repair.sound);
  if (!has_same_data(repair, *sound, image.cache)) return "a repair changed a data block";
  return repair.has_undo ? verify_given_up(repair, *sound, image) : "";
}

sim::Verdict verify_at_any_time(const RepairCase& repair, const MachineImage& image) {
  if (auto wrong = verify_data(repair, image); !wrong.empty() || repair.is_refused) return wrong;
  const bool was_readable = sim::read_reference(repair.cache).has_value();
  if (!sim::read_reference(image.cache)) return was_readable ? "the cache cannot be read any more" : "";
  if (was_readable && difference_to(repair, repair.cache, image.cache).empty()) return {};
  return difference_to(repair, repair.sound, image.cache);
}

sim::Verdict verify_repaired(const RepairCase& repair, const MachineImage& end) {
  if (auto wrong = verify_at_any_time(repair, end); !wrong.empty() || repair.is_refused) return wrong;
  const auto sound = sim::read_reference(repair.sound);
  const auto reference = sim::read_reference(end.cache);
  if (!reference) return "no cache after the repair";
  if (auto wrong = verify_superblock(*sound, *reference); !wrong.empty()) return wrong;
  if (auto wrong = difference_to(repair, repair.sound, end.cache); !wrong.empty()) return wrong;
  if (auto wrong = verify_clean(repair, end); !wrong.empty()) return wrong;
  if (!repair.has_undo) return {};
  Machine machine(end, repair.machine(), 1);
  const auto undone = undo_operation()(machine, machine.disk);
  if (!undone) return "the repair cannot be undone: " + undone.error().message();
  return verify_undone(repair, machine.take_durable());
}

sim::Verdict verify_undone(const RepairCase& repair, const MachineImage& end) {
  if (end.origin != repair.origin) return "the undo changed the origin";
  const auto at = std::mismatch(repair.cache.begin(), repair.cache.end(), end.cache.begin(), end.cache.end());
  if (at.first == repair.cache.end() && at.second == end.cache.end()) return {};
  return "undone, but byte " + std::to_string(at.first - repair.cache.begin()) + " is not the old one";
}

}  // namespace wc::crash
