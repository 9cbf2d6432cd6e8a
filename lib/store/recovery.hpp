// SPDX-License-Identifier: LGPL-2.1-or-later
// Recovery: what the entries of a cache are at its start, for an engine that keeps them in memory.
#pragma once

#include <optional>

#include "index/entry_table.hpp"
#include "store/superblock_io.hpp"
#include "writecache/port.hpp"
#include "writecache/result.hpp"

namespace wc::store {

/// Told of every entry, in index order.
class RecoveryVisitor {
 public:
  virtual ~RecoveryVisitor() = default;
  /// An entry of this sector comes soon, if it is live: time to fetch memory for it.
  virtual void on_soon(Sector sector) = 0;
  virtual void on_live(index::Slot slot, const Entry& entry) = 0;
  virtual void on_free(index::Slot slot) = 0;
  /// Uncommitted or superseded: the driver's activation frees it.
  virtual void on_dropped(index::Slot slot) = 0;
};

/// The superblock of a cache whose table line says `block_bytes`; nothing if the device is blank.
/// Errors: invalid_argument (the driver's own words), damaged (what only wc-check refuses), io.
Result<std::optional<OpenedCache>> open_sound_cache(IoPort& port, std::uint32_t block_bytes);

/// Reads all entries twice: to find out what is live, and to tell the visitor.
/// Errors: damaged (future, identical, misaligned, out-of-range or beyond-origin entries; nothing was told), io.
Result<void> recover(IoPort& port, const OpenedCache& cache, RecoveryVisitor& visitor);

}  // namespace wc::store
