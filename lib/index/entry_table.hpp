// SPDX-License-Identifier: LGPL-2.1-or-later
// EntryTable: every entry of a cache in memory, found by its sector; 31 bytes an entry with all links.
#pragma once

#include <array>
#include <bit>
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

  std::uint64_t slot_count() const noexcept { return records_.size(); }
  std::uint64_t member_count() const noexcept { return member_count_; }
  /// Memory of everything, touched or not.
  std::uint64_t size_bytes() const noexcept { return records_.size_bytes() + buckets_.size_bytes(); }

  /// The newest entry of a sector, or kNoSlot.
  Slot find(Sector sector) const noexcept {
    return member_count_ == 0 ? kNoSlot : match(buckets_[bucket_of(sector)], sector);
  }
  /// The next older entry of the same sector, or kNoSlot.
  Slot find_older(Slot slot) const noexcept { return match(records_[slot].chain, sector(slot)); }
  /// Two steps of a search that comes soon: prefetch(), and some time later prefetch_entry(). Inline in any case: GCC
  /// takes a function that only prefetches for one without effect, and drops its calls.
  [[gnu::always_inline]] void prefetch(Sector sector) const noexcept {
    __builtin_prefetch(&buckets_[bucket_of(sector)], 1);
  }
  [[gnu::always_inline]] void prefetch_entry(Sector sector) const noexcept {
    const std::uint32_t stored = buckets_[bucket_of(sector)];
    if (stored != 0) __builtin_prefetch(&records_[stored - 1], 1);
  }

  /// Adds a free entry under a sector, as its newest one.
  void insert(Slot slot, Sector sector, Sequence sequence) noexcept;
  /// Takes an entry out; it becomes free and loses its flags.
  void remove(Slot slot) noexcept;

  Sector sector(Slot slot) const noexcept { return word(slot) & kSectorMask; }
  Sequence sequence(Slot slot) const noexcept { return ~std::bit_cast<Sequence>(records_[slot].inverted_sequence); }
  void set_sequence(Slot slot, Sequence sequence) noexcept {
    records_[slot].inverted_sequence = std::bit_cast<Halves>(~sequence);
  }
  bool is_free(Slot slot) const noexcept { return sequence(slot) == kFreeSequence; }

  bool has(Slot slot, Flag flag) const noexcept { return (word(slot) & bit(flag)) != 0; }
  bool has_any(Slot slot, Flag a, Flag b) const noexcept { return (word(slot) & (bit(a) | bit(b))) != 0; }
  void set(Slot slot, Flag flag) noexcept { set_word(slot, word(slot) | bit(flag)); }
  void clear(Slot slot, Flag flag) noexcept { set_word(slot, word(slot) & ~bit(flag)); }

  /// The entry as it may stand on the medium while every number above `limit` must not: those are free.
  Entry entry(Slot slot, Sequence limit) const noexcept {
    const Sequence seq = sequence(slot);
    if (seq > limit) return {};
    return {sector(slot), seq};
  }

 private:
  friend class SlotList;
  // Two words of 32 bits, so that a record has no padding.
  using Halves = std::array<std::uint32_t, 2>;
  /// All of an entry lies together: whoever needs a part of it mostly needs the rest. Memory nobody touched is a table
  /// of free entries: slots are stored plus one, 0 is none, and the number is inverted.
  struct Record {
    Halves word;
    Halves inverted_sequence;
    std::uint32_t chain;  ///< the next one of the bucket
    std::uint32_t newer;  ///< of the one SlotList that it is in
    std::uint32_t older;
  };
  static_assert(sizeof(Record) == 28);
  static constexpr std::uint64_t kSectorMask = kSectorLimit - 1;
  static constexpr std::uint64_t bit(Flag flag) noexcept { return static_cast<std::uint64_t>(flag); }

  std::uint64_t word(Slot slot) const noexcept { return std::bit_cast<std::uint64_t>(records_[slot].word); }
  void set_word(Slot slot, std::uint64_t word) noexcept { records_[slot].word = std::bit_cast<Halves>(word); }

  std::size_t bucket_of(Sector sector) const noexcept {
    return static_cast<std::size_t>(((mixed(sector) >> 32) * buckets_.size()) >> 32);
  }
  Slot match(std::uint32_t stored, Sector wanted) const noexcept {
    while (stored != 0 && sector(stored - 1) != wanted)
      stored = records_[stored - 1].chain;
    return stored - 1;  // 0 becomes kNoSlot
  }

  PageArray<Record> records_;
  PageArray<std::uint32_t> buckets_;
  std::uint64_t member_count_ = 0;
};

}  // namespace wc::index
