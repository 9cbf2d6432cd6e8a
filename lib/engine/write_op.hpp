// SPDX-License-Identifier: LGPL-2.1-or-later
// Writes: in place, into fresh blocks, or around the cache.
#pragma once

#include "engine/commit_cycle.hpp"
#include "engine/core.hpp"

namespace wc::engine {

class Writes {
 public:
  Writes(Core& core, CommitCycle& cycle) : core_(core), cycle_(cycle) {}
  /// Goes on with a write that holds its range.
  void run(Operation& operation);
  /// When uncommitted blocks are to be committed at the latest; nothing if there are none.
  std::optional<std::uint64_t> autocommit_deadline_ns() const noexcept { return autocommit_deadline_ns_; }
  /// Commits if it is time. Returns true if it was.
  bool run_timer();

 private:
  enum class Where : std::uint8_t { in_place, fresh, around, wait };
  struct Place {
    Where where;
    Slot slot = kNoSlot;
  };
  struct Run {
    Place place;
    std::uint64_t first_block;
    std::uint64_t count;
    std::span<std::byte> memory;
    bool is_bounced;
  };

  void begin(Operation& operation);
  Buffer* fetch(Operation& operation, std::uint64_t block);
  void merge(Operation& operation);
  void issue(Operation& operation);
  void settle(Operation& operation);
  Place place(std::uint64_t block, bool is_metadata);
  bool can_overwrite(Slot slot) const noexcept;
  bool goes_around(std::uint64_t block, bool is_metadata) const noexcept;
  bool is_partial(const Operation& operation, std::uint64_t block) const noexcept;
  std::uint64_t extend(const Operation& operation, Place place, std::uint64_t limit_blocks);
  void submit(Operation& operation, const Run& run);
  void note_done(Transfer& transfer, const Result<void>& outcome);
  void count_run(const Run& run) noexcept;

  Core& core_;
  CommitCycle& cycle_;
  std::optional<std::uint64_t> autocommit_deadline_ns_;
};

}  // namespace wc::engine
