// SPDX-License-Identifier: LGPL-2.1-or-later
// Controls: each is looked at again until what it waits for has come.
#include "engine/control_op.hpp"

namespace wc::engine {

void Controls::submit(Control& control) noexcept {
  const bool is_instant = control.kind == ControlKind::flush_on_suspend || control.kind == ControlKind::clear_stats;
  (is_instant ? instant_ : queue_).push(control);
}

bool Controls::advance() {
  bool any = false;
  while (Control* control = instant_.pop()) {
    finish(*control, *run(*control));
    any = true;
  }
  Control* control = queue_.front();
  if (control == nullptr) return any;
  const bool was_started = is_started_ || is_suspending_;
  auto outcome = run(*control);
  // What has just been started has work for others.
  if (!outcome) return any || !was_started;
  is_started_ = is_written_back_ = false;
  queue_.pop();
  finish(*control, std::move(*outcome));
  return true;
}

void Controls::finish(Control& control, Result<void> outcome) {
  ++core_.completed;
  if (control.on_done != nullptr) control.on_done(control, std::move(outcome));
}

std::optional<Result<void>> Controls::run(const Control& control) {
  switch (control.kind) {
    case ControlKind::flush:
      // The driver's answer. Waiting for a resume that waits behind it would never end.
      if (is_suspended_) return Result<void>(Error{ErrorCode::busy, 0, 0, "the cache is suspended (resume it first)"});
      return write_everything_back();
    case ControlKind::flush_on_suspend:
      flushes_on_suspend_ = true;
      return Result<void>();
    case ControlKind::cleaner:
      core_.settings.is_cleaner = true;
      writeback_.begin_cleaning();
      return Result<void>();
    case ControlKind::clear_stats:
      core_.stats = {};
      return Result<void>();
    case ControlKind::suspend:
      return suspend();
    case ControlKind::resume:
      // The driver looks for free blocks again.
      if (is_suspended_) core_.blocks.rewind_free();
      is_suspended_ = false;
      return Result<void>();
  }
  return Result<void>();
}

std::optional<Result<void>> Controls::write_everything_back() {
  if (core_.settings.is_read_only) {
    return Result<void>(Error{ErrorCode::permission, 0, 0, "the view is read-only"});
  }
  if (core_.error) {
    writeback_.clear_goal();
    return Result<void>(core_.refusal());
  }
  if (!is_started_) {
    is_started_ = true;
    writeback_.set_goal();
  }
  if (!writeback_.is_goal_reached()) return std::nullopt;
  writeback_.clear_goal();
  return Result<void>();
}

std::optional<Result<void>> Controls::suspend() {
  is_suspending_ = true;
  // Suspended once more, perhaps with more to be written back: requests stay held, the rest goes on.
  is_suspended_ = false;
  writeback_.set_hurry(true);
  if (core_.operations.taken() != 0) return std::nullopt;
  std::optional<Result<void>> outcome = Result<void>();
  if (core_.error) {
    writeback_.clear_goal();
    if (core_.transfers.in_flight() != 0) return std::nullopt;
    outcome = Result<void>(core_.refusal());
  } else if (!core_.settings.is_read_only) {
    if ((flushes_on_suspend_ || core_.settings.is_cleaner) && !is_written_back_) {
      if (!write_everything_back()) return std::nullopt;
      if (core_.error) return suspend();
      is_written_back_ = true;
    }
    if (!cycle_.is_settled()) cycle_.want_commit();
    if (core_.blocks.has_marked()) cycle_.want_frees();
    if (!cycle_.is_settled() || core_.blocks.has_marked() || !writeback_.is_idle() || writeback_.wants_background()) {
      return std::nullopt;
    }
  }
  writeback_.set_hurry(false);
  flushes_on_suspend_ = is_suspending_ = false;
  is_suspended_ = true;
  return outcome;
}

}  // namespace wc::engine
