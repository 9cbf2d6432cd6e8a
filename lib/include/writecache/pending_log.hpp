// SPDX-License-Identifier: LGPL-2.1-or-later
// PendingLog: which blocks were written but not committed, for clients that outlive the engine's process.
#pragma once

#include <cstdint>
#include <vector>

#include "writecache/api.hpp"
#include "writecache/units.hpp"

namespace wc {

/// An uncommitted entry. Its data are on the cache device already when its write has been acknowledged.
struct PendingBlock {
  BlockIndex block = 0;
  Sector sector = 0;        ///< of the origin
  Sequence sequence = 0;    ///< the commit that will make it valid
  bool is_removed = false;  ///< it was freed again instead (a discard)
};

/// A client that sees a disk with a volatile cache expects it to be lost together with its own memory, not alone:
/// whoever keeps a client running while the engine's process dies (ublk's recovery) must bring back every acknowledged
/// write. Between two commits the cache's metadata do not show them; this log does. It outlives the process, not the
/// machine.
class WC_API PendingLog {
 public:
  virtual ~PendingLog() = default;
  /// Remembers a block before its write is acknowledged. What it holds of numbers below `block.sequence - 1` is
  /// committed and may be forgotten.
  virtual void add(const PendingBlock& block) noexcept = 0;
  /// What the engine before this one left, in the order in which it came.
  virtual std::vector<PendingBlock> left() const = 0;
  /// What left() told has been added anew under this number: whatever has a higher one is forgotten.
  virtual void taken_over(Sequence sequence) noexcept = 0;
};

}  // namespace wc
