// SPDX-License-Identifier: LGPL-2.1-or-later
// EntryTable: every entry of a cache in memory, found by its sector; 31 bytes an entry with all links.
#pragma once

#include <cstddef>
#include <cstdint>

#include "index/page_array.hpp"
#include "index/sector_table.hpp"
#include "writecache/superblock.hpp"

namespace wc::index {

/// A cache block by its index, in the 32 bits that a table in memory has for it.
using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = ~Slot{0};
/// Exclusive bound of the blocks that a table can hold.
inline constexpr std::uint64_t kSlotsMax = kNoSlot;

/// What the engine knows of a block besides its entry. They share a word with the sector, which has 54 bits.
enum class Flag : std::uint64_t {
  aged = std::uint64_t{1} << 54,             ///< in the age list
  first_of_age = std::uint64_t{1} << 55,     ///< the age list needs to know when it leaves
  superseded_even = std::uint64_t{1} << 56,  ///< a newer entry of its sector waits for the commit of an even number
  superseded_odd = std::uint64_t{1} << 57,
  writing = std::uint64_t{1} << 58,    ///< a client's write to its data is in flight
  writeback = std::uint64_t{1} << 59,  ///< on its way to the origin
  freeing = std::uint64_t{1} << 60,    ///< marked free, which is not durable yet
  replaced = std::uint64_t{1} << 61,   ///< a newer entry of its sector has the same number
};

/// Entries are members of the table from insert() to remove(); several of one sector may be, the newest is found
/// first. Links of two kinds belong to each entry: the table's own, and a pair for the one SlotList it is in.
class EntryTable {
 public:
  explicit EntryTable(std::uint64_t n_blocks);

  std::uint64_t slot_count() const noexcept { return nodes_.size(); }
  std::uint64_t member_count() const noexcept { return member_count_; }
  /// Memory of everything, touched or not.
  std::uint64_t size_bytes() const noexcept {
    return nodes_.size_bytes() + chain_.size_bytes() + links_.size_bytes() + buckets_.size_bytes();
  }

  /// The newest entry of a sector, or kNoSlot.
  Slot find(Sector sector) const noexcept {
    return member_count_ == 0 ? kNoSlot : match(buckets_[bucket_of(sector)], sector);
  }
  /// The next older entry of the same sector, or kNoSlot.
  Slot find_older(Slot slot) const noexcept { return match(chain_[slot], sector(slot)); }
  void prefetch(Sector sector) const noexcept { __builtin_prefetch(&buckets_[bucket_of(sector)], 1); }

  /// Adds a free entry under a sector, as its newest one.
  void insert(Slot slot, Sector sector, Sequence sequence) noexcept;
  /// Takes an entry out; it becomes free and loses its flags.
  void remove(Slot slot) noexcept;

  Sector sector(Slot slot) const noexcept { return nodes_[slot].word & kSectorMask; }
  Sequence sequence(Slot slot) const noexcept { return ~nodes_[slot].inverted_sequence; }
  void set_sequence(Slot slot, Sequence sequence) noexcept { nodes_[slot].inverted_sequence = ~sequence; }
  bool is_free(Slot slot) const noexcept { return nodes_[slot].inverted_sequence == 0; }

  bool has(Slot slot, Flag flag) const noexcept { return (nodes_[slot].word & bit(flag)) != 0; }
  bool has_any(Slot slot, Flag a, Flag b) const noexcept { return (nodes_[slot].word & (bit(a) | bit(b))) != 0; }
  void set(Slot slot, Flag flag) noexcept { nodes_[slot].word |= bit(flag); }
  void clear(Slot slot, Flag flag) noexcept { nodes_[slot].word &= ~bit(flag); }

  /// The entry as it may stand on the medium while every number above `limit` must not: those are free.
  Entry entry(Slot slot, Sequence limit) const noexcept {
    const Sequence seq = sequence(slot);
    if (seq > limit) return {};
    return {sector(slot), seq};
  }

 private:
  friend class SlotList;
  // Inverted, so that memory nobody touched is a table of free entries.
  struct Node {
    std::uint64_t word;
    std::uint64_t inverted_sequence;
  };
  // Slots are stored plus one: 0 is none.
  struct Links {
    std::uint32_t newer;
    std::uint32_t older;
  };
  static constexpr std::uint64_t kSectorMask = kSectorLimit - 1;
  static constexpr std::uint64_t bit(Flag flag) noexcept { return static_cast<std::uint64_t>(flag); }

  std::size_t bucket_of(Sector sector) const noexcept {
    return static_cast<std::size_t>(((mixed(sector) >> 32) * buckets_.size()) >> 32);
  }
  Slot match(std::uint32_t stored, Sector wanted) const noexcept {
    while (stored != 0 && sector(stored - 1) != wanted)
      stored = chain_[stored - 1];
    return stored - 1;  // 0 becomes kNoSlot
  }

  PageArray<Node> nodes_;
  PageArray<std::uint32_t> chain_;
  PageArray<Links> links_;
  PageArray<std::uint32_t> buckets_;
  std::uint64_t member_count_ = 0;
};

}  // namespace wc::index
