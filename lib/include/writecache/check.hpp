// SPDX-License-Identifier: LGPL-2.1-or-later
// Checking and repairing the metadata of a cache, and predicting what the driver will do with it.
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
#include "writecache/undo.hpp"

namespace wc {

/// What can be found. The text form (to_string) is the stable code of scripts, e.g. "bad-magic".
enum class FindingCode : std::uint8_t {
  uncommitted,
  stale,
  spare_room,
  pad_not_zero,
  blank,
  zeroed_superblock,
  interrupted_format,
  bad_magic,
  bad_version,
  bad_block_size,
  block_size_mismatch,
  bad_n_blocks,
  area_too_small,
  future,
  identical,
  misaligned,
  out_of_range,
  beyond_origin,
  sequence_exhausted,
};
WC_API const char* to_string(FindingCode code) noexcept;

enum class Severity : std::uint8_t { info, warning, error };
WC_API const char* to_string(Severity severity) noexcept;

inline constexpr std::size_t kFindingEntriesMax = 16;

/// One kind of finding with how often it occurs. Damage is data: it never stops a scan.
struct Finding {
  FindingCode code = FindingCode::blank;
  Severity severity = Severity::info;
  std::uint64_t count = 1;
  std::vector<BlockIndex> entries;  ///< the first kFindingEntriesMax, ascending
  std::string message;              ///< what it is, and what to do
  std::string driver_message;       ///< what the kernel would log, empty if nothing
};

/// How many entries are what. free + live + stale + uncommitted + future = n_blocks; the others are
/// attributes of entries that are counted there too.
struct EntryCounts {
  std::uint64_t free = 0;
  std::uint64_t live = 0;
  std::uint64_t stale = 0;
  std::uint64_t uncommitted = 0;
  std::uint64_t future = 0;
  std::uint64_t identical = 0;      ///< entries with a twin of equal sector and committed sequence
  std::uint64_t misaligned = 0;     ///< committed, sector no multiple of the block size
  std::uint64_t out_of_range = 0;   ///< committed, beyond 2^63 bytes
  std::uint64_t beyond_origin = 0;  ///< committed, at or behind the origin's end (needs the origin)
};

/// What the driver does when a table with this cache is loaded and resumed.
struct Activation {
  enum class Outcome : std::uint8_t { loads, formats, refuses, loads_with_error };
  Outcome outcome = Outcome::loads;
  std::string driver_message;       ///< the kernel's words, empty if it says nothing
  std::uint64_t frees_entries = 0;  ///< uncommitted, future and superseded ones
};
/// "loads", "formats", "refuses", "loads-with-error".
WC_API const char* to_string(Activation::Outcome outcome) noexcept;

enum class Verdict : std::uint8_t { clean, blank, damaged, repaired };
WC_API const char* to_string(Verdict verdict) noexcept;

enum class RepairMode : std::uint8_t {
  none,    ///< nothing is written
  preen,   ///< only what loses nothing: uncommitted and stale entries are freed
  repair,  ///< everything that cli.md's table of findings says
};

enum class FuturePolicy : std::uint8_t {
  drop,    ///< free them, as activation would
  commit,  ///< raise S above them: a superblock write was lost
};

struct CheckOptions {
  RepairMode mode = RepairMode::none;
  FuturePolicy future = FuturePolicy::drop;
  bool superblock_only = false;     ///< entries are not read
  bool rebuild_superblock = false;  ///< make a new superblock from the entries (mode repair)
  std::optional<std::uint32_t> table_block_bytes;  ///< what the table line will say
  std::optional<std::uint64_t> rebuild_n_blocks;   ///< for rebuild where the size cannot tell
  std::optional<Sequence> rebuild_seq_count;       ///< for rebuild: S, default highest sequence + 1
  std::uint64_t memory_bytes = std::uint64_t{64} << 20;  ///< bound; at least kMemoryBytesMin
  std::uint32_t page_bytes = 4096;  ///< of the machine that will activate; the driver's largest block
  UndoLog* undo = nullptr;          ///< every overwritten byte is saved here first
};
inline constexpr std::uint64_t kMemoryBytesMin = std::uint64_t{8} << 20;

/// One superblock that would fit the entries found on a device whose own is lost.
struct RebuildCandidate {
  std::uint32_t block_bytes = 0;
  std::uint64_t n_blocks = 0;
  Sequence seq_count = 0;
  std::uint64_t committed = 0;  ///< entries that would be committed
  std::uint64_t lost = 0;       ///< entries overwritten by zeros: their blocks cannot be named any more
  std::string evidence;         ///< why it fits, for a human
};

struct CheckReport {
  std::optional<Superblock> superblock;  ///< raw numbers, even bad ones; none on a too small device
  std::optional<Geometry> geometry;      ///< only where the superblock gives a valid one
  EntryCounts counts;
  std::vector<Finding> findings;         ///< before any repair, by severity then code
  Activation activation;                 ///< as the device stands when check returns
  Verdict verdict = Verdict::clean;
  std::uint64_t corrected = 0;           ///< changes made: entries and superblock fields
  std::vector<Finding> remaining;        ///< after a repair: what could not be repaired
  std::vector<RebuildCandidate> candidates;  ///< where a superblock could be rebuilt; more than one:
                                             ///< nothing was changed
};

/// Checks the cache of `port`, and its entries against the origin's size if the port has one.
/// Bounded memory for any cache and origin. Errors: io, invalid_argument, no_space (the undo log),
/// cancelled (a started repair is left so that it can be run again).
WC_API Result<CheckReport> check(IoPort& port, const CheckOptions& options, Observer& observer);

/// Puts back what a repair overwrote, byte for byte. Returns the bytes restored.
/// Errors: invalid_argument (not an undo log, or of another device), io, cancelled.
WC_API Result<std::uint64_t> apply_undo(IoPort& port, UndoLog& undo, Observer& observer);

/// True if any finding is an error.
WC_API bool has_errors(const std::vector<Finding>& findings) noexcept;

}  // namespace wc
