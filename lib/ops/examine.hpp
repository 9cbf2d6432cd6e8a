// SPDX-License-Identifier: LGPL-2.1-or-later
// One complete look at a cache: superblock, entries, findings and the predicted activation.
#pragma once

#include <optional>
#include <vector>

#include "ops/rebuild.hpp"
#include "store/scan.hpp"
#include "writecache/check.hpp"

namespace wc::ops {

struct Examination {
  std::optional<Superblock> superblock;
  std::optional<Geometry> geometry;      ///< where block size and count are sound
  std::optional<store::Scan> scan;       ///< where the entries were read
  std::vector<RebuildCandidate> candidates;  ///< where the superblock is not sound, or a rebuild was asked for
  std::vector<Finding> findings;
  Activation activation;

  bool has(FindingCode code) const noexcept;
  /// True if the driver would read the entries: magic, version, block size and count are right.
  bool is_sound() const noexcept;
};

/// Reads, judges, predicts; writes nothing. Errors: io, cancelled.
Result<Examination> examine(IoPort& port, const CheckOptions& options, Observer& observer);

}  // namespace wc::ops
