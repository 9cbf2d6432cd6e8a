// SPDX-License-Identifier: LGPL-2.1-or-later
// Writeback: cache -> origin -> origin durable -> entries freed.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/commit_cycle.hpp"
#include "engine/core.hpp"

namespace wc::engine {

class Writeback final : public FreeSource {
 public:
  Writeback(Core& core, CommitCycle& cycle);

  /// Everything that was written up to now is to be written back, whatever the watermarks say.
  void set_goal() noexcept {
    goal_ = core_.blocks.open_sequence() + (core_.blocks.uncommitted() != 0 ? 1 : 0);
    collected_at_ = kNever;
  }
  /// True if that is done, and the entries are freed durably.
  bool is_goal_reached() const noexcept;
  void clear_goal() noexcept;
  /// The cleaner's watermarks: everything.
  void begin_cleaning() noexcept;
  bool is_idle() const noexcept {
    return active_jobs_ == 0 && written_.empty() && flushing_.empty() && durable_.empty();
  }
  bool is_draining() const noexcept { return is_draining_ || !is_idle(); }
  /// Is there something that the watermarks or its age ask for, and that need not be put off?
  bool wants_background() noexcept;
  /// A suspension waits: nothing is put off.
  void set_hurry(bool is_in_hurry) noexcept { is_in_hurry_ = is_in_hurry; }

  /// Starts what may start. Returns true if anything happened.
  bool advance();
  void apply_frees(std::uint64_t cycle) override;
  /// When a timer wants to be looked at; nothing if none runs.
  std::optional<std::uint64_t> deadline_ns() const noexcept;

 private:
  /// A run of blocks on its way: adjacent on the origin, and in type s in the cache.
  struct Job {
    Job* next = nullptr;
    std::uint64_t first_block = 0;
    std::vector<Slot> slots;
    store::AlignedBuffer memory;
  };
  static constexpr std::uint64_t kJobBytes = 256 << 10;
  static constexpr std::size_t kJobsMax = 64;
  static constexpr std::size_t kSliceMax = 1U << 20;  ///< blocks that are sorted at once
  static constexpr std::size_t kFlushJobs = 16;
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  bool may_start() const noexcept;
  std::uint64_t room() const noexcept;
  bool is_paused() const noexcept;
  bool is_overdue() const noexcept;
  Slot pick();
  Slot pick_oldest();
  Slot pick_sorted();
  bool collect();
  void start(Slot slot);
  void read(Job& job);
  void read_mapped(Job& job);
  void write(Job& job);
  void on_written(Job& job, const Result<void>& outcome);
  void flush_origin();
  void on_flushed(const Result<void>& outcome);

  Core& core_;
  CommitCycle& cycle_;
  std::uint64_t high_threshold_;  ///< blocks not in use: at or below, draining begins
  std::uint64_t low_threshold_;   ///< and goes on until above
  std::uint64_t jobs_blocks_max_;
  bool is_draining_ = false;
  bool is_in_hurry_ = false;
  std::optional<Sequence> goal_;  ///< numbers below it
  std::vector<Slot> slice_;       ///< by sector, those for the goal
  std::size_t slice_at_ = 0;
  std::uint64_t collected_at_ = kNever;  ///< transfers and cycles finished at the last collect()
  Pool<Job> jobs_;
  std::size_t active_jobs_ = 0;  ///< reading or writing
  std::size_t written_count_ = 0;
  Queue<Job> written_;   ///< on the origin, not durable
  Queue<Job> flushing_;  ///< a flush of the origin is in flight for them
  Queue<Job> durable_;   ///< to be freed by the next cycle
};

}  // namespace wc::engine
