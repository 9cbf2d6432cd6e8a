// SPDX-License-Identifier: LGPL-2.1-or-later
// SsdStore: writes dirty pages of entries, several at once.
#include "store/ssd_store.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "media/entry.hpp"
#include "media/superblock.hpp"

namespace wc::store {
namespace {

constexpr std::uint64_t kPageBytes = 4096;

}  // namespace

SsdStore::SsdStore(IoPort& port, const index::EntryTable& table, const Geometry& geometry, const Superblock& superblock)
    : port_(port), table_(table), geometry_(geometry), superblock_(superblock) {
  logical_bytes_ = port.info(DeviceId::cache).logical_block_bytes;
  page_bytes_ = std::max<std::uint64_t>(kPageBytes, logical_bytes_);
  // Behind the entries data may begin in the middle of a page.
  end_bytes_ = round_up(geometry.metadata_bytes(), logical_bytes_);
  page_count_ = (end_bytes_ + page_bytes_ - 1) / page_bytes_;
  dirty_.assign(page_count_ / 64 + 1, 0);
}

std::uint64_t SsdStore::next_dirty(std::uint64_t page) const noexcept {
  if (page >= page_count_) return page_count_;
  std::uint64_t at = page / 64;
  std::uint64_t word = dirty_[at] & (~std::uint64_t{0} << (page % 64));
  while (word == 0) {
    if (++at == dirty_.size()) return page_count_;
    word = dirty_[at];
  }
  return at * 64 + static_cast<unsigned>(std::countr_zero(word));
}

void SsdStore::start_sync(Sequence limit) {
  limit_ = limit;
  next_page_ = 0;
  outcome_ = {};
  step_ = Step::pages;
  write_pages();
}

void SsdStore::write_pages() {
  for (Write& write : writes_) {
    if (!write.is_free) continue;
    const std::uint64_t first = outcome_ ? next_dirty(next_page_) : page_count_;
    if (first == page_count_) break;
    if (write.memory.size() == 0) write.memory = AlignedBuffer(std::max(kWriteBytes, page_bytes_));
    std::uint64_t last = first + 1;
    while (last < page_count_ && is_dirty(last) && (last + 1 - first) * page_bytes_ <= write.memory.size())
      ++last;
    for (std::uint64_t page = first; page < last; ++page) {
      const std::uint64_t begin = page * page_bytes_;
      const std::uint64_t end = std::min(begin + page_bytes_, end_bytes_);
      dirty_[page / 64] &= ~(std::uint64_t{1} << (page % 64));
      if (!encode(begin, end, write.memory.data() + (page - first) * page_bytes_)) mark(page);
    }
    next_page_ = last;
    write.op.kind = IoKind::write;
    write.op.fua = false;
    write.op.offset_bytes = first * page_bytes_;
    write.op.memory = write.memory.span(0, std::min(last * page_bytes_, end_bytes_) - write.op.offset_bytes);
    write.is_free = false;
    submit(write.op);
  }
  if (in_flight_ != 0) return;
  if (!outcome_) {
    step_ = Step::finished;
    return;
  }
  step_ = Step::flush;
  flush_op_.kind = IoKind::flush;
  submit(flush_op_);
}

/// The bytes of the metadata area from `begin` to `end`. False if they hide an entry above the limit.
bool SsdStore::encode(std::uint64_t begin, std::uint64_t end, std::byte* to) const noexcept {
  bool is_whole = true;
  if (begin == 0) {
    encode_superblock(to);
    begin = kSuperblockBytes;
    to += kSuperblockBytes;
  }
  const std::uint64_t entries_end = std::min(end, geometry_.metadata_bytes());
  for (; begin < entries_end; begin += kEntryBytes, to += kEntryBytes) {
    const auto slot = static_cast<index::Slot>((begin - kSuperblockBytes) / kEntryBytes);
    const Entry entry = table_.entry(slot, limit_);
    is_whole = is_whole && (entry.seq_count != kFreeSequence || table_.is_free(slot));
    media::store_entry(to, entry);
  }
  if (begin < end) std::memset(to, 0, end - begin);
  return is_whole;
}

void SsdStore::encode_superblock(std::byte* to) const noexcept {
  media::encode_superblock(superblock_, std::span<std::byte, kSuperblockBytes>(to, kSuperblockBytes));
}

void SsdStore::start_raise(Sequence seq_count) {
  // Only the first logical block: its other entries are written as they already stand there.
  superblock_.seq_count = seq_count;
  outcome_ = {};
  step_ = Step::raise;
  Write& write = writes_[0];
  if (write.memory.size() == 0) write.memory = AlignedBuffer(std::max(kWriteBytes, page_bytes_));
  encode(0, logical_bytes_, write.memory.data());
  write.op.kind = IoKind::write;
  write.op.fua = true;
  write.op.offset_bytes = 0;
  write.op.memory = write.memory.span(0, logical_bytes_);
  write.is_free = false;
  submit(write.op);
}

void SsdStore::submit(IoOp& op) {
  op.device = DeviceId::cache;
  op.owner = this;
  op.on_done = [](IoOp& done, Result<void> outcome) {
    static_cast<SsdStore*>(done.owner)->on_done(done, std::move(outcome));
  };
  ++in_flight_;
  port_.submit(op);
}

void SsdStore::on_done(IoOp& op, Result<void> outcome) {
  --in_flight_;
  if (!outcome && outcome_) outcome_ = std::move(outcome);
  for (Write& write : writes_) {
    if (&write.op == &op) write.is_free = true;
  }
  if (step_ == Step::pages) {
    write_pages();
  } else {
    step_ = Step::finished;
  }
}

std::optional<Result<void>> SsdStore::take_outcome() {
  if (step_ != Step::finished) return std::nullopt;
  step_ = Step::none;
  return std::move(outcome_);
}

}  // namespace wc::store
