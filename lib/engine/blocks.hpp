// SPDX-License-Identifier: LGPL-2.1-or-later
// Blocks: the life of a cache block, from free to written to committed to free again. No I/O.
#pragma once

#include <array>
#include <cstdint>
#include <deque>

#include "index/age_list.hpp"
#include "index/entry_table.hpp"
#include "index/free_list.hpp"
#include "index/slot_list.hpp"
#include "store/cache_store.hpp"
#include "writecache/pending_log.hpp"

namespace wc::engine {

using index::Flag;
using index::kNoSlot;
using index::Slot;

/// Entries, and the lists they are in:
///   free -> allocate() -> age list (uncommitted, then committed) -> begin_writeback() -> mark_free()
///                                   |-> superseded by a newer one -> committed() -> mark_free()
///                                   \-> replaced by one of the same number -> free_replaced(), before the commit
///   marked free -> begin_sync() -> end_sync(): out of the table -> quarantine -> free
/// An entry stays in the table, and can be found, until its free mark is durable. So whoever finds no entry may write
/// to the origin, and who finds no older entry of a sector may free the newest.
class Blocks {
 public:
  Blocks(std::uint64_t n_blocks, index::FreeOrder order, Sequence seq_count, std::uint64_t age_interval_ns);

  /// Everything that changes an entry is told to this store. Null: nothing may be changed.
  void set_store(store::CacheStore* store) noexcept { store_ = store; }
  /// Uncommitted entries are told to this log too, if there is one.
  void set_pending(PendingLog* pending) noexcept { pending_ = pending; }

  const index::EntryTable& table() const noexcept { return table_; }
  Slot find(Sector sector) const noexcept { return table_.find(sector); }
  Slot find_older(Slot slot) const noexcept { return table_.find_older(slot); }
  bool has(Slot slot, Flag flag) const noexcept { return table_.has(slot, flag); }
  Sector sector(Slot slot) const noexcept { return table_.sector(slot); }

  // ---- numbers
  Sequence seq_count() const noexcept { return seq_count_; }          ///< S on the medium
  Sequence open_sequence() const noexcept { return open_sequence_; }  ///< of entries that are written now
  std::uint64_t uncommitted() const noexcept { return uncommitted_[open_sequence_ & 1]; }  ///< of the open number
  std::uint64_t uncommitted_total() const noexcept { return uncommitted_[0] + uncommitted_[1]; }
  std::uint64_t slot_count() const noexcept { return table_.slot_count(); }
  std::uint64_t unused() const noexcept { return table_.slot_count() - used_; }  ///< free as the driver counts
  std::uint64_t in_writeback() const noexcept { return in_writeback_; }
  std::uint64_t available() const noexcept { return free_.size(); }
  bool has_marked() const noexcept { return !marked_.empty(); }
  /// Free marks are to be made durable, or being so: their blocks can be had soon.
  bool has_marks_under_way() const noexcept { return !marked_.empty() || !syncing_.empty(); }
  const index::AgeList& age() const noexcept { return age_; }

  bool is_uncommitted(Slot slot) const noexcept { return table_.sequence(slot) == open_sequence_; }
  /// Below S: valid after a crash.
  bool is_committed(Slot slot) const noexcept { return table_.sequence(slot) < seq_count_; }
  bool is_leaving(Slot slot) const noexcept { return table_.has_any(slot, Flag::writeback, Flag::freeing); }

  // ---- at the start
  void add_live(Slot slot, const Entry& entry);
  /// Every live one once, the oldest first.
  void add_to_age(Slot slot, std::uint64_t now_ns) { age_.push(slot, now_ns); }
  void add_free(Slot slot) { free_.add_initial(slot); }
  /// A block that the engine before had written and not committed: again the newest, uncommitted entry of its sector.
  void add_pending(Slot slot, Sector sector, std::uint64_t now_ns) { put(slot, sector, now_ns); }

  // ---- writing
  /// A free block becomes the newest, uncommitted entry of a sector; an older one leaves when it is committed. kNoSlot
  /// if none is free.
  Slot allocate(Sector sector, std::uint64_t now_ns);
  /// The same, only if the next block in order is this one.
  bool allocate_if_next(Slot slot, Sector sector, std::uint64_t now_ns);
  void begin_writing(Slot first, std::uint32_t count) noexcept;
  void end_writing(Slot first, std::uint32_t count) noexcept;
  /// A block whose data could not be written: forgotten, and never handed out again.
  void drop(Slot slot);

  // ---- writing back and freeing
  /// May it be written back now? Committed, not being written, and no older entry of its sector is left.
  bool can_write_back(Slot slot) const noexcept;
  void begin_writeback(Slot slot);
  /// Marks an entry free in memory, whatever it was.
  void mark_free(Slot slot);

  // ---- the commit
  /// From now on entries get the next number.
  void open_next() noexcept { ++open_sequence_; }
  /// What is replaced by entries of the same number is marked free. Two entries of one sector and one number must
  /// never be valid: the marks belong to the cycle that commits, or to an earlier one.
  void free_replaced();
  /// S has become the open number: what is superseded by now committed entries is marked free.
  void committed();
  void begin_sync() noexcept;
  /// The marks are durable. `last_ticket`: reads up to it may still use the blocks.
  void end_sync(std::uint64_t last_ticket);
  /// Hands out blocks that no read in flight uses any more. Returns true if there were any.
  bool release(std::uint64_t oldest_ticket);
  /// As after the start: free blocks in ascending order are handed out from the lowest one on.
  void rewind_free() noexcept { free_.rewind(); }

 private:
  struct Batch {
    std::uint64_t last_ticket;
    std::uint64_t count;
  };
  void put(Slot slot, Sector sector, std::uint64_t now_ns);
  void unlink(Slot slot);
  index::SlotList& superseded(Sequence sequence) noexcept { return superseded_[sequence & 1]; }
  static Flag superseded_flag(Sequence sequence) noexcept {
    return (sequence & 1) == 0 ? Flag::superseded_even : Flag::superseded_odd;
  }

  index::EntryTable table_;
  index::FreeList free_;
  index::AgeList age_;
  store::CacheStore* store_ = nullptr;
  PendingLog* pending_ = nullptr;
  Sequence seq_count_;
  Sequence open_sequence_;
  std::array<std::uint64_t, 2> uncommitted_{};
  std::uint64_t used_ = 0;
  std::uint64_t in_writeback_ = 0;
  std::array<index::SlotList, 2> superseded_;  // by the parity of the number that supersedes
  index::SlotList replaced_;
  index::SlotList marked_;
  index::SlotList syncing_;
  index::SlotList quarantine_;
  std::deque<Batch> batches_;  // of the quarantine
};

}  // namespace wc::engine
