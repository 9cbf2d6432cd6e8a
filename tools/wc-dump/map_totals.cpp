// SPDX-License-Identifier: LGPL-2.1-or-later
// What both pictures of a dirty map say in words.
#include "wc-dump/map_totals.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/text.hpp"

namespace wc::tools {

MapTotals total_of(const DirtyMap& map) noexcept {
  MapTotals totals;
  for (const DirtyMap::Cell& cell : map.cells) {
    totals.live += cell.live;
    totals.live_max = std::max(totals.live_max, cell.live);
    totals.oldest = std::min(totals.oldest, cell.oldest);
    totals.newest = std::max(totals.newest, cell.newest);
  }
  return totals;
}

std::uint64_t cell_capacity(const DirtyMap& map, const MapFacts& facts, std::size_t cell) noexcept {
  const Sector begin = cell * map.sectors_per_cell;
  const Sector sectors = std::min(map.sectors_per_cell, map.origin_sectors - begin);
  return std::max<std::uint64_t>(1, (bytes_of_sectors(sectors) + facts.block_bytes - 1) / facts.block_bytes);
}

std::string legend_of(const DirtyMap& map, const MapFacts& facts, const MapTotals& totals) {
  std::string out = fmt::format("origin {}{}", facts.origin_is_known ? "" : "at least ",
                                human_bytes(bytes_of_sectors(map.origin_sectors)));
  if (!map.cells.empty()) out += fmt::format(", a cell {}", human_bytes(bytes_of_sectors(map.sectors_per_cell)));
  out += fmt::format("; {}", counted(totals.live, "dirty block", "dirty blocks"));
  if (totals.live != 0) out += fmt::format(", seq {} to {}", totals.oldest, totals.newest);
  if (map.beyond_end != 0) out += fmt::format("; {} beyond the end", map.beyond_end);
  return out;
}

}  // namespace wc::tools
