// SPDX-License-Identifier: LGPL-2.1-or-later
// CommitCycle: the order of doc/crash-model.md, section 7.
#include "engine/commit_cycle.hpp"

#include "reached.hpp"

namespace wc::engine {

bool CommitCycle::wait(Operation& operation) {
  const bool is_covered = step_ == Step::data;  // a sync that has not begun covers what was overwritten
  const bool needs_next = core_.blocks.uncommitted() != 0 || (has_overwritten_ && !is_covered);
  if (needs_next) is_commit_wanted_ = true;
  if (!needs_next && step_ == Step::idle) return false;
  wait_for(operation, needs_next ? number_ + 1 : number_);
  return true;
}

void CommitCycle::wait_for(Operation& operation, std::uint64_t cycle) {
  operation.cycle_target = cycle;
  operation.is_waiting = true;
  waiters_.push(operation);
}

bool CommitCycle::advance() {
  if (core_.error) return false;
  switch (step_) {
    case Step::idle:
      return begin();
    case Step::data:
      return start_sync();
    case Step::sync:
      return sync_ended();
    case Step::raise:
      break;
  }
  auto outcome = store_->take_outcome();
  if (!outcome) return false;
  if (!*outcome) {
    WC_REACHED("engine: the superblock cannot be written");
    core_.fail(outcome->error());
    return true;
  }
  core_.blocks.committed();
  end();
  return true;
}

bool CommitCycle::begin() {
  const bool commits = is_commit_wanted_ && core_.blocks.uncommitted() != 0;
  const bool syncs = is_commit_wanted_ && has_overwritten_;
  is_commit_wanted_ = false;
  const bool is_idle = !commits && !syncs && !are_frees_wanted_;
  if (is_idle && waiters_.empty()) return false;
  ++number_;
  if (is_idle) {
    // What they wait for was discarded meanwhile.
    end();
    return true;
  }
  is_commit_ = commits;
  // Writes that come from now on belong to the next commit.
  if (commits) core_.blocks.open_next();
  step_ = Step::data;
  return true;
}

bool CommitCycle::start_sync() {
  const Sequence seq_count = core_.blocks.seq_count();
  if (is_commit_ && data_in_flight_[seq_count & 1] != 0) return false;
  are_frees_wanted_ = false;
  for (FreeSource* source : sources_)
    source->apply_frees(number_);
  if (is_commit_) core_.blocks.free_replaced();
  if (!is_commit_ && !has_overwritten_ && !core_.blocks.has_marked()) {
    end();
    return true;
  }
  core_.blocks.begin_sync();
  has_overwritten_ = false;
  store_->start_sync(seq_count);
  step_ = Step::sync;
  return true;
}

bool CommitCycle::sync_ended() {
  auto outcome = store_->take_outcome();
  if (!outcome) return false;
  if (!*outcome) {
    WC_REACHED("engine: entries cannot be made durable");
    core_.fail(outcome->error());
    return true;
  }
  core_.blocks.end_sync(core_.transfers.last_ticket());
  if (!is_commit_) {
    end();
    return true;
  }
  store_->start_raise(core_.blocks.seq_count() + 1);
  step_ = Step::raise;
  return true;
}

void CommitCycle::end() {
  step_ = Step::idle;
  Queue<Operation> waiters = waiters_.take_all();
  while (Operation* operation = waiters.pop())
    (operation->cycle_target <= number_ ? core_.ready : waiters_).push(*operation);
}

void CommitCycle::release_waiters() {
  while (Operation* operation = waiters_.pop())
    core_.ready.push(*operation);
}

}  // namespace wc::engine
