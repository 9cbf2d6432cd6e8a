// SPDX-License-Identifier: LGPL-2.1-or-later
// CommitCycle: makes entries and freed entries durable, and commits, one cycle after the other.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/core.hpp"
#include "store/cache_store.hpp"

namespace wc::engine {

/// Who has entries to free. Free marks change only between two cycles, so that what a cycle writes is consistent.
class FreeSource {
 public:
  virtual ~FreeSource() = default;
  /// Marks what can be freed now; the cycle that calls makes it durable. `cycle`: its number.
  virtual void apply_frees(std::uint64_t cycle) = 0;
};

/// A cycle: [no data write of S in flight] -> frees marked -> entries written, all durable -> [S + 1 durable]. The
/// parts in brackets only if something is uncommitted.
class CommitCycle {
 public:
  explicit CommitCycle(Core& core) : core_(core) {}
  void set_store(store::CacheStore& store) noexcept { store_ = &store; }
  void add_source(FreeSource& source) { sources_.push_back(&source); }

  /// A commit is wanted, or a flush of the cache if only committed blocks were overwritten.
  void want_commit() noexcept { is_commit_wanted_ = true; }
  /// A cycle for freed entries is wanted.
  void want_frees() noexcept { are_frees_wanted_ = true; }
  /// Puts an operation to wait until everything that was acknowledged is durable. False if it is already.
  bool wait(Operation& operation);
  /// Puts an operation to wait for the end of a cycle.
  void wait_for(Operation& operation, std::uint64_t cycle);
  /// True if nothing that was acknowledged waits to become durable, and no cycle runs.
  bool is_settled() const noexcept {
    return step_ == Step::idle && core_.blocks.uncommitted_total() == 0 && !has_overwritten_;
  }
  bool is_idle() const noexcept { return step_ == Step::idle; }
  /// Cycles that have ended.
  std::uint64_t ended() const noexcept { return step_ == Step::idle ? number_ : number_ - 1; }

  // ---- told by writes
  void data_started(Sequence epoch) noexcept { ++data_in_flight_[epoch & 1]; }
  void data_done(Sequence epoch) noexcept { --data_in_flight_[epoch & 1]; }
  /// A committed block was overwritten in place.
  void overwritten() noexcept { has_overwritten_ = true; }

  /// Goes on as far as possible. Returns true if anything happened.
  bool advance();
  /// After an error: nobody waits any more.
  void release_waiters();

 private:
  enum class Step : std::uint8_t { idle, data, sync, raise };
  bool begin();
  bool start_sync();
  bool sync_ended();
  void end();

  Core& core_;
  store::CacheStore* store_ = nullptr;
  std::vector<FreeSource*> sources_;
  Step step_ = Step::idle;
  bool is_commit_ = false;
  bool is_commit_wanted_ = false;
  bool are_frees_wanted_ = false;
  bool has_overwritten_ = false;
  std::uint64_t number_ = 0;  ///< of the cycle that runs, or the last one
  std::array<std::uint64_t, 2> data_in_flight_{};
  Queue<Operation> waiters_;
};

}  // namespace wc::engine
