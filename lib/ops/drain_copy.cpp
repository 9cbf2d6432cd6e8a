// SPDX-License-Identifier: LGPL-2.1-or-later
// CopyPipeline: one small state machine a slot, advanced whenever the port reports completions.
#include "ops/drain_copy.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "reached.hpp"

namespace wc::ops {
namespace {

constexpr std::size_t kTransfersMax = 256;  ///< reads of one run
constexpr unsigned kRunsATurn = 8;

}  // namespace

CopyPipeline::CopyPipeline(IoPort& port, const Geometry& geometry, CopyMode mode,
                           const CopyLimits& limits, CopyResults& results)
    : port_(port), geometry_(geometry), mode_(mode), limits_(limits), results_(results) {
  const DeviceInfo origin = port.info(DeviceId::origin);
  const DeviceInfo cache = port.info(DeviceId::cache);
  origin_logical_ = origin.logical_block_bytes;
  cache_logical_ = cache.logical_block_bytes;
  origin_end_ = round_down(origin.size_bytes, origin_logical_);
  limits_.run_bytes = std::max<std::uint64_t>(
      geometry.block_bytes, std::min<std::uint64_t>(limits_.run_bytes, origin.max_io_bytes));
  cache_io_bytes_ = std::max<std::uint64_t>(geometry.block_bytes, cache.max_io_bytes);
  reads_in_place_ = mode == CopyMode::write && geometry.block_bytes % kIoAlignmentBytes == 0 &&
                    geometry.block_bytes % cache_logical_ == 0 &&
                    geometry.block_bytes % origin_logical_ == 0;
  slots_.resize(std::max<std::size_t>(2, limits_.slots));
  free_.reserve(slots_.size());
  settled_.reserve(slots_.size());
  settled_now_.reserve(slots_.size());
  waiting_.reserve(2 * slots_.size());
  for (Slot& slot : slots_) {
    slot.owner = this;
    free_.push_back(&slot);
  }
}

CopyPipeline::~CopyPipeline() { finish(); }

std::uint64_t CopyPipeline::origin_bytes_of(const CopyBlock& block) const noexcept {
  return std::min<std::uint64_t>(geometry_.block_bytes, origin_end_ - begin_of(block));
}

/// Upper bound of the scratch memory that one more block may take.
std::size_t CopyPipeline::scratch_bytes_of(const CopyBlock& block, bool adjoins) const noexcept {
  if (reads_in_place_ && block.sector % geometry_.sectors_per_block() == 0) return 0;
  if (adjoins) return geometry_.block_bytes;
  return round_up(geometry_.block_bytes + 2 * std::uint64_t{cache_logical_}, kIoAlignmentBytes);
}

bool CopyPipeline::joins(const CopyBlock& block) const noexcept {
  if (open_ == nullptr) return false;
  const std::uint64_t begin = begin_of(block);
  // Overlapping blocks are damage: they are written one after the other, in the order they came.
  if (begin < open_end_) return false;
  if (round_down(begin, origin_logical_) > round_up(open_end_, origin_logical_)) return false;
  if (begin + geometry_.block_bytes > open_begin_ + limits_.run_bytes) return false;
  const bool adjoins = begin == open_end_ && open_->blocks.back().index + 1 == block.index;
  return open_transfers_ + (adjoins ? 0 : 1) <= kTransfersMax &&
         open_scratch_ + scratch_bytes_of(block, adjoins) <= limits_.run_bytes;
}

void CopyPipeline::add(const CopyBlock& block) {
  const std::uint64_t begin = begin_of(block);
  if (!joins(block)) {
    dispatch_open();
    const std::uint64_t span_begin = round_down(begin, origin_logical_);
    if (span_begin < frontier_) {
      WC_REACHED("drain: a run waits for another one that shares a logical block");
      while (busy_ != 0) turn(Wait::for_one);
    }
    open_ = &take_slot();
    open_begin_ = span_begin;
    open_end_ = begin;
    open_scratch_ = 0;
    open_transfers_ = 0;
  }
  const bool adjoins = !open_->blocks.empty() && begin == open_end_ &&
                       open_->blocks.back().index + 1 == block.index;
  open_scratch_ += scratch_bytes_of(block, adjoins);
  open_transfers_ += adjoins ? 0 : 1;
  open_->blocks.push_back(block);
  open_end_ = begin + geometry_.block_bytes;
}

CopyPipeline::Slot& CopyPipeline::take_slot() {
  while (free_.empty()) turn(Wait::for_one);
  Slot& slot = *free_.back();
  free_.pop_back();
  slot.blocks.clear();
  return slot;
}

void CopyPipeline::dispatch_open() {
  if (open_ == nullptr) return;
  Slot& slot = *std::exchange(open_, nullptr);
  ++busy_;
  slot.first = 0;
  slot.count = slot.blocks.size();
  slot.attempts = 0;
  start(slot);
  frontier_ = std::max(frontier_, slot.span_end);
  // Several runs go to the system at once: cheaper than one by one, and the device can merge them.
  if (++dispatched_ % kRunsATurn == 0) turn(Wait::no);
}

void CopyPipeline::finish() {
  dispatch_open();
  while (busy_ != 0) turn(Wait::for_one);
  frontier_ = 0;
}

void CopyPipeline::reserve(store::AlignedBuffer& memory, std::uint64_t bytes) {
  if (memory.size() >= bytes) return;
  memory = store::AlignedBuffer();
  memory = store::AlignedBuffer(std::bit_ceil(bytes));
}

/// Where the blocks lie on the origin, and whether the origin must be read for it.
void CopyPipeline::plan(Slot& slot) {
  const auto blocks = std::span(slot.blocks).subspan(slot.first, slot.count);
  slot.span_begin = round_down(begin_of(blocks.front()), origin_logical_);
  slot.span_end = std::min(
      origin_end_, round_up(begin_of(blocks.back()) + geometry_.block_bytes, origin_logical_));
  slot.data_bytes = 0;
  for (const CopyBlock& block : blocks) slot.data_bytes += origin_bytes_of(block);
  slot.needs_origin =
      mode_ == CopyMode::compare || slot.data_bytes != slot.span_end - slot.span_begin;
  if (slot.needs_origin && mode_ == CopyMode::write) {
    WC_REACHED("drain: part of a logical block is read, changed and written");
  }
}

/// Groups the blocks into reads; returns the scratch memory they need.
std::size_t CopyPipeline::plan_transfers(Slot& slot) {
  slot.transfers = 0;
  std::size_t scratch_end = 0;
  const std::size_t end = slot.first + slot.count;
  for (std::size_t at = slot.first; at < end;) {
    std::size_t stop = at + 1;
    std::uint64_t length = geometry_.block_bytes;
    while (stop < end && slot.blocks[stop].index == slot.blocks[stop - 1].index + 1 &&
           begin_of(slot.blocks[stop]) == begin_of(slot.blocks[stop - 1]) + geometry_.block_bytes &&
           length + geometry_.block_bytes <= cache_io_bytes_) {
      length += geometry_.block_bytes;
      ++stop;
    }
    if (slot.transfer_list.size() == slot.transfers) slot.transfer_list.emplace_back();
    Transfer& transfer = slot.transfer_list[slot.transfers++];
    transfer = Transfer{at, stop - at, 0, false};
    // The bytes behind the origin's end are not read in place: there is no room for them.
    const std::uint64_t on_origin =
        length - geometry_.block_bytes + origin_bytes_of(slot.blocks[stop - 1]);
    const std::uint64_t to = begin_of(slot.blocks[at]) - slot.span_begin;
    transfer.is_direct = reads_in_place_ && !slot.needs_origin && to % kIoAlignmentBytes == 0 &&
                         on_origin == length;
    if (!transfer.is_direct) {
      const std::uint64_t from = geometry_.block_offset_bytes(slot.blocks[at].index);
      const std::uint64_t skip = from - round_down(from, cache_logical_);
      transfer.scratch = scratch_end + skip;
      scratch_end += round_up(round_up(skip + length, cache_logical_), kIoAlignmentBytes);
    }
    at = stop;
  }
  return scratch_end;
}

void CopyPipeline::start(Slot& slot) {
  plan(slot);
  const std::size_t scratch = plan_transfers(slot);
  reserve(slot.memory, slot.span_end - slot.span_begin);
  if (scratch != 0) reserve(slot.scratch, scratch);
  if (slot.reads.size() < slot.transfers) slot.reads.resize(slot.transfers);
  slot.is_writing = false;
  slot.error.reset();
  slot.failed_what = nullptr;
  slot.in_flight = slot.transfers + (slot.needs_origin ? 1 : 0);
  for (std::size_t i = 0; i < slot.transfers; ++i) {
    const Transfer& transfer = slot.transfer_list[i];
    const std::uint64_t from = geometry_.block_offset_bytes(slot.blocks[transfer.first].index);
    const std::uint64_t length = transfer.count * std::uint64_t{geometry_.block_bytes};
    IoOp& op = slot.reads[i];
    op.kind = IoKind::read;
    op.device = DeviceId::cache;
    op.offset_bytes = round_down(from, cache_logical_);
    const std::size_t skip = from - op.offset_bytes;
    op.memory = transfer.is_direct
                    ? slot.memory.span(begin_of(slot.blocks[transfer.first]) - slot.span_begin, length)
                    : slot.scratch.span(transfer.scratch - skip, round_up(skip + length, cache_logical_));
    op.owner = &slot;
    op.on_done = on_done;
    port_.submit(op);
  }
  if (slot.needs_origin) {
    slot.origin_op.kind = IoKind::read;
    slot.origin_op.device = DeviceId::origin;
    slot.origin_op.offset_bytes = slot.span_begin;
    slot.origin_op.memory = slot.memory.span(0, slot.span_end - slot.span_begin);
    slot.origin_op.owner = &slot;
    slot.origin_op.on_done = on_done;
    port_.submit(slot.origin_op);
  }
}

void CopyPipeline::on_done(IoOp& op, Result<void> outcome) {
  Slot& slot = *static_cast<Slot*>(op.owner);
  if (!outcome && !slot.error) {
    slot.failed_what = op.device == DeviceId::cache ? "read of the cache"
                       : op.kind == IoKind::read    ? "read of the origin"
                                                    : "write to the origin";
    slot.error = outcome.error();
  }
  if (--slot.in_flight == 0) slot.owner->settled_.push_back(&slot);
}

void CopyPipeline::turn(Wait wait) {
  port_.poll(wait);
  settled_now_.swap(settled_);
  for (Slot* slot : settled_now_) advance(*slot);
  settled_now_.clear();
  while (waiting_head_ < waiting_.size() && writing_ < limits_.writes_in_flight) {
    write(*waiting_[waiting_head_++]);
  }
  if (waiting_head_ == waiting_.size()) {
    waiting_.clear();
    waiting_head_ = 0;
  } else if (waiting_head_ >= slots_.size()) {
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(waiting_head_));
    waiting_head_ = 0;
  }
}

