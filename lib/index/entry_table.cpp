// SPDX-License-Identifier: LGPL-2.1-or-later
// EntryTable: chains of entries behind buckets of their sectors.
#include "index/entry_table.hpp"

#include <algorithm>

namespace wc::index {
namespace {

/// Three quarters of a bucket an entry: chains stay short, and all of it below 32 bytes an entry.
std::size_t bucket_count(std::uint64_t n_blocks) noexcept {
  return static_cast<std::size_t>(std::max<std::uint64_t>(1, n_blocks / 4 * 3));
}

}  // namespace

EntryTable::EntryTable(std::uint64_t n_blocks)
    : nodes_(n_blocks), chain_(n_blocks), links_(n_blocks), buckets_(bucket_count(n_blocks)) {}

void EntryTable::insert(Slot slot, Sector sector, Sequence sequence) noexcept {
  std::uint32_t& head = buckets_[bucket_of(sector)];
  nodes_[slot] = {sector & kSectorMask, ~sequence};
  chain_[slot] = head;
  head = slot + 1;
  ++member_count_;
}

void EntryTable::remove(Slot slot) noexcept {
  std::uint32_t* at = &buckets_[bucket_of(sector(slot))];
  while (*at != slot + 1)
    at = &chain_[*at - 1];
  *at = chain_[slot];
  nodes_[slot] = {0, 0};
  --member_count_;
}

}  // namespace wc::index
