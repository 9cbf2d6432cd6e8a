// SPDX-License-Identifier: LGPL-2.1-or-later
// Scan: finds out what every entry is, and which of several with one sector is live, in bounded memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "store/entry_stream.hpp"
#include "writecache/check.hpp"
#include "writecache/observer.hpp"
#include "writecache/port.hpp"
#include "writecache/superblock.hpp"

namespace wc::store {

struct ScanOptions {
  std::uint64_t memory_bytes = std::uint64_t{64} << 20;  ///< bound, at least kMemoryBytesMin
  std::optional<Sector> origin_sectors;                  ///< to find entries beyond the origin's end
  bool uncommitted_is_live = false;  ///< treat seq = S as committed (wc-flush --uncommitted=flush)
};

/// Two committed entries of equal sector and sequence; the driver keeps the higher index.
struct IdenticalPair {
  BlockIndex loser = 0;
  BlockIndex kept = 0;
};

/// The first entries of each kind, for findings: ascending, at most kFindingEntriesMax.
struct ScanSamples {
  std::vector<BlockIndex> uncommitted, future, stale, identical, misaligned, out_of_range, beyond_origin;
  /// The pair that the driver reports, as it goes up by index and reports one only: the lowest `kept`.
  std::optional<IdenticalPair> first_identical;
};

/// A run of consecutive entries with what they are. Valid inside the visitor only.
class ClassifiedBatch {
 public:
  ClassifiedBatch(EntryBatch batch, Sequence committed_below, Sequence superblock_sequence,
                  const std::uint64_t* superseded) noexcept
      : batch_(batch),
        committed_below_(committed_below),
        superblock_sequence_(superblock_sequence),
        superseded_(superseded) {}

  BlockIndex first_index() const noexcept { return batch_.first_index; }
  std::size_t size() const noexcept { return batch_.count; }
  Entry entry(std::size_t position) const noexcept { return batch_[position]; }
  const std::byte* raw() const noexcept { return batch_.raw; }

  /// live, stale, uncommitted, future or free. With uncommitted_is_live, seq = S is live or stale.
  EntryState state(std::size_t position, Sequence entry_sequence) const noexcept {
    if (entry_sequence >= committed_below_) {
      return media::state_of(entry_sequence, superblock_sequence_);
    }
    return is_superseded(position) ? EntryState::stale : EntryState::live;
  }
  /// True if no entry of this batch is superseded: every committed one is live.
  bool all_committed_live() const noexcept { return superseded_ == nullptr; }
  Sequence committed_below() const noexcept { return committed_below_; }

 private:
  bool is_superseded(std::size_t position) const noexcept {
    return superseded_ != nullptr && ((superseded_[position / 64] >> (position % 64)) & 1U) != 0;
  }

  EntryBatch batch_;
  Sequence committed_below_;
  Sequence superblock_sequence_;
  const std::uint64_t* superseded_;  ///< one bit an entry of the batch, or null for none
};

/// Receives the entries in index order. An error stops the visit and is returned.
using BatchVisitor = std::function<Result<void>(const ClassifiedBatch& batch)>;

/// The result of one scan. It holds at most `memory_bytes` and stays true until entries change.
/// How: one bit a block of the origin finds sectors that occur twice; only those are looked at again,
/// in a table. Origins larger than the bits cover, and sectors no device has, take more passes.
class Scan {
 public:
  /// Reads all entries. Errors: io, cancelled.
  static Result<Scan> run(IoPort& port, const Geometry& geometry, Sequence superblock_sequence,
                          const ScanOptions& options, Observer& observer);
  ~Scan();
  Scan(Scan&&) noexcept;
  Scan& operator=(Scan&&) noexcept;

  const EntryCounts& counts() const noexcept;
  const ScanSamples& samples() const noexcept;
  /// Entries the driver frees because another one supersedes them; counts().stale names the same.
  std::uint64_t identical_losers() const noexcept;
  /// Some of the pairs, at most 65536; all of them if identical_losers() is not larger.
  std::span<const IdenticalPair> identical_pairs() const noexcept;
  /// Highest sequence among entries that are not free; nothing if all are.
  std::optional<Sequence> highest_sequence() const noexcept;

  /// Streams all entries again, classified. Errors: io, cancelled, those of the visitor.
  Result<void> visit(const BatchVisitor& visitor, Observer& observer) const;

 private:
  struct Impl;
  explicit Scan(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wc::store
