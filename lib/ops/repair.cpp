// SPDX-License-Identifier: LGPL-2.1-or-later
// Repairing: the changes of wc-check -p and -y, step by durable step.
#include "ops/repair.hpp"

#include <algorithm>
#include <optional>

#include "ops/findings.hpp"
#include "reached.hpp"
#include "store/block_io.hpp"
#include "store/entry_writer.hpp"
#include "store/superblock_io.hpp"

namespace wc::ops {
namespace {

/// Entries collected before they are written: bounds memory and keeps writes sequential.
constexpr std::size_t kIndexesMax = 64 << 10;

class Repair {
 public:
  Repair(IoPort& port, const CheckOptions& options, Observer& observer, Examination examination)
      : port_(port), options_(options), observer_(observer), now_(std::move(examination)) {}

  Result<std::uint64_t> run() {
    if (options_.undo != nullptr) {
      auto opened = store::UndoWriter::open(*options_.undo, port_.info(DeviceId::cache));
      if (!opened) return opened.error();
      undo_.emplace(std::move(*opened));
      // What an interrupted run before this one overwrote comes first, or not at all.
      if (auto marked = undo_->barrier(); !marked) return marked.error();
    }
    const auto done = options_.mode == RepairMode::preen ? preen() : all();
    if (!done) return done.error();
    return corrected_;
  }

 private:
  using Step = Result<void> (Repair::*)();

  Result<void> preen() {
    // With an error around, "uncommitted" may be anything: nothing is lost only where nothing is wrong.
    if (has_errors(now_.findings) || !now_.scan) return {};
    return free_superfluous();
  }

  Result<void> all() {
    if (auto done = superblock(); !done) return done;
    if (!now_.is_sound() || now_.has(FindingCode::block_size_mismatch) || !now_.scan) return {};
    for (const Step step : {&Repair::clear_padding, &Repair::commit_future, &Repair::settle_identical,
                            &Repair::free_superfluous, &Repair::free_misplaced, &Repair::renumber}) {
      if (observer_.is_cancelled()) return Error{ErrorCode::cancelled, 0, 0, "cancelled"};
      if (auto done = (this->*step)(); !done) return done;
    }
    return {};
  }

  store::UndoWriter* undo() { return undo_ ? &*undo_ : nullptr; }

  Result<void> examine_again() {
    auto examined = examine(port_, options_, observer_);
    if (!examined) return examined.error();
    now_ = std::move(*examined);
    return {};
  }

  /// What was written is durable; a later undo keeps that order.
  Result<void> settle() {
    if (auto flushed = store::flush(port_, DeviceId::cache); !flushed) return flushed;
    return undo_ ? undo_->barrier() : Result<void>{};
  }

  Result<void> write_superblock(const Superblock& superblock) {
    if (auto flushed = settle(); !flushed) return flushed;
    if (auto written = store::write_superblock(port_, superblock, undo()); !written) return written;
    ++corrected_;
    return settle();
  }

  Result<void> set_sequence(std::vector<BlockIndex>& indexes, Sequence sequence) {
    if (indexes.empty()) return {};
    if (!writer_) writer_.emplace(port_, undo());
    if (auto written = writer_->set_sequence(indexes, sequence); !written) return written;
    corrected_ += indexes.size();
    indexes.clear();
    return {};
  }

  /// Sets the sequence of all entries for which `matches` says so, durably.
  template <class Matches>
  Result<void> set_where(Sequence sequence, const Matches& matches) {
    std::vector<BlockIndex> indexes;
    const auto visitor = [&](const store::ClassifiedBatch& batch) -> Result<void> {
      for (std::size_t i = 0; i < batch.size(); ++i) {
        const Entry entry = batch.entry(i);
        const EntryState state = batch.state(i, entry.seq_count);
        if (state == EntryState::free) continue;
        auto matched = matches(batch.first_index() + i, entry, state);
        if (!matched) return matched.error();
        if (!*matched) continue;
        indexes.push_back(batch.first_index() + i);
        if (indexes.size() < kIndexesMax) continue;
        if (auto written = set_sequence(indexes, sequence); !written) return written;
      }
      return {};
    };
    if (auto visited = now_.scan->visit(visitor, observer_); !visited) return visited;
    if (auto written = set_sequence(indexes, sequence); !written) return written;
    return settle();
  }

