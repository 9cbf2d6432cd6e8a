// SPDX-License-Identifier: LGPL-2.1-or-later
// Discards: wait for what leaves by itself, free the rest between two cycles, pass the discard on.
#include "engine/discard_op.hpp"

#include "reached.hpp"

namespace wc::engine {

/// Calls `visit` with the newest entry of every block of the range that has one.
template <class Visit>
void Discards::each_newest(const Operation& operation, Visit visit) const {
  const std::uint64_t count = operation.end_block - operation.first_block;
  if (count <= core_.blocks.slot_count()) {
    for (std::uint64_t block = operation.first_block; block < operation.end_block; ++block) {
      const Slot slot = core_.find(block);
      if (slot != kNoSlot) visit(slot);
    }
    return;
  }
  const auto& table = core_.blocks.table();
  const Sector first = core_.sector_of(operation.first_block);
  const Sector end = core_.sector_of(operation.end_block);
  for (Slot slot = 0; slot < core_.blocks.slot_count(); ++slot) {
    const Sector sector = table.sector(slot);
    const bool is_member = !table.is_free(slot) || table.has(slot, Flag::freeing);
    if (is_member && sector >= first && sector < end && table.find(sector) == slot) visit(slot);
  }
}

Discards::Look Discards::look(const Operation& operation) const {
  Look result = Look::none;
  each_newest(operation, [&](Slot newest) {
    if (result == Look::none) result = Look::free_now;
    for (Slot slot = newest; slot != kNoSlot; slot = core_.blocks.find_older(slot)) {
      // An older entry would come back to life if the newer one were free on the medium and it were not.
      if (core_.blocks.is_leaving(slot)) result = Look::must_wait;
    }
  });
  return result;
}

void Discards::run(Operation& operation) {
  operation.is_waiting = false;
  if (operation.stage == Stage::begin) {
    operation.stage = Stage::commit;
    if (!core_.error) {
      core_.stats.discards += operation.end_block - operation.first_block;
      if (look(operation) != Look::none) {
        operation.is_waiting = true;
        waiting_.push(operation);
        cycle_.want_frees();
        return;
      }
    }
  }
  if (core_.error) {
    core_.finish(operation, core_.refusal());
    return;
  }
  if (operation.stage == Stage::commit) {
    operation.stage = Stage::pass_on;
    discard_origin(operation);
    return;
  }
  core_.finish(operation, operation.error ? Result<void>(*operation.error) : Result<void>());
}

void Discards::apply_frees(std::uint64_t cycle) {
  Queue<Operation> waiting = waiting_.take_all();
  while (Operation* operation = waiting.pop()) {
    if (look(*operation) == Look::must_wait) {
      WC_REACHED("engine: a discard waits for blocks that are written back");
      waiting_.push(*operation);
      continue;
    }
    free_range(*operation);
    cycle_.wait_for(*operation, cycle);
  }
}

void Discards::free_range(const Operation& operation) {
  each_newest(operation, [&](Slot newest) {
    for (Slot slot = newest; slot != kNoSlot;) {
      const Slot older = core_.blocks.find_older(slot);
      core_.blocks.mark_free(slot);
      slot = older;
    }
  });
}

void Discards::release_waiters() {
  while (Operation* operation = waiting_.pop())
    core_.ready.push(*operation);
}

void Discards::discard_origin(Operation& operation) {
  Transfer& transfer = core_.transfers.take();
  transfer.io.kind = IoKind::discard;
  transfer.io.device = DeviceId::origin;
  transfer.io.offset_bytes = core_.offset_of(operation.first_block);
  transfer.io.length_bytes = core_.offset_of(operation.end_block) - transfer.io.offset_bytes;
  transfer.owner = &core_;
  transfer.part = &operation;
  transfer.on_done = [](Transfer& finished, Result<void> outcome) {
    // An origin that cannot discard keeps its bytes: a discard promises nothing about them.
    if (!outcome && outcome.error().code == ErrorCode::unsupported) outcome = {};
    note_transfer(*static_cast<Core*>(finished.owner), *static_cast<Operation*>(finished.part), outcome);
  };
  ++operation.in_flight;
  core_.transfers.submit(transfer);
}

}  // namespace wc::engine
