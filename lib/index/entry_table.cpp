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

EntryTable::EntryTable(std::uint64_t n_blocks) : records_(n_blocks), buckets_(bucket_count(n_blocks)) {}

void EntryTable::insert(Slot slot, Sector sector, Sequence sequence) noexcept {
  std::uint32_t& head = buckets_[bucket_of(sector)];
  Record& record = records_[slot];
  record.word = std::bit_cast<Halves>(sector & kSectorMask);
  record.inverted_sequence = std::bit_cast<Halves>(~sequence);
  record.chain = head;
  head = slot + 1;
  ++member_count_;
}

void EntryTable::remove(Slot slot) noexcept {
  std::uint32_t* at = &buckets_[bucket_of(sector(slot))];
  while (*at != slot + 1)
    at = &records_[*at - 1].chain;
  Record& record = records_[slot];
  *at = record.chain;
  record.word = record.inverted_sequence = {};
  --member_count_;
}

}  // namespace wc::index
