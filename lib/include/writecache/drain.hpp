// SPDX-License-Identifier: LGPL-2.1-or-later
// Draining: writes every live block to the origin, makes it durable, then frees the entries.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "writecache/api.hpp"
#include "writecache/observer.hpp"
#include "writecache/port.hpp"
#include "writecache/result.hpp"
#include "writecache/superblock.hpp"

namespace wc {

enum class UncommittedPolicy : std::uint8_t {
  drop,   ///< as the driver does at activation; the entries are freed
  flush,  ///< write them too: an uncommitted entry supersedes the committed one of its sector
};
enum class BeyondEndPolicy : std::uint8_t {
  fail,  ///< nothing is written at all
  skip,  ///< the blocks stay in the cache and count as failed
};

/// A part of the origin.
struct SectorRange {
  Sector first = 0;
  Sector count = 0;
};

struct DrainOptions {
  bool dry_run = false;     ///< counts only
  bool keep = false;        ///< entries are not freed
  bool verify = false;      ///< each batch is read back from the origin before its entries are freed
  bool skip_check = false;  ///< drains although wc-check would report errors
  UncommittedPolicy uncommitted = UncommittedPolicy::drop;
  BeyondEndPolicy beyond_end = BeyondEndPolicy::fail;
  std::optional<SectorRange> range;  ///< only blocks that touch it
  std::uint64_t rate_bytes_per_second = 0;  ///< bound on writes to the origin, 0: none
  unsigned queue_depth = 64;                ///< writes in flight, 1 to 1024
  std::uint64_t memory_bytes = std::uint64_t{256} << 20;  ///< bound of sorting and buffers; below 64 MiB counts as 64 MiB
  unsigned retries = 3;                     ///< of a failed read or write, before it counts as failed
};

/// A part of the origin that could not be brought up to date.
struct FailedRange {
  Sector first = 0;
  Sector count = 0;
  std::string error;  ///< "read of the cache: Input/output error", ...
};

struct DrainReport {
  std::uint64_t blocks_total = 0;    ///< live blocks in the range asked for
  std::uint64_t blocks_written = 0;  ///< durable on the origin (dry_run: 0)
  std::uint64_t bytes_written = 0;
  std::uint64_t blocks_failed = 0;   ///< still only in the cache
  std::uint64_t blocks_beyond = 0;   ///< of those, at or behind the origin's end (BeyondEndPolicy::skip)
  std::vector<FailedRange> failed_ranges;  ///< ascending, joined, at most kFailedRangesMax
  /// Below it, and in the range asked for, the origin is up to date but for failed_ranges. kSectorLimit: all of it;
  /// less if it was stopped or more failed than is listed; dry_run: 0.
  Sector settled_until = 0;
  std::uint64_t entries_freed = 0;         ///< live, stale and uncommitted ones
  std::uint64_t nanoseconds = 0;
  bool cancelled = false;  ///< stopped by the observer; what is reported is true and durable
};
inline constexpr std::size_t kFailedRangesMax = 65536;

/// Drains. Order, batch by batch: read cache, write origin, origin durable, entries freed, cache
/// durable; superseded entries are freed before the first live one, so that no old block comes back.
/// Errors: not_a_cache; damaged (check finds errors and not skip_check, or a block lies beyond the
/// origin's end under BeyondEndPolicy::fail: nothing written); io where the metadata or a flush fails
/// (the entries whose data may not be durable stay); invalid_argument.
WC_API Result<DrainReport> drain(IoPort& port, Clock& clock, const DrainOptions& options,
                                 Observer& observer);

}  // namespace wc
