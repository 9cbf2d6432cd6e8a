// SPDX-License-Identifier: LGPL-2.1-or-later
// Controls: the driver's messages, suspend and resume; those that take time one after the other.
#pragma once

#include "engine/commit_cycle.hpp"
#include "engine/core.hpp"
#include "engine/writeback_op.hpp"

namespace wc::engine {

class Controls {
 public:
  Controls(Core& core, CommitCycle& cycle, Writeback& writeback) : core_(core), cycle_(cycle), writeback_(writeback) {}

  void submit(Control& control) noexcept;
  bool is_busy() const noexcept { return !queue_.empty() || !instant_.empty(); }
  /// No request may be started.
  bool holds_requests() const noexcept { return is_suspending_ || is_suspended_; }
  bool is_suspended() const noexcept { return is_suspended_; }

  /// Goes on with the first one. Returns true if anything happened.
  bool advance();

 private:
  /// Nothing: it is not done yet.
  std::optional<Result<void>> run(const Control& control);
  std::optional<Result<void>> write_everything_back();
  std::optional<Result<void>> suspend();
  void finish(Control& control, Result<void> outcome);

  Core& core_;
  CommitCycle& cycle_;
  Writeback& writeback_;
  Queue<Control> queue_;
  Queue<Control> instant_;   ///< do not wait for others
  bool is_started_ = false;  ///< the first one's writeback
  bool is_written_back_ = false;
  bool is_suspending_ = false;
  bool is_suspended_ = false;
  bool flushes_on_suspend_ = false;
};

}  // namespace wc::engine
