// SPDX-License-Identifier: LGPL-2.1-or-later
// EngineOracle: histories of sectors, searched in the simplest way.
#include "sim/engine_oracle.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "sim/random.hpp"

namespace wc::sim {
namespace {

using SectorBytes = std::array<std::byte, kSectorBytes>;

SectorBytes content_of(Sector sector, EngineOracle::Id id) {
  SectorBytes bytes{};
  for (std::size_t at = 0; at < bytes.size(); at += 16) {
    store_u64(bytes, at, id);
    store_u64(bytes, at + 8, mix_bits(id ^ mix_bits(sector * kSectorBytes + at)));
  }
  return bytes;
}

}  // namespace

EngineOracle::EngineOracle(const Bytes& origin, Bytes below)
    : origin_(origin), below_(std::move(below)), changes_(1), sectors_(sectors_of_bytes(origin.size())) {}

EngineOracle::Id EngineOracle::add(std::uint64_t offset_bytes, std::uint64_t length_bytes, bool is_discard) {
  Change change;
  change.first = sectors_of_bytes(offset_bytes);
  change.count = sectors_of_bytes(length_bytes);
  change.is_discard = is_discard;
  changes_.push_back(change);
  for (Sector i = 0; i < change.count; ++i)
    sectors_.at(change.first + i).versions.push_back(last());
  return last();
}

EngineOracle::Id EngineOracle::begin_write(std::uint64_t offset_bytes, std::span<std::byte> memory) {
  const Id id = add(offset_bytes, memory.size(), false);
  for (std::size_t at = 0; at < memory.size(); at += kSectorBytes) {
    const auto bytes = content_of(sectors_of_bytes(offset_bytes + at), id);
    std::copy(bytes.begin(), bytes.end(), memory.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return id;
}

EngineOracle::Id EngineOracle::begin_discard(std::uint64_t offset_bytes, std::uint64_t length_bytes) {
  return add(offset_bytes, length_bytes, true);
}

void EngineOracle::acknowledge(Id id, bool is_durable) {
  Change& change = changes_.at(id);
  change.acknowledged = acknowledged_++;
  if (!is_durable) return;
  for (Sector i = 0; i < change.count; ++i) {
    History& history = sectors_[change.first + i];
    const auto at = std::find(history.versions.begin(), history.versions.end(), id) - history.versions.begin();
    history.floor = std::max(history.floor, static_cast<std::size_t>(at));
  }
}

void EngineOracle::fail(Id id) { changes_.at(id).has_failed = true; }

void EngineOracle::end_flush(std::uint64_t token) {
  for (History& history : sectors_) {
    for (std::size_t i = history.versions.size(); i-- > history.floor + 1;) {
      if (changes_[history.versions[i]].acknowledged >= token) continue;
      history.floor = i;
      break;
    }
  }
}

bool EngineOracle::is_version(Sector sector, Id id, std::span<const std::byte> bytes) const {
  if (id == 0) {
    return std::equal(bytes.begin(), bytes.end(),
                      origin_.begin() + static_cast<std::ptrdiff_t>(bytes_of_sectors(sector)));
  }
  const auto expected = content_of(sector, id);
  return std::equal(bytes.begin(), bytes.end(), expected.begin());
}

/// Does the sector hold one of versions [first, end)? A discard leaves zeros or anything that was there before.
bool EngineOracle::is_any(Sector sector, std::size_t first, std::size_t end, std::span<const std::byte> bytes) const {
  const History& history = sectors_[sector];
  for (std::size_t i = end; i-- > first;) {
    const Id id = history.versions[i];
    if (!changes_[id].is_discard) {
      if (is_version(sector, id, bytes)) return true;
      continue;
    }
    const bool is_zero = std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte{0}; });
    const bool is_below =
        !below_.empty() &&
        std::equal(bytes.begin(), bytes.end(), below_.begin() + static_cast<std::ptrdiff_t>(bytes_of_sectors(sector)));
    if (is_zero || is_below) return true;
    first = 0;
  }
  return false;
}

std::string EngineOracle::describe(Sector sector, std::span<const std::byte> bytes) const {
  const History& history = sectors_[sector];
  std::string text = "sector " + std::to_string(sector) + " holds " + std::to_string(load_u64(bytes, 0)) +
                     ", allowed from " + std::to_string(history.floor) + " of";
  for (const Id id : history.versions)
    text += " " + std::string(changes_[id].is_discard ? "discard-" : "") + std::to_string(id);
  return text;
}

std::string EngineOracle::check_read(std::uint64_t offset_bytes, std::span<const std::byte> memory, Id last,
                                     bool may_be_lost) const {
  for (std::size_t at = 0; at < memory.size(); at += kSectorBytes) {
    const Sector sector = sectors_of_bytes(offset_bytes + at);
    const History& history = sectors_.at(sector);
    const auto bytes = memory.subspan(at, kSectorBytes);
    std::size_t end = history.versions.size();
    while (history.versions[end - 1] > last)
      --end;
    // What failed may or may not be there; the newest that did not fail must be behind it.
    std::size_t first = end - 1;
    while (changes_[history.versions[first]].has_failed)
      --first;
    if (may_be_lost && end - 1 != history.floor) continue;
    if (!is_any(sector, first, end, bytes)) return "a read: " + describe(sector, bytes);
  }
  return {};
}

std::string EngineOracle::check_image(std::span<const std::byte> content) const {
  for (Sector sector = 0; sector < sectors_.size(); ++sector) {
    const auto bytes = content.subspan(bytes_of_sectors(sector), kSectorBytes);
    const History& history = sectors_[sector];
    if (!is_any(sector, history.floor, history.versions.size(), bytes)) return describe(sector, bytes);
  }
  return {};
}

std::string EngineOracle::check_whole_blocks(std::span<const std::byte> content, std::uint32_t block_bytes) const {
  const Sector step = sectors_of_bytes(block_bytes);
  for (Sector first = 0; first + step <= sectors_.size(); first += step) {
    const std::uint64_t id = load_u64(content, bytes_of_sectors(first));
    bool is_written_whole = true;
    for (const Id version : sectors_[first].versions) {
      const Change& change = changes_[version];
      const bool is_whole = version == 0 || (change.first % step == 0 && change.count % step == 0);
      is_written_whole = is_written_whole && is_whole && !change.is_discard;
    }
    for (Sector i = 1; i < step && is_written_whole; ++i) {
      const History& history = sectors_[first + i];
      const auto bytes = content.subspan(bytes_of_sectors(first + i), kSectorBytes);
      if (history.versions != sectors_[first].versions) break;
      const bool is_same = id < changes_.size() && id != 0 ? load_u64(bytes, 0) == id : is_version(first + i, 0, bytes);
      if (!is_same)
        return "a block is torn: " + describe(first + i, bytes) + ", its first sector " + std::to_string(id);
    }
  }
  return {};
}

}  // namespace wc::sim
