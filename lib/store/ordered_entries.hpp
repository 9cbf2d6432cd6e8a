// SPDX-License-Identifier: LGPL-2.1-or-later
// OrderedEntries: entries of a scan by ascending sector or sequence, in rounds of bounded memory.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "store/scan.hpp"
#include "writecache/dump.hpp"

namespace wc::store {

/// Each round reads the metadata once and yields the next entries in order, as many as fit.
class OrderedEntries {
 public:
  /// Entries whose state is in `states`, by `order` (index order needs no such help and is not
  /// accepted), equal keys by index. `scan` must outlive this.
  OrderedEntries(const Scan& scan, EntryStateSet states, EntryOrder order, std::uint64_t memory_bytes);

  /// The next entries, valid until the next call; empty at the end. Errors: io, cancelled.
  Result<std::span<const ListedEntry>> next_round(Observer& observer);

 private:
  const Scan& scan_;
  EntryStateSet states_;
  EntryOrder order_;
  std::size_t round_max_;
  std::optional<ListedEntry> last_;
  bool finished_ = false;
  std::vector<ListedEntry> round_;
};

}  // namespace wc::store
