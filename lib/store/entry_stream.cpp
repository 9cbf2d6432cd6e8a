// SPDX-License-Identifier: LGPL-2.1-or-later
// EntryStream: reads entries ahead, a ring of large chunks.
#include "store/entry_stream.hpp"

#include <algorithm>

namespace wc::store {

EntryStream::EntryStream(IoPort& port, BlockIndex first, BlockIndex end)
    : port_(port), next_index_(first), end_(std::max(first, end)) {
  const std::uint32_t logical = port.info(DeviceId::cache).logical_block_bytes;
  submit_offset_bytes_ = round_down(Geometry::entry_offset_bytes(first), logical);
  end_offset_bytes_ = round_up(Geometry::entry_offset_bytes(end_), logical);
  chunk_bytes_ = std::min<std::uint64_t>(kChunkBytes, end_offset_bytes_ - submit_offset_bytes_);
  if (next_index_ == end_) return;
  for (Chunk& chunk : chunks_) {
    if (submit_offset_bytes_ >= end_offset_bytes_) break;
    chunk.memory = AlignedBuffer(chunk_bytes_);
    submit(chunk);
  }
}

EntryStream::~EntryStream() { settle(); }

void EntryStream::submit(Chunk& chunk) {
  // Chunks after the first begin at multiples of the chunk size, which every device likes best.
  const std::uint64_t limit = round_down(submit_offset_bytes_, kChunkBytes) + kChunkBytes;
  const std::uint64_t stop =
      std::min({limit, end_offset_bytes_, submit_offset_bytes_ + chunk_bytes_});
  chunk.offset_bytes = submit_offset_bytes_;
  chunk.op.kind = IoKind::read;
  chunk.op.device = DeviceId::cache;
  chunk.op.offset_bytes = submit_offset_bytes_;
  chunk.op.memory = chunk.memory.span(0, stop - submit_offset_bytes_);
  chunk.op.owner = &chunk;
  chunk.op.on_done = [](IoOp& op, Result<void> outcome) {
    auto& self = *static_cast<Chunk*>(op.owner);
    self.in_flight = false;
    self.outcome = std::move(outcome);
  };
  chunk.outcome.reset();
  chunk.in_flight = true;
  submit_offset_bytes_ = stop;
  port_.submit(chunk.op);
}

void EntryStream::settle() noexcept {
  for (Chunk& chunk : chunks_) {
    while (chunk.in_flight) port_.poll(Wait::for_one);
  }
}

Result<std::optional<EntryBatch>> EntryStream::next() {
  if (holds_batch_) {
    holds_batch_ = false;
    Chunk& used = chunks_[current_];
    if (submit_offset_bytes_ < end_offset_bytes_) submit(used);
    current_ = (current_ + 1) % kChunks;
  }
  if (next_index_ >= end_) return std::optional<EntryBatch>{};
  Chunk& chunk = chunks_[current_];
  while (chunk.in_flight) port_.poll(Wait::for_one);
  if (!*chunk.outcome) {
    const Error error = chunk.outcome->error();
    settle();
    next_index_ = end_;
    return error;
  }
  const std::uint64_t begin = Geometry::entry_offset_bytes(next_index_);
  const std::uint64_t stop =
      std::min(chunk.offset_bytes + chunk.op.memory.size(), Geometry::entry_offset_bytes(end_));
  EntryBatch batch;
  batch.first_index = next_index_;
  batch.count = (stop - begin) / kEntryBytes;
  batch.raw = chunk.memory.data() + (begin - chunk.offset_bytes);
  next_index_ += batch.count;
  holds_batch_ = true;
  return std::optional<EntryBatch>{batch};
}

}  // namespace wc::store
