// SPDX-License-Identifier: LGPL-2.1-or-later
// Blocks: moves entries from list to list.
#include "engine/blocks.hpp"

#include <utility>

#include "reached.hpp"

namespace wc::engine {

Blocks::Blocks(std::uint64_t n_blocks, index::FreeOrder order, Sequence seq_count, std::uint64_t age_interval_ns)
    : table_(n_blocks),
      free_(table_, order),
      age_(table_, age_interval_ns),
      seq_count_(seq_count),
      open_sequence_(seq_count) {}

void Blocks::add_live(Slot slot, const Entry& entry) {
  table_.insert(slot, entry.original_sector, entry.seq_count);
  ++used_;
}

Slot Blocks::allocate(Sector sector, std::uint64_t now_ns) {
  const Slot slot = free_.take();
  if (slot != kNoSlot) put(slot, sector, now_ns);
  return slot;
}

bool Blocks::allocate_if_next(Slot slot, Sector sector, std::uint64_t now_ns) {
  if (!free_.take_if_next(slot)) return false;
  put(slot, sector, now_ns);
  return true;
}

void Blocks::put(Slot slot, Sector sector, std::uint64_t now_ns) {
  const Slot older = table_.find(sector);
  table_.insert(slot, sector, open_sequence_);
  age_.push(slot, now_ns);
  // One that is leaving frees itself.
  if (older != kNoSlot && table_.has(older, Flag::aged)) {
    age_.remove(older);
    if (is_uncommitted(older)) {
      WC_REACHED("engine: a run of fresh blocks replaces uncommitted ones");
      table_.set(older, Flag::replaced);
      replaced_.push_back(table_, older);
    } else {
      table_.set(older, superseded_flag(open_sequence_));
      superseded(open_sequence_).push_back(table_, older);
    }
  }
  ++uncommitted_[open_sequence_ & 1];
  ++used_;
  store_->changed(slot);
  if (pending_ != nullptr) pending_->add({slot, sector, open_sequence_, false});
}

void Blocks::begin_writing(Slot first, std::uint32_t count) noexcept {
  for (std::uint32_t i = 0; i < count; ++i)
    table_.set(first + i, Flag::writing);
}

void Blocks::end_writing(Slot first, std::uint32_t count) noexcept {
  for (std::uint32_t i = 0; i < count; ++i)
    table_.clear(first + i, Flag::writing);
}

/// Takes an entry out of the list it is in before it leaves.
void Blocks::unlink(Slot slot) {
  if (table_.has(slot, Flag::aged)) age_.remove(slot);
  for (const Sequence parity : {Sequence{0}, Sequence{1}}) {
    if (!table_.has(slot, superseded_flag(parity))) continue;
    superseded(parity).remove(table_, slot);
    table_.clear(slot, superseded_flag(parity));
  }
  if (table_.has(slot, Flag::replaced)) {
    replaced_.remove(table_, slot);
    table_.clear(slot, Flag::replaced);
  }
  const Sequence sequence = table_.sequence(slot);
  if (sequence < seq_count_ || sequence > open_sequence_) return;
  --uncommitted_[sequence & 1];
  if (pending_ != nullptr) pending_->add({slot, table_.sector(slot), sequence, true});
}

void Blocks::drop(Slot slot) {
  unlink(slot);
  table_.remove(slot);
}

bool Blocks::can_write_back(Slot slot) const noexcept {
  return table_.has(slot, Flag::aged) && !table_.has(slot, Flag::writing) && is_committed(slot) &&
         table_.find_older(slot) == kNoSlot;
}

void Blocks::begin_writeback(Slot slot) {
  age_.remove(slot);
  table_.set(slot, Flag::writeback);
  ++in_writeback_;
}

void Blocks::mark_free(Slot slot) {
  unlink(slot);
  if (table_.has(slot, Flag::writeback)) {
    table_.clear(slot, Flag::writeback);
    --in_writeback_;
  }
  table_.set_sequence(slot, kFreeSequence);
  table_.set(slot, Flag::freeing);
  marked_.push_back(table_, slot);
  --used_;
  store_->changed(slot);
}

void Blocks::free_replaced() {
  while (!replaced_.empty())
    mark_free(replaced_.front());
}

void Blocks::committed() {
  const Sequence done = seq_count_;
  uncommitted_[done & 1] = 0;
  seq_count_ = open_sequence_;
  index::SlotList& list = superseded(done);
  while (!list.empty())
    mark_free(list.front());
}

void Blocks::begin_sync() noexcept { syncing_ = std::exchange(marked_, {}); }

void Blocks::end_sync(std::uint64_t last_ticket) {
  if (syncing_.empty()) return;
  batches_.push_back({last_ticket, syncing_.size()});
  while (!syncing_.empty()) {
    const Slot slot = syncing_.pop_front(table_);
    table_.remove(slot);
    quarantine_.push_back(table_, slot);
  }
}

bool Blocks::release(std::uint64_t oldest_ticket) {
  bool any = false;
  while (!batches_.empty() && oldest_ticket > batches_.front().last_ticket) {
    for (std::uint64_t i = 0; i < batches_.front().count; ++i)
      free_.add(quarantine_.pop_front(table_));
    batches_.pop_front();
    any = true;
  }
  if (!batches_.empty()) WC_REACHED("engine: a freed block waits for a read of it");
  return any;
}

}  // namespace wc::engine
