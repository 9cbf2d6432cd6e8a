// SPDX-License-Identifier: LGPL-2.1-or-later
// Discards: entries are freed, durably, before the origin discards.
#pragma once

#include "engine/commit_cycle.hpp"
#include "engine/core.hpp"

namespace wc::engine {

class Discards final : public FreeSource {
 public:
  Discards(Core& core, CommitCycle& cycle) : core_(core), cycle_(cycle) {}
  /// Goes on with a discard that holds its range.
  void run(Operation& operation);
  void apply_frees(std::uint64_t cycle) override;
  /// Blocks have left the table: those that waited for it try again.
  void retry() noexcept {
    if (!waiting_.empty()) cycle_.want_frees();
  }
  /// After an error: nobody waits any more.
  void release_waiters();

 private:
  enum class Look : std::uint8_t { none, free_now, must_wait };
  Look look(const Operation& operation) const;
  void free_range(const Operation& operation);
  template <class Visit>
  void each_newest(const Operation& operation, Visit visit) const;
  void discard_origin(Operation& operation);

  Core& core_;
  CommitCycle& cycle_;
  Queue<Operation> waiting_;
};

}  // namespace wc::engine
