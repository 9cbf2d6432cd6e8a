// SPDX-License-Identifier: LGPL-2.1-or-later
// Transfers: submission, completion, and the list of reads of the cache.
#include "engine/transfer.hpp"

#include <cstring>
#include <utility>

namespace wc::engine {

Transfer& Transfers::take() {
  Transfer& transfer = pool_.take();
  transfer.owner = transfer.part = nullptr;
  transfer.bounce = nullptr;
  transfer.copy_to = {};
  transfer.copy_skip_bytes = 0;
  transfer.role = TransferRole::other;
  transfer.overwrites_committed = transfer.has_uncommitted = false;
  transfer.slot = index::kNoSlot;
  transfer.slot_count = 0;
  transfer.io.fua = false;
  transfer.io.memory = {};
  transfer.io.length_bytes = 0;
  return transfer;
}

void Transfers::submit(Transfer& transfer) {
  transfer.home_ = this;
  transfer.io.owner = &transfer;
  transfer.io.on_done = [](IoOp& op, Result<void> outcome) {
    auto& done = *static_cast<Transfer*>(op.owner);
    --done.home_->in_flight_;
    done.home_->finish(done, std::move(outcome));
  };
  if (memory_ != nullptr && transfer.io.device == DeviceId::cache) {
    // In this order: what is stored after the data, and read back soon, would wait until the data have left the
    // processor.
    local_.push_back(&transfer);
    const Result<void> outcome = perform_mapped(transfer.io);
    transfer.has_failed_ = !outcome;
    if (!outcome && !local_failure_) local_failure_ = outcome.error();
    return;
  }
  if (transfer.io.device == DeviceId::cache && transfer.io.kind == IoKind::read) enter(transfer);
  ++in_flight_;
  port_.submit(transfer.io);
}

Result<void> Transfers::perform_mapped(const IoOp& op) {
  if (op.kind == IoKind::read) return memory_->load(op.offset_bytes, op.memory);
  memory_->write(op.offset_bytes, op.memory);
  if (const Error* failure = memory_->failure()) return *failure;
  return {};
}

std::size_t Transfers::run_local() {
  running_.swap(local_);
  const std::size_t count = running_.size();
  for (Transfer* transfer : running_)
    finish(*transfer, transfer->has_failed_ ? Result<void>(*local_failure_) : Result<void>());
  running_.clear();
  return count;
}

void Transfers::finish(Transfer& transfer, Result<void> outcome) {
  ++finished_;
  if (transfer.ticket_ != 0) leave(transfer);
  if (outcome && !transfer.copy_to.empty()) {
    std::memcpy(transfer.copy_to.data(), transfer.io.memory.data() + transfer.copy_skip_bytes, transfer.copy_to.size());
  }
  transfer.on_done(transfer, std::move(outcome));
  if (transfer.bounce != nullptr) buffers_.release(*transfer.bounce);
  pool_.release(transfer);
}

void Transfers::enter(Transfer& read) noexcept {
  read.ticket_ = ++last_ticket_;
  read.previous_ = newest_read_;
  read.following_ = nullptr;
  (newest_read_ == nullptr ? oldest_read_ : newest_read_->following_) = &read;
  newest_read_ = &read;
}

void Transfers::leave(Transfer& read) noexcept {
  (read.previous_ == nullptr ? oldest_read_ : read.previous_->following_) = read.following_;
  (read.following_ == nullptr ? newest_read_ : read.following_->previous_) = read.previous_;
  read.ticket_ = 0;
}

}  // namespace wc::engine
