// SPDX-License-Identifier: LGPL-2.1-or-later
// Engine: the live cache. Serves reads, writes, flushes and discards as the kernel driver does, on the same media.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "writecache/api.hpp"
#include "writecache/pending_log.hpp"
#include "writecache/port.hpp"
#include "writecache/result.hpp"
#include "writecache/superblock.hpp"
#include "writecache/units.hpp"

namespace wc {

/// The type of the table line.
enum class CacheType : std::uint8_t {
  ssd,   ///< "s": block I/O on the cache
  pmem,  ///< "p": the cache is mapped memory
};

/// What the engine stands on. All must outlive it. `io` serves the origin, and the cache of type s;
/// `pmem` is the cache of type p and null for type s.
struct EnginePorts {
  IoPort* io = nullptr;
  PmemPort* pmem = nullptr;
  Clock* clock = nullptr;
  PendingLog* pending = nullptr;  ///< may be null; with one, uncommitted blocks of a killed engine are brought back
};

/// The optionals of the table line, with the driver's defaults and limits (doc/format.md). What is not
/// set takes the driver's default for the type.
struct EngineOptions {
  CacheType type = CacheType::ssd;
  std::uint32_t block_bytes = 4096;
  unsigned high_watermark_percent = 50;            ///< 0 to 100
  unsigned low_watermark_percent = 45;             ///< 0 to high_watermark_percent
  std::uint32_t writeback_jobs = 0;                ///< blocks in flight, 0: unlimited
  std::optional<std::uint32_t> autocommit_blocks;  ///< default 65536 (s), 64 (p)
  std::uint32_t autocommit_ms = 1000;              ///< 0 to 3'600'000
  std::optional<std::uint32_t> max_age_ms;         ///< 0 to 86'400'000, default none
  bool cleaner = false;
  bool metadata_only = false;
  std::optional<bool> fua;                          ///< type p only, default true
  std::optional<std::uint32_t> pause_writeback_ms;  ///< type s only, 0 to 60'000, default 3000
  bool no_overwrite = false;                        ///< type s: committed blocks are never overwritten in place
  bool read_only = false;                           ///< the merged view: nothing is written to either device
  bool format_blank = false;                        ///< a blank cache is formatted, otherwise refused
};

enum class RequestKind : std::uint8_t {
  read,
  write,
  flush,  ///< everything acknowledged before it is submitted is durable when it completes
  discard,
};

/// One request of a client. The caller keeps it and its memory alive until `on_done` has run.
/// Offsets and lengths are multiples of 512 bytes; where one is not a multiple of the block size the
/// engine does what is needed (a read of the rest, then the write), as the driver's users never need.
/// A discard frees the whole blocks inside its range and passes only these on.
struct Request {
  RequestKind kind = RequestKind::read;
  bool fua = false;                ///< a write that is durable when it completes
  bool is_metadata = false;        ///< a write that metadata_only caches
  std::uint64_t offset_bytes = 0;  ///< on the origin
  std::span<std::byte> memory;     ///< of reads and writes; copied once more where not aligned as the
                                   ///< devices ask (DeviceInfo)
  std::uint64_t length_bytes = 0;  ///< discard only
  /// Runs inside step(), once. Errors: invalid_argument (out of range, misaligned: nothing changed),
  /// io (also everything but reads after the first error), permission (a write or discard to a
  /// read-only view; a flush of one succeeds), cancelled (held by a suspension at close()).
  void (*on_done)(Request& request, Result<void> outcome) = nullptr;
  void* owner = nullptr;    ///< for the caller
  Request* next = nullptr;  ///< for the engine while it owns the request
};

/// The messages of the driver, and suspend and resume.
enum class ControlKind : std::uint8_t {
  flush,             ///< commits and writes everything back
  flush_on_suspend,  ///< the next suspend writes everything back first
  cleaner,           ///< write everything back and cache nothing from now on
  clear_stats,
  suspend,  ///< requests that come later wait for resume; done when all is committed
  resume,
};
/// A message under way; as Request.
struct Control {
  ControlKind kind = ControlKind::flush;
  void (*on_done)(Control& control, Result<void> outcome) = nullptr;
  void* owner = nullptr;
  Control* next = nullptr;  ///< for the engine
};

/// The 14 numbers of the driver's status line, in its order and units (doc/format.md, status).
struct EngineStatus {
  std::uint64_t error = 0;  ///< 0 none, 1 a sticky error
  std::uint64_t n_blocks = 0;
  std::uint64_t free = 0;
  std::uint64_t writeback = 0;
  std::uint64_t reads = 0;
  std::uint64_t read_hits = 0;
  std::uint64_t writes = 0;
  std::uint64_t write_hits_uncommitted = 0;
  std::uint64_t write_hits_committed = 0;
  std::uint64_t writes_around = 0;
  std::uint64_t writes_allocated = 0;
  std::uint64_t writes_blocked_on_freelist = 0;
  std::uint64_t flushes = 0;
  std::uint64_t discards = 0;
};

/// Besides what the driver tells.
struct EngineDetails {
  std::uint64_t uncommitted = 0;  ///< blocks
  Sequence seq_count = 0;         ///< S
  bool is_cleaner = false;
  bool is_suspended = false;
  bool is_draining = false;  ///< writeback runs
  std::optional<Error> first_error;
};

/// A live cache. One thread at a time; no clock, thread or randomness of its own: time comes from the
/// Clock port and passes only as often as step() is called.
class WC_API Engine {
 public:
  /// Recovers the cache as the driver's activation does (uncommitted and superseded entries are freed,
  /// durably), or formats a blank one if asked to. A read-only view writes nothing.
  /// Errors: invalid_argument (options and ports, in the driver's own words), not_a_cache (blank), damaged (what
  /// wc-check calls an error, future entries too, and pending blocks that do not fit the cache), unsupported (2^32 - 1
  /// blocks or more), permission, no_space, io.
  static Result<std::unique_ptr<Engine>> open(const EnginePorts& ports, const EngineOptions& options);
  ~Engine();  ///< as a crash: what was not committed is lost. close() is the orderly way
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// The request will be submitted in a moment: the memory that step() needs first is fetched meanwhile. Changes and
  /// reads nothing that others change, so it may run beside everything else.
  void announce(const Request& request) const noexcept;
  void submit(Request& request) noexcept;  ///< completes later, from step()
  void submit(Control& control) noexcept;

  /// Starts what was submitted, reaps the ports, runs timers, advances everything that can go on.
  /// `for_one` blocks in the port while I/O is in flight; it never waits for a timer. `at_once` goes on until
  /// a request is done, if the port finishes things at once. Returns how many requests and controls were completed.
  std::size_t step(Wait wait);
  /// When step() should be called even if nothing else happens, in the Clock's time; none: no timer runs.
  std::optional<std::uint64_t> next_deadline_ns() const noexcept;
  /// True while an operation of a port is in flight, so that step(for_one) would block rather than spin.
  bool has_io_in_flight() const noexcept;
  /// True while a request or control is unfinished.
  bool is_busy() const noexcept;

  /// Of the served device: the origin's window, in whole sectors. What is left of a block at its end is
  /// served without being cached.
  std::uint64_t size_bytes() const noexcept;
  const EngineOptions& options() const noexcept;  ///< with defaults filled in
  const Geometry& geometry() const noexcept;
  EngineStatus status() const noexcept;
  EngineDetails details() const;

  /// Finishes what is under way and commits (with a pending flush_on_suspend, or as a cleaner: writes
  /// everything back). Like the driver's suspend it does not flush an origin that was written around.
  /// The engine is of no use afterwards. Errors: io.
  Result<void> close();

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wc