  // --- the superblock ---

  Result<void> superblock() {
    if (now_.has(FindingCode::interrupted_format)) {
      WC_REACHED("repair: interrupted format finished");
      Superblock finished = *now_.superblock;
      finished.magic = kMagic;
      finished.seq_count = 0;
      if (auto written = write_superblock(finished); !written) return written;
      return examine_again();
    }
    const bool is_mismatch = now_.has(FindingCode::block_size_mismatch);
    const bool is_needed = now_.superblock && !now_.has(FindingCode::blank) && !now_.is_sound();
    if (!is_needed && !(is_mismatch && options_.rebuild_superblock)) return {};
    if (now_.candidates.size() != 1) return {};
    const RebuildCandidate candidate = now_.candidates.front();
    if (auto freed = free_wiped(candidate.lost); !freed) return freed;
    Superblock rebuilt;
    rebuilt.block_size = candidate.block_bytes;
    rebuilt.n_blocks = candidate.n_blocks;
    rebuilt.seq_count = candidate.seq_count;
    if (auto written = write_superblock(rebuilt); !written) return written;
    WC_REACHED("repair: superblock rebuilt");
    return examine_again();
  }

  /// Entries that were overwritten by zeros would all claim sector 0: they are made free before the
  /// superblock makes them valid.
  Result<void> free_wiped(std::uint64_t count) {
    std::vector<BlockIndex> indexes;
    for (BlockIndex index = 0; index < count; ++index) {
      if (index == 0) WC_REACHED("repair: zeroed entries freed before the superblock");
      indexes.push_back(index);
      if (indexes.size() < kIndexesMax && index + 1 < count) continue;
      if (auto written = set_sequence(indexes, kFreeSequence); !written) return written;
      if (observer_.is_cancelled()) return Error{ErrorCode::cancelled, 0, 0, "cancelled"};
    }
    return {};
  }

  Result<void> clear_padding() {
    if (!now_.superblock->has_nonzero_padding()) return {};
    Superblock cleared = *now_.superblock;
    cleared.pad = 0;
    cleared.padding.fill(std::byte{0});
    if (auto written = write_superblock(cleared); !written) return written;
    now_.superblock = cleared;
    return {};
  }

  // --- the entries ---

  /// S goes above the future entries; those with seq = S were committed before them.
  Result<void> commit_future() {
    if (options_.future != FuturePolicy::commit || now_.scan->counts().future == 0) return {};
    WC_REACHED("repair: sequence raised above future entries");
    Superblock raised = *now_.superblock;
    raised.seq_count = *now_.scan->highest_sequence() + 1;
    if (auto written = write_superblock(raised); !written) return written;
    return examine_again();
  }

  /// Frees the earlier entry of every identical pair; its block goes into the undo log if it differs.
  Result<void> settle_identical() {
    while (now_.scan->identical_losers() != 0) {
      WC_REACHED("repair: identical entries settled");
      std::vector<BlockIndex> losers;
      for (const store::IdenticalPair& pair : now_.scan->identical_pairs()) {
        auto equal = have_equal_data(pair);
        if (!equal) return equal.error();
        if (!*equal) {
          WC_REACHED("repair: identical entries with different data");
          if (auto saved = save_block(pair.loser); !saved) return saved;
        }
        losers.push_back(pair.loser);
        if (observer_.is_cancelled()) return Error{ErrorCode::cancelled, 0, 0, "cancelled"};
      }
      std::sort(losers.begin(), losers.end());
      if (auto written = set_sequence(losers, kFreeSequence); !written) return written;
      if (auto settled = settle(); !settled) return settled;
      if (auto again = examine_again(); !again) return again;
    }
    return {};
  }

