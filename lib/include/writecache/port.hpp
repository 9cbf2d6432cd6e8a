// SPDX-License-Identifier: LGPL-2.1-or-later
// The doors to the outside: IoPort (block devices), PmemPort (mapped persistent memory), Clock.
// Production implements them in lib/io, the simulator in tests/sim; the code between is the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "writecache/api.hpp"
#include "writecache/result.hpp"

namespace wc {

enum class DeviceId : std::uint8_t { cache, origin };
enum class IoKind : std::uint8_t { read, write, flush, discard };

/// Alignment of IoOp::memory that suits every device with O_DIRECT.
inline constexpr std::size_t kIoAlignmentBytes = 4096;

/// What a port knows of one of its devices. Offsets in IoOp count from the start of the window
/// (the table line's start_sector), not of the medium.
struct DeviceInfo {
  std::uint64_t size_bytes = 0;             ///< of the window
  std::uint64_t window_offset_bytes = 0;    ///< where the window begins on the medium
  std::uint32_t logical_block_bytes = 512;  ///< every read and write is a multiple of it
  std::uint32_t max_io_bytes = 1U << 20;    ///< largest single operation worth submitting
  std::uint32_t memory_alignment_bytes = kIoAlignmentBytes;  ///< of IoOp::memory; 1 for what the page cache copies
  bool present = false;
  bool writable = false;
  bool can_discard = true;  ///< false where a discard would only be refused
};

struct IoOp;
/// Runs inside poll(), once for each operation, after which the op may be reused or destroyed.
using IoDone = void (*)(IoOp& op, Result<void> outcome);

/// One request to one device. The caller keeps it and its memory alive until `on_done` has run.
struct IoOp {
  IoKind kind = IoKind::read;
  DeviceId device = DeviceId::cache;
  bool fua = false;                ///< a write that is durable when it completes
  std::uint64_t offset_bytes = 0;  ///< from the start of the window; multiple of its logical block
  std::span<std::byte> memory;     ///< read into or written from; empty for flush and discard.
                                   ///< Aligned as the device asks; kIoAlignmentBytes always will do
  std::uint64_t length_bytes = 0;  ///< discard only
  IoDone on_done = nullptr;
  void* owner = nullptr;  ///< for the caller; the port never looks at it
};

enum class Wait : std::uint8_t {
  at_once,  ///< only what the calling thread can finish at once: nothing is left in flight for it, so it may end
  no,       ///< start what is queued, reap what has finished
  for_one,  ///< block until at least one operation has finished (returns at once if none is in flight)
};

/// The only way the library reaches a block device.
/// Contract: (1) submit never completes an operation, only poll does; (2) an operation completes
/// whole or fails: short transfers and EINTR stay inside; (3) a completed write is durable only
/// after a later flush of its device, or with `fua`; (4) operations in flight have no order among
/// themselves; (5) an operation outside the window, misaligned, or a write to a device opened
/// read-only fails with invalid_argument or permission and reaches no medium.
class WC_API IoPort {
 public:
  virtual ~IoPort() = default;
  virtual DeviceInfo info(DeviceId device) const noexcept = 0;
  virtual void submit(IoOp& op) noexcept = 0;  ///< queues; never blocks, never calls `on_done`
  virtual std::size_t poll(Wait wait) = 0;     ///< runs `on_done` of finished ones; returns how many
  /// For a loop that waits for other things too: a descriptor that becomes readable when poll has
  /// something to reap, the same one always, or -1 while poll itself must be called for anything to go on.
  virtual int ready_fd() const noexcept { return -1; }
};

/// Persistent memory that is mapped: the type-p cache of the engine.
/// Contract: what `store` wrote is durable after `flush` of its range and a later `fence`; what `write` wrote, after a
/// later `fence`. Where one of them fails, `failure` tells it at once, and every later fence fails.
class WC_API PmemPort {
 public:
  virtual ~PmemPort() = default;
  virtual std::span<const std::byte> view() const noexcept = 0;  ///< the whole window
  /// Copies a part of the window out of it. Errors: io, where touching the view would raise a signal.
  virtual Result<void> load(std::uint64_t offset_bytes, std::span<std::byte> memory) const {
    std::memcpy(memory.data(), view().data() + offset_bytes, memory.size());
    return {};
  }
  virtual void store(std::uint64_t offset_bytes, std::span<const std::byte> data) noexcept = 0;
  virtual void flush(std::uint64_t offset_bytes, std::uint64_t length_bytes) noexcept = 0;
  /// A store and its flush in one, for data: a port may know a way past the processor's caches.
  virtual void write(std::uint64_t offset_bytes, std::span<const std::byte> data) noexcept {
    store(offset_bytes, data);
    flush(offset_bytes, data.size());
  }
  virtual Result<void> fence() = 0;
  virtual const Error* failure() const noexcept { return nullptr; }  ///< the first one of a store, for good
};

/// Time for rates, progress and timers. Never wall-clock time.
class WC_API Clock {
 public:
  virtual ~Clock() = default;
  virtual std::uint64_t now_ns() noexcept = 0;           ///< monotonic
  virtual void sleep_ns(std::uint64_t duration_ns) = 0;  ///< may return early on a signal
};

}  // namespace wc
