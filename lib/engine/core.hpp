// SPDX-License-Identifier: LGPL-2.1-or-later
// Core: what all state machines of the engine share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "engine/blocks.hpp"
#include "engine/operation.hpp"
#include "engine/range_lock.hpp"
#include "engine/transfer.hpp"
#include "writecache/engine.hpp"
#include "writecache/superblock.hpp"

namespace wc::engine {

/// Options with every default filled in; engine.hpp says what they mean.
struct Settings {
  bool is_pmem = false;
  bool overwrites_committed = true;  ///< in place
  bool uses_fua = false;             ///< writeback writes with FUA instead of flushing the origin
  std::uint64_t autocommit_blocks = 0;
  std::uint64_t autocommit_ns = 0;
  std::uint64_t max_age_ns = 0;  ///< 0: none
  std::uint64_t pause_ns = 0;
  unsigned high_watermark_percent = 0;
  unsigned low_watermark_percent = 0;
  std::uint32_t writeback_jobs = 0;  ///< 0: unlimited
  bool is_cleaner = false;
  bool is_metadata_only = false;
  bool is_read_only = false;
};

struct Core {
  Core(const EnginePorts& given, const Settings& wanted, const Geometry& shape, Sequence seq_count)
      : ports(given),
        settings(wanted),
        geometry(shape),
        blocks(shape.n_blocks, wanted.is_pmem ? index::FreeOrder::fifo : index::FreeOrder::ascending, seq_count,
               wanted.max_age_ns / kAgeGroups),
        transfers(*given.io, given.pmem) {
    cache_info = given.io->info(DeviceId::cache);
    if (wanted.is_pmem) cache_info = DeviceInfo{.logical_block_bytes = 1, .max_io_bytes = 1U << 20, .present = true};
    origin_info = given.io->info(DeviceId::origin);
    size_bytes = round_down(origin_info.size_bytes, kSectorBytes);
  }
  static constexpr std::uint64_t kAgeGroups = 16;

  // ---- arithmetic. A block of the origin is named by its number, in blocks from the start.
  std::uint64_t block_bytes() const noexcept { return geometry.block_bytes; }
  Sector sector_of(std::uint64_t block) const noexcept { return block * geometry.sectors_per_block(); }
  std::uint64_t block_of(std::uint64_t offset_bytes) const noexcept { return offset_bytes / geometry.block_bytes; }
  std::uint64_t offset_of(std::uint64_t block) const noexcept { return block * geometry.block_bytes; }
  /// Bytes of the device in a block: fewer in the last one of a device that ends inside a block.
  std::uint64_t extent_of(std::uint64_t block) const noexcept {
    return std::min(block_bytes(), size_bytes - offset_of(block));
  }
  Slot find(std::uint64_t block) const noexcept { return blocks.find(sector_of(block)); }
  const DeviceInfo& info(DeviceId device) const noexcept {
    return device == DeviceId::cache ? cache_info : origin_info;
  }
  std::uint64_t max_io_blocks(DeviceId device) const noexcept {
    return std::max<std::uint64_t>(1, info(device).max_io_bytes / block_bytes());
  }

  // ---- errors
  /// Remembers the first error for good: from now on only reads are served.
  void fail(const Error& found) {
    if (!error) error = found;
  }
  Error refusal() const {
    return Error{ErrorCode::io, error->os_errno, error->offset_bytes, "the cache has failed before: " + error->context};
  }

  /// Ends an operation: its request's `on_done` runs, others of the same blocks may go on.
  void finish(Operation& operation, Result<void> outcome) {
    if (operation.is_locked) range_lock.leave(operation, ready);
    if (operation.head != nullptr) transfers.release_buffer(*operation.head);
    if (operation.tail != nullptr) transfers.release_buffer(*operation.tail);
    Request& request = *operation.request;
    operations.release(operation);
    ++completed;
    request.on_done(request, std::move(outcome));
  }

  EnginePorts ports;
  Settings settings;
  Geometry geometry;
  DeviceInfo cache_info;
  DeviceInfo origin_info;
  std::uint64_t size_bytes = 0;
  Blocks blocks;
  Transfers transfers;
  RangeLock range_lock;
  Pool<Operation> operations;
  Queue<Operation> ready;         ///< can go on
  Queue<Operation> free_waiters;  ///< writes that need a free block
  EngineStatus stats;             ///< the counters of it
  std::optional<Error> error;     ///< the first one, for good
  std::uint64_t now_ns = 0;
  std::uint64_t last_around_ns = 0;  ///< when a write last went around the cache
  bool has_written_around = false;   ///< without FUA, since a client's flush of the origin began
  std::size_t completed = 0;         ///< requests and controls, in this step
};

/// One transfer of an operation is done.
inline void note_transfer(Core& core, Operation& operation, const Result<void>& outcome) {
  --operation.in_flight;
  if (!outcome && !operation.error) operation.error = outcome.error();
  if (!operation.is_waiting && (operation.in_flight == 0 || operation.stage == Stage::issue)) {
    // Several transfers may end before the operation runs.
    operation.is_waiting = true;
    core.ready.push(operation);
  }
}

}  // namespace wc::engine
