// SPDX-License-Identifier: LGPL-2.1-or-later
// Writes: finds a place for every block, and writes runs of neighbours together.
#include "engine/write_op.hpp"

#include <cstring>

#include "reached.hpp"

namespace wc::engine {

void Writes::run(Operation& operation) {
  operation.is_waiting = false;
  if (operation.stage == Stage::begin) begin(operation);
  if (operation.stage == Stage::fetch) {
    if (operation.in_flight != 0) return;
    merge(operation);
  }
  if (operation.stage == Stage::issue) {
    issue(operation);
    if (operation.stage == Stage::issue) return;
  }
  if (operation.in_flight != 0) return;
  settle(operation);
}

void Writes::begin(Operation& operation) {
  operation.stage = Stage::fetch;
  operation.position = operation.first_block;
  if (core_.error) {
    operation.error = core_.refusal();
    return;
  }
  const std::uint64_t last = operation.end_block - 1;
  if (is_partial(operation, operation.first_block)) operation.head = fetch(operation, operation.first_block);
  if (last != operation.first_block && is_partial(operation, last)) operation.tail = fetch(operation, last);
}

/// Is only a part of the block written, or only a part of it on the device?
bool Writes::is_partial(const Operation& operation, std::uint64_t block) const noexcept {
  const Request& request = *operation.request;
  return request.offset_bytes > core_.offset_of(block) ||
         request.offset_bytes + request.memory.size() < core_.offset_of(block + 1);
}

/// Reads a block as it is now into a buffer.
Buffer* Writes::fetch(Operation& operation, std::uint64_t block) {
  WC_REACHED("engine: a block is written in part");
  Buffer& buffer = core_.transfers.take_buffer();
  const Slot slot = core_.find(block);
  Transfer& transfer = core_.transfers.take();
  transfer.io.kind = IoKind::read;
  transfer.io.device = slot == kNoSlot ? DeviceId::origin : DeviceId::cache;
  transfer.io.offset_bytes = slot == kNoSlot ? core_.offset_of(block) : core_.geometry.block_offset_bytes(slot);
  transfer.io.memory = buffer.memory.span(0, slot == kNoSlot ? core_.extent_of(block) : core_.block_bytes());
  transfer.owner = &core_;
  transfer.part = &operation;
  transfer.on_done = [](Transfer& finished, Result<void> outcome) {
    note_transfer(*static_cast<Core*>(finished.owner), *static_cast<Operation*>(finished.part), outcome);
  };
  ++operation.in_flight;
  core_.transfers.submit(transfer);
  return &buffer;
}

/// Puts the client's bytes over what was fetched.
void Writes::merge(Operation& operation) {
  operation.stage = operation.error ? Stage::settle : Stage::issue;
  const Request& request = *operation.request;
  const std::uint64_t end = request.offset_bytes + request.memory.size();
  const auto lay = [&](Buffer* buffer, std::uint64_t block) {
    if (buffer == nullptr) return;
    const std::uint64_t from = std::max(request.offset_bytes, core_.offset_of(block));
    const std::uint64_t to = std::min(end, core_.offset_of(block + 1));
    std::memcpy(buffer->memory.data() + (from - core_.offset_of(block)),
                request.memory.data() + (from - request.offset_bytes), to - from);
  };
  lay(operation.head, operation.first_block);
  lay(operation.tail, operation.end_block - 1);
}

bool Writes::can_overwrite(Slot slot) const noexcept {
  return core_.blocks.is_uncommitted(slot) || (core_.settings.overwrites_committed && !core_.blocks.is_leaving(slot));
}

bool Writes::goes_around(std::uint64_t block, bool is_metadata) const noexcept {
  return core_.settings.is_cleaner || (core_.settings.is_metadata_only && !is_metadata) ||
         core_.extent_of(block) != core_.block_bytes();
}

/// Where the first block of a run goes. As the driver does, a run counts a hit for its first block alone.
Writes::Place Writes::place(std::uint64_t block, bool is_metadata) {
  const Slot found = core_.find(block);
  const bool needs_block = found != kNoSlot ? !can_overwrite(found) : !goes_around(block, is_metadata);
  // The driver has such blocks in its free list already; they are waited for, but not counted as missing.
  if (needs_block && core_.blocks.available() == 0 && core_.blocks.has_marks_under_way()) return {Where::wait};
  if (found != kNoSlot) {
    const bool is_uncommitted = core_.blocks.is_uncommitted(found);
    ++(is_uncommitted ? core_.stats.write_hits_uncommitted : core_.stats.write_hits_committed);
    if (can_overwrite(found)) return {Where::in_place, found};
  } else if (goes_around(block, is_metadata)) {
    return {Where::around};
  }
  const Slot slot = core_.blocks.allocate(core_.sector_of(block), core_.now_ns);
  if (slot != kNoSlot) return {Where::fresh, slot};
  if (!core_.settings.is_pmem && found == kNoSlot) return {Where::around};
  ++core_.stats.writes_blocked_on_freelist;
  return {Where::wait};
}

/// How many blocks from `position` on go the same way, in neighbouring places; fresh ones are allocated, beside entries
/// that may be there already: one I/O is better than several.
std::uint64_t Writes::extend(const Operation& operation, Place place, std::uint64_t limit_blocks) {
  const std::uint64_t first = operation.position;
  std::uint64_t count = 1;
  for (; count < limit_blocks; ++count) {
    const std::uint64_t block = first + count;
    const Slot found = core_.find(block);
    const auto neighbour = static_cast<Slot>(place.slot + count);
    if (place.where == Where::in_place) {
      if (found != neighbour || !can_overwrite(found)) break;
      // Only the driver's counters ask for it: its runs end before a block that has an older entry, too.
      const Slot older = core_.blocks.find_older(found);
      if (older != kNoSlot && !core_.blocks.has(older, Flag::freeing)) break;
    } else if (place.where == Where::fresh) {
      if (!core_.blocks.allocate_if_next(neighbour, core_.sector_of(block), core_.now_ns)) break;
    } else if (found != kNoSlot) {
      break;
    }
  }
  return count;
}

void Writes::issue(Operation& operation) {
  const Request& request = *operation.request;
  while (operation.position < operation.end_block) {
    if (core_.error && !operation.error) operation.error = core_.refusal();
    if (operation.error) break;
    if (operation.in_flight >= kTransfersMax) return;
    const std::uint64_t block = operation.position;
    const Place found = place(block, request.is_metadata);
    if (found.where == Where::wait) {
      WC_REACHED("engine: a write waits for a free block");
      operation.is_waiting = true;
      core_.free_waiters.push(operation);
      return;
    }
    Run run{found, block, 1, {}, false};
    const bool is_last_partial = operation.tail != nullptr && block + 1 == operation.end_block;
    Buffer* buffer = block == operation.first_block ? operation.head : is_last_partial ? operation.tail : nullptr;
    if (buffer != nullptr) {
      run.memory = buffer->memory.span(0, core_.block_bytes());
    } else {
      const DeviceId device = found.where == Where::around ? DeviceId::origin : DeviceId::cache;
      std::byte* memory = request.memory.data() + (core_.offset_of(block) - request.offset_bytes);
      run.is_bounced = !core_.transfers.can_use(memory, device);
      std::uint64_t limit = operation.end_block - (operation.tail != nullptr ? 1 : 0) - block;
      limit = std::min(limit, core_.max_io_blocks(device));
      if (run.is_bounced) limit = std::min(limit, Buffer::kBytes / core_.block_bytes());
      // The driver's type p works block by block; its counters show it.
      if (core_.settings.is_pmem && device == DeviceId::cache) limit = 1;
      run.count = extend(operation, found, limit);
      run.memory = {memory, run.count * core_.block_bytes()};
    }
    submit(operation, run);
    operation.position += run.count;
  }
  operation.stage = Stage::settle;
}

void Writes::count_run(const Run& run) noexcept {
  core_.stats.writes += run.count;
  if (run.place.where == Where::around) core_.stats.writes_around += run.count;
  if (run.place.where == Where::fresh) core_.stats.writes_allocated += run.count;
}

void Writes::submit(Operation& operation, const Run& run) {
  count_run(run);
  Transfer& transfer = core_.transfers.take();
  transfer.io.kind = IoKind::write;
  transfer.owner = this;
  transfer.part = &operation;
  transfer.on_done = [](Transfer& finished, Result<void> outcome) {
    static_cast<Writes*>(finished.owner)->note_done(finished, outcome);
  };
  std::span<std::byte> memory = run.memory;
  if (run.is_bounced) {
    transfer.bounce = &core_.transfers.take_buffer();
    std::memcpy(transfer.bounce->memory.data(), memory.data(), memory.size());
    memory = transfer.bounce->memory.span(0, memory.size());
  }
  if (run.place.where == Where::around) {
    transfer.io.device = DeviceId::origin;
    transfer.io.fua = operation.request->fua;
    transfer.io.offset_bytes = core_.offset_of(run.first_block);
    memory = memory.first(std::min<std::uint64_t>(memory.size(), core_.size_bytes - transfer.io.offset_bytes));
    core_.last_around_ns = core_.now_ns;
  } else {
    const Slot slot = run.place.slot;
    const auto count = static_cast<std::uint32_t>(run.count);
    transfer.io.device = DeviceId::cache;
    transfer.io.offset_bytes = core_.geometry.block_offset_bytes(slot);
    transfer.slot = slot;
    transfer.slot_count = count;
    transfer.epoch = core_.blocks.open_sequence();
    transfer.role = run.place.where == Where::fresh ? TransferRole::fresh : TransferRole::in_place;
    for (std::uint32_t i = 0; i < count; ++i)
      (core_.blocks.is_uncommitted(slot + i) ? transfer.has_uncommitted : transfer.overwrites_committed) = true;
    core_.blocks.begin_writing(slot, count);
    if (transfer.has_uncommitted) cycle_.data_started(transfer.epoch);
    operation.has_cached = true;
  }
  transfer.io.memory = memory;
  ++operation.in_flight;
  core_.transfers.submit(transfer);
}

void Writes::note_done(Transfer& transfer, const Result<void>& outcome) {
  auto& operation = *static_cast<Operation*>(transfer.part);
  if (transfer.role != TransferRole::other) {
    core_.blocks.end_writing(transfer.slot, transfer.slot_count);
    // Only now: a sync that began before would not cover it.
    if (transfer.overwrites_committed) cycle_.overwritten();
    if (transfer.has_uncommitted) cycle_.data_done(transfer.epoch);
    // A later commit would make valid what could not be written.
    if (!outcome) core_.fail(outcome.error());
  } else if (!transfer.io.fua) {
    // Only now, as above: a flush that is on its way would not cover it.
    core_.has_written_around = true;
  }
  if (!outcome && transfer.role == TransferRole::fresh) {
    WC_REACHED("engine: the data of a fresh block cannot be written");
    for (std::uint32_t i = 0; i < transfer.slot_count; ++i)
      core_.blocks.drop(transfer.slot + i);
  }
  note_transfer(core_, operation, outcome);
}

/// Everything is written or has failed; what is left is a commit.
void Writes::settle(Operation& operation) {
  if (!operation.error && core_.error && operation.has_cached) operation.error = core_.refusal();
  if (operation.error) {
    core_.finish(operation, *operation.error);
    return;
  }
  if (operation.stage == Stage::settle) {
    operation.stage = Stage::commit;
    if (operation.has_cached) {
      const std::uint64_t deadline = core_.now_ns + core_.settings.autocommit_ns;
      autocommit_deadline_ns_ = std::min(autocommit_deadline_ns_.value_or(deadline), deadline);
      if (core_.blocks.uncommitted() >= core_.settings.autocommit_blocks) cycle_.want_commit();
      if (operation.request->fua && cycle_.wait(operation)) return;
    }
  }
  core_.finish(operation, {});
}

bool Writes::run_timer() {
  if (cycle_.is_settled()) autocommit_deadline_ns_.reset();
  if (!autocommit_deadline_ns_ || core_.now_ns < *autocommit_deadline_ns_) return false;
  autocommit_deadline_ns_.reset();
  cycle_.want_commit();
  return true;
}

}  // namespace wc::engine
