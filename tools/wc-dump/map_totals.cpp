// SPDX-License-Identifier: LGPL-2.1-or-later
// What both pictures of a dirty map say in words, and the scale that both use.
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

bool is_linear(const DirtyMap& map, const MapTotals& totals) noexcept {
  constexpr std::uint64_t kSmallestShare = 8;  // one in so many
  return totals.live_max >= (map.blocks_per_cell + kSmallestShare - 1) / kSmallestShare;
}

std::string cache_words(const DirtyMap& map, const MapFacts& facts, const MapTotals& totals) {
  const std::uint64_t live = totals.live + map.beyond_end;
  return fmt::format("{} of {} dirty ({}), {} used", live, counted(facts.n_blocks, "block", "blocks"),
                     human_bytes(live * facts.block_bytes), human_percent(facts.used, facts.n_blocks));
}

std::string origin_words(const DirtyMap& map, const MapFacts& facts) {
  std::string words = human_bytes(bytes_of_sectors(map.origin_sectors));
  if (!map.cells.empty()) words += " in parts of " + human_bytes(bytes_of_sectors(map.sectors_per_cell));
  return facts.origin_is_known ? words : "at least " + words + " (--origin ORIGIN shows all of it)";
}

std::string age_words(const MapFacts& facts, const MapTotals& totals) {
  if (totals.live == 0) return fmt::format("the next commit is {}", facts.seq_count);
  return totals.oldest == totals.newest
             ? fmt::format("all of commit {}; the next one is {}", totals.oldest, facts.seq_count)
             : fmt::format("commits {} (oldest) to {} (newest); the next one is {}", totals.oldest, totals.newest,
                           facts.seq_count);
}

std::string beyond_words(const DirtyMap& map) {
  if (map.beyond_end == 0) return {};
  return counted(map.beyond_end, "dirty block belongs", "dirty blocks belong") +
         " behind the origin's end: is it the right one?";
}

}  // namespace wc::tools