void CopyPipeline::advance(Slot& slot) {
  if (slot.is_writing) {
    slot.is_writing = false;
    --writing_;
    if (slot.error) {
      fail(slot);
    } else {
      succeed(slot);
    }
  } else if (slot.error) {
    fail(slot);
  } else {
    read_finished(slot);
  }
}

std::span<std::byte> CopyPipeline::bytes_of(Slot& slot, const Transfer& transfer,
                                            std::size_t block) noexcept {
  const std::size_t at = transfer.scratch + (block - transfer.first) * geometry_.block_bytes;
  return slot.scratch.span(at, origin_bytes_of(slot.blocks[block]));
}

void CopyPipeline::read_finished(Slot& slot) {
  bool is_equal = true;
  for (std::size_t i = 0; i < slot.transfers; ++i) {
    const Transfer& transfer = slot.transfer_list[i];
    if (transfer.is_direct) continue;
    for (std::size_t block = transfer.first; block < transfer.first + transfer.count; ++block) {
      const auto data = bytes_of(slot, transfer, block);
      std::byte* place = slot.memory.data() + (begin_of(slot.blocks[block]) - slot.span_begin);
      if (mode_ == CopyMode::write) {
        std::memcpy(place, data.data(), data.size());
      } else {
        is_equal = is_equal && std::memcmp(place, data.data(), data.size()) == 0;
      }
    }
  }
  if (mode_ == CopyMode::write) {
    waiting_.push_back(&slot);
  } else if (is_equal) {
    succeed(slot);
  } else {
    WC_REACHED("drain: the origin does not hold what was written");
    slot.failed_what = "verification";
    fail(slot);
  }
}

