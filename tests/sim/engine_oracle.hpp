// SPDX-License-Identifier: LGPL-2.1-or-later
// EngineOracle: what every sector of a served device may hold: settled and pending writes and discards.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "sim/bytes.hpp"
#include "writecache/units.hpp"

namespace wc::sim {

/// Sectors have a history of versions in the order of submission. A version is certain once it was acknowledged and
/// a flush that was submitted later has succeeded: then nothing older may be seen after a crash.
class EngineOracle {
 public:
  using Id = std::uint64_t;

  /// `origin`: what is seen at first. `below`: what lies on the origin device itself where dirty blocks of the cache
  /// hide it; a discard may uncover it.
  explicit EngineOracle(const Bytes& origin, Bytes below = {});

  /// A write is submitted: fills its memory with content that names it.
  Id begin_write(std::uint64_t offset_bytes, std::span<std::byte> memory);
  Id begin_discard(std::uint64_t offset_bytes, std::uint64_t length_bytes);
  void acknowledge(Id id, bool is_durable);
  /// It ended with an error: its sectors may hold it, for ever.
  void fail(Id id);
  /// A flush is submitted; end_flush(token) when it has succeeded.
  std::uint64_t begin_flush() const noexcept { return acknowledged_; }
  void end_flush(std::uint64_t token);

  /// Names what a read, submitted behind everything up to `last`, may not have returned. Empty if all is well.
  /// `may_be_lost`: a device has failed. What was not certain may be gone, even the data of an entry in memory, as it
  /// is from the driver: then only sectors of which nothing was written since they were certain are looked at.
  std::string check_read(std::uint64_t offset_bytes, std::span<const std::byte> memory, Id last,
                         bool may_be_lost = false) const;
  Id last() const noexcept { return changes_.size() - 1; }
  /// Names what may not be there after a crash; empty if all is well.
  std::string check_image(std::span<const std::byte> content) const;
  /// The same for requests that must not be torn: every block of `block_bytes` that was only ever written whole
  /// holds one version.
  std::string check_whole_blocks(std::span<const std::byte> content, std::uint32_t block_bytes) const;

 private:
  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
  struct Change {
    Sector first = 0;
    Sector count = 0;
    bool is_discard = false;
    bool has_failed = false;
    std::uint64_t acknowledged = kNever;  ///< in the order of acknowledgements
  };
  struct History {
    std::vector<Id> versions{0};  ///< 0: what the origin held
    std::size_t floor = 0;        ///< older ones are gone
  };
  Id add(std::uint64_t offset_bytes, std::uint64_t length_bytes, bool is_discard);
  bool is_version(Sector sector, Id id, std::span<const std::byte> bytes) const;
  bool is_any(Sector sector, std::size_t first, std::size_t end, std::span<const std::byte> bytes) const;
  std::string describe(Sector sector, std::span<const std::byte> bytes) const;

  Bytes origin_;
  Bytes below_;
  std::vector<Change> changes_;
  std::vector<History> sectors_;
  std::uint64_t acknowledged_ = 0;
};

}  // namespace wc::sim
