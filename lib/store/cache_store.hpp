// SPDX-License-Identifier: LGPL-2.1-or-later
// CacheStore: the commit protocol on one cache device: put entries, make everything durable, raise S.
#pragma once

#include <cstddef>
#include <optional>

#include "index/entry_table.hpp"
#include "writecache/result.hpp"
#include "writecache/units.hpp"

namespace wc::store {

/// Brings the entries of a table to the medium. One step at a time: start_sync() or start_raise(), then
/// take_outcome() until it has something. Steps advance as the port is polled. After an error no step may be
/// started any more: what is durable is unknown.
class CacheStore {
 public:
  virtual ~CacheStore() = default;

  /// The table's entry differs from the medium's.
  virtual void changed(index::Slot slot) = 0;
  /// Writes what changed, then makes it and all completed data writes durable. Entries above `limit` are written
  /// as free, and stay changed: no number may be on the medium before S has reached it.
  virtual void start_sync(Sequence limit) = 0;
  /// Writes the superblock's S durably. What it makes valid was synced before.
  virtual void start_raise(Sequence seq_count) = 0;
  /// The end of the step that was started, once. Errors: io.
  virtual std::optional<Result<void>> take_outcome() = 0;
  /// Operations of the port that are under way.
  virtual std::size_t in_flight() const noexcept = 0;
};

}  // namespace wc::store
