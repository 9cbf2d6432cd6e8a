// SPDX-License-Identifier: LGPL-2.1-or-later
// Entries: bytes to values and back, and the one rule that a single entry obeys.
#pragma once

#include <cstddef>

#include "media/little_endian.hpp"
#include "writecache/superblock.hpp"

namespace wc::media {

inline constexpr std::size_t kEntrySequenceOffset = 8;  ///< of seq_count inside an entry

inline Entry load_entry(const std::byte* raw) noexcept {
  return {load_le<std::uint64_t>(raw), load_le<std::uint64_t>(raw + kEntrySequenceOffset)};
}

inline void store_entry(std::byte* raw, const Entry& entry) noexcept {
  store_le(raw, entry.original_sector);
  store_le(raw + kEntrySequenceOffset, entry.seq_count);
}

/// Changes the sequence alone, as the driver does when it frees an entry.
inline void store_sequence(std::byte* raw, Sequence sequence) noexcept {
  store_le(raw + kEntrySequenceOffset, sequence);
}

/// The state of one entry seen alone: a committed one counts as live, as only a scan knows better.
/// Source: doc/format.md, entries.
constexpr EntryState state_of(Sequence entry, Sequence superblock) noexcept {
  if (entry == kFreeSequence) return EntryState::free;
  if (entry < superblock) return EntryState::live;
  return entry == superblock ? EntryState::uncommitted : EntryState::future;
}

}  // namespace wc::media
