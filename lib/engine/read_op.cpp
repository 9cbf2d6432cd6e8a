// SPDX-License-Identifier: LGPL-2.1-or-later
// Reads: from the newest entry of each block, else from the origin.
#include "engine/read_op.hpp"

#include "reached.hpp"

namespace wc::engine {

void Reads::run(Operation& operation) {
  operation.is_waiting = false;
  const Request& request = *operation.request;
  const std::uint64_t end = request.offset_bytes + request.memory.size();
  if (operation.stage == Stage::begin) {
    operation.stage = Stage::issue;
    operation.position = request.offset_bytes;
    core_.stats.reads += operation.end_block - operation.first_block;
  }
  while (operation.position < end && !operation.error && operation.in_flight < kTransfersMax)
    submit_next(operation);
  if (operation.in_flight != 0) return;
  core_.finish(operation, operation.error ? Result<void>(*operation.error) : Result<void>());
}

/// What can be read in one piece from `position` on.
Reads::Segment Reads::next_segment(const Operation& operation, std::uint64_t limit_bytes) const {
  const Request& request = *operation.request;
  const std::uint64_t end = request.offset_bytes + request.memory.size();
  const std::uint64_t first = core_.block_of(operation.position);
  const std::uint64_t skip = operation.position - core_.offset_of(first);
  const Slot slot = core_.find(first);
  const DeviceId device = slot == kNoSlot ? DeviceId::origin : DeviceId::cache;
  const std::uint64_t limit_blocks =
      std::min(core_.max_io_blocks(device), std::max<std::uint64_t>(1, limit_bytes / core_.block_bytes()));
  std::uint64_t count = 1;
  if (core_.blocks.table().member_count() == 0) {
    count = std::min(limit_blocks, operation.end_block - first);
  } else {
    while (count < limit_blocks && first + count < operation.end_block &&
           core_.find(first + count) == (slot == kNoSlot ? kNoSlot : static_cast<Slot>(slot + count))) {
      ++count;
    }
  }
  Segment segment{device, operation.position, std::min(end, core_.offset_of(first + count)) - operation.position};
  if (slot != kNoSlot) segment.device_offset_bytes = core_.geometry.block_offset_bytes(slot) + skip;
  return segment;
}

void Reads::submit_next(Operation& operation) {
  const Request& request = *operation.request;
  const std::uint64_t done = operation.position - request.offset_bytes;
  std::byte* memory = request.memory.data() + done;
  Segment segment = next_segment(operation, ~std::uint64_t{0});
  const std::uint64_t logical = core_.info(segment.device).logical_block_bytes;
  const bool is_whole = segment.device_offset_bytes % logical == 0 && segment.length_bytes % logical == 0;
  Transfer& transfer = core_.transfers.take();
  transfer.io.kind = IoKind::read;
  transfer.io.device = segment.device;
  if (is_whole && core_.transfers.can_use(memory, segment.device)) {
    transfer.io.offset_bytes = segment.device_offset_bytes;
    transfer.io.memory = {memory, segment.length_bytes};
  } else {
    WC_REACHED("engine: a read goes through a bounce buffer");
    segment = next_segment(operation, Buffer::kBytes);
    transfer.bounce = &core_.transfers.take_buffer();
    // Inside one block nothing reaches beyond it, as blocks are whole logical ones.
    const std::uint64_t begin = round_down(segment.device_offset_bytes, logical);
    const std::uint64_t end = round_up(segment.device_offset_bytes + segment.length_bytes, logical);
    transfer.io.offset_bytes = begin;
    transfer.io.memory = transfer.bounce->memory.span(0, end - begin);
    transfer.copy_skip_bytes = segment.device_offset_bytes - begin;
    transfer.copy_to = {memory, segment.length_bytes};
  }
  if (segment.device == DeviceId::cache) {
    const std::uint64_t end_block = core_.block_of(operation.position + segment.length_bytes - 1);
    core_.stats.read_hits += end_block - core_.block_of(operation.position) + 1;
  }
  operation.position += segment.length_bytes;
  ++operation.in_flight;
  transfer.owner = &core_;
  transfer.part = &operation;
  transfer.on_done = [](Transfer& finished, Result<void> outcome) {
    note_transfer(*static_cast<Core*>(finished.owner), *static_cast<Operation*>(finished.part), outcome);
  };
  core_.transfers.submit(transfer);
}

}  // namespace wc::engine
