// SPDX-License-Identifier: LGPL-2.1-or-later
// SectorSet and SectorTable: bounded open-addressing tables keyed by original sector.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "writecache/units.hpp"

namespace wc::index {

/// Spreads sectors, which come in regular patterns, over all bits.
constexpr std::uint64_t mixed(std::uint64_t value) noexcept {
  value ^= value >> 32;
  value *= 0x9fb21c651e98df25U;
  value ^= value >> 29;
  value *= 0xd6e8feb86659fd93U;
  value ^= value >> 32;
  return value;
}

/// Longest search that chance explains; more means that somebody chose the sectors to collide.
inline constexpr std::size_t kProbesMax = 4096;

/// A set of sectors that refuses to grow beyond its bound. ~0 cannot be stored (no device has it).
class SectorSet {
 public:
  explicit SectorSet(std::size_t max_bytes) noexcept : max_slots_(max_bytes / sizeof(Sector)) {}

  /// False if the set is full, or too crowded around this sector; it then keeps what it has.
  bool insert(Sector sector) {
    if (2 * (size_ + 1) > slots_.size() && !grow()) return contains(sector);
    const std::size_t at = find(sector);
    if (slots_[at] == sector) return true;
    if (((at - home(sector)) & (slots_.size() - 1)) > kProbesMax) return false;
    slots_[at] = sector;
    ++size_;
    return true;
  }
  bool contains(Sector sector) const noexcept {
    return size_ != 0 && slots_[find(sector)] != kEmpty;
  }
  std::size_t size() const noexcept { return size_; }

 private:
  static constexpr Sector kEmpty = ~Sector{0};
  static constexpr std::size_t kFirstSlots = 1024;

  std::size_t home(Sector sector) const noexcept { return mixed(sector) & (slots_.size() - 1); }
  std::size_t find(Sector sector) const noexcept {
    std::size_t at = home(sector);
    while (slots_[at] != kEmpty && slots_[at] != sector) at = (at + 1) & (slots_.size() - 1);
    return at;
  }
  /// Doubles the slots; the old and the new ones together stay below the bound.
  bool grow() {
    const std::size_t wanted = slots_.empty() ? kFirstSlots : 2 * slots_.size();
    if (wanted + slots_.size() > max_slots_) return false;
    std::vector<Sector> old(wanted, kEmpty);
    old.swap(slots_);
    for (const Sector sector : old) {
      if (sector != kEmpty) slots_[find(sector)] = sector;
    }
    return true;
  }

  std::size_t max_slots_;
  std::size_t size_ = 0;
  std::vector<Sector> slots_;
};

/// The newest entry of each sector, in memory that somebody else owns.
class SectorTable {
 public:
  struct Slot {
    Sector sector;
    Sequence seq_count;
    BlockIndex index;
  };

  /// `memory` is used as it is: aligned to 8, of at least one slot.
  SectorTable(std::byte* memory, std::size_t bytes) noexcept
      : slots_(reinterpret_cast<Slot*>(memory)),
        slot_count_(std::min<std::size_t>(bytes / sizeof(Slot), kSlotsMax)) {
    clear();
  }
  void clear() noexcept {
    for (std::size_t i = 0; i < slot_count_; ++i) slots_[i].index = kEmptyIndex;
    size_ = 0;
    is_flooded_ = false;
  }
  /// Sectors that fit at a load that keeps searches short.
  std::size_t capacity() const noexcept { return slot_count_ / 4 * 3; }
  std::size_t size() const noexcept { return size_; }

  /// True after a find_or_add that gave up because too many sectors have hashes close together.
  bool is_flooded() const noexcept { return is_flooded_; }

  /// The slot of `sector`; a new one has is_new() true. Null if a new one would exceed the capacity, or
  /// flooded.
  Slot* find_or_add(Sector sector, std::uint64_t hash) noexcept {
    std::size_t at = static_cast<std::size_t>(((hash >> 32) * slot_count_) >> 32);
    for (std::size_t probes = 0; slots_[at].index != kEmptyIndex && slots_[at].sector != sector; ++probes) {
      if (probes == kProbesMax) {
        is_flooded_ = true;
        return nullptr;
      }
      at = at + 1 == slot_count_ ? 0 : at + 1;
    }
    if (slots_[at].index == kEmptyIndex) {
      if (size_ == capacity()) return nullptr;
      ++size_;
      slots_[at].sector = sector;
    }
    return &slots_[at];
  }
  static bool is_new(const Slot& slot) noexcept { return slot.index == kEmptyIndex; }

 private:
  static constexpr BlockIndex kEmptyIndex = ~BlockIndex{0};
  static constexpr std::size_t kSlotsMax = 0xffffffffU;  ///< find_or_add multiplies it by 32 bits

  Slot* slots_;
  std::size_t slot_count_;
  std::size_t size_ = 0;
  bool is_flooded_ = false;
};

}  // namespace wc::index