  Result<bool> have_equal_data(const store::IdenticalPair& pair) {
    const std::uint32_t block_bytes = now_.geometry->block_bytes;
    std::vector<std::byte> first(block_bytes);
    std::vector<std::byte> second(block_bytes);
    for (auto [index, block] : {std::pair{pair.loser, &first}, std::pair{pair.kept, &second}}) {
      auto read = store::read_bytes(port_, DeviceId::cache, now_.geometry->block_offset_bytes(index), *block);
      if (!read) return read.error();
    }
    return first == second;
  }

  /// Saves a data block whose entry is about to be freed. Without an undo log there is no place for it.
  Result<void> save_block(BlockIndex index) {
    if (!undo_) return {};
    std::array<std::byte, kEntryBytes> raw{};
    auto read = store::read_bytes(port_, DeviceId::cache, Geometry::entry_offset_bytes(index), raw);
    if (!read) return read;
    std::vector<std::byte> block(now_.geometry->block_bytes);
    const std::uint64_t offset_bytes = now_.geometry->block_offset_bytes(index);
    read = store::read_bytes(port_, DeviceId::cache, offset_bytes, block);
    if (!read) return read;
    return undo_->save_block(offset_bytes, media::load_entry(raw.data()).original_sector, block);
  }

  /// What activation frees too. Must be durable before a live entry of the same sector is freed.
  Result<void> free_superfluous() {
    return set_where(kFreeSequence, [](BlockIndex, const Entry&, EntryState state) -> Result<bool> {
      return state != EntryState::live;
    });
  }

  /// Live entries whose sector cannot be right.
  Result<void> free_misplaced() {
    const EntryCounts& counts = now_.scan->counts();
    if (counts.misaligned == 0 && counts.out_of_range == 0 && counts.beyond_origin == 0) return {};
    WC_REACHED("repair: misplaced entries freed");
    const DeviceInfo origin = port_.info(DeviceId::origin);
    const Sector limit =
        origin.present ? std::min(sectors_of_bytes(origin.size_bytes), kSectorLimit) : kSectorLimit;
    const std::uint32_t sectors_per_block = now_.geometry->sectors_per_block();
    return set_where(kFreeSequence,
                     [&](BlockIndex index, const Entry& entry, EntryState) -> Result<bool> {
                       const bool is_misplaced = entry.original_sector >= limit ||
                                                 entry.original_sector % sectors_per_block != 0;
                       if (!is_misplaced) return false;
                       if (auto saved = save_block(index); !saved) return saved.error();
                       return true;
                     });
  }

  /// Every live entry is the only one of its sector by now, so their order no longer matters: all get
  /// sequence 0, which is below S before and after S becomes 1.
  Result<void> renumber() {
    if (now_.superblock->seq_count < kSequenceExhausted) return {};
    WC_REACHED("repair: sequences renumbered");
    auto done = set_where(0, [](BlockIndex, const Entry& entry, EntryState) -> Result<bool> {
      return entry.seq_count != 0;
    });
    if (!done) return done;
    Superblock renumbered = *now_.superblock;
    renumbered.seq_count = 1;
    return write_superblock(renumbered);
  }

  IoPort& port_;
  const CheckOptions& options_;
  Observer& observer_;
  Examination now_;
  std::optional<store::UndoWriter> undo_;
  std::optional<store::EntryWriter> writer_;
  std::uint64_t corrected_ = 0;
};

}  // namespace

Result<std::uint64_t> repair(IoPort& port, const CheckOptions& options, Examination examination,
                             Observer& observer) {
  return Repair(port, options, observer, std::move(examination)).run();
}

}  // namespace wc::ops