void CopyPipeline::write(Slot& slot) {
  slot.is_writing = true;
  ++writing_;
  slot.in_flight = 1;
  slot.origin_op.kind = IoKind::write;
  slot.origin_op.device = DeviceId::origin;
  slot.origin_op.offset_bytes = slot.span_begin;
  slot.origin_op.memory = slot.memory.span(0, slot.span_end - slot.span_begin);
  slot.origin_op.owner = &slot;
  slot.origin_op.on_done = on_done;
  port_.submit(slot.origin_op);
}

void CopyPipeline::fail(Slot& slot) {
  if (slot.count > 1) {
    WC_REACHED("drain: a failed run is done again block by block");
    slot.count = 1;
    slot.attempts = 0;
    start(slot);
  } else if (slot.error && slot.attempts < limits_.retries) {
    WC_REACHED("drain: a failed block is tried again");
    ++slot.attempts;
    start(slot);
  } else {
    WC_REACHED("drain: a block failed for good");
    results_.on_failed(slot.blocks[slot.first], slot.failed_what, slot.error ? &*slot.error : nullptr);
    next_single(slot);
  }
}

void CopyPipeline::succeed(Slot& slot) {
  results_.on_copied(std::span(slot.blocks).subspan(slot.first, slot.count), slot.data_bytes);
  next_single(slot);
}

void CopyPipeline::next_single(Slot& slot) {
  slot.first += slot.count;
  if (slot.first < slot.blocks.size()) {
    slot.count = 1;
    slot.attempts = 0;
    start(slot);
    return;
  }
  --busy_;
  free_.push_back(&slot);
}

}  // namespace wc::ops
