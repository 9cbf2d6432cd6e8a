// SPDX-License-Identifier: LGPL-2.1-or-later
// What both pictures of a dirty map say in words, and the scale that both use.
#pragma once

#include <cstdint>
#include <string>

#include "wc-dump/map_picture.hpp"

namespace wc::tools {

struct MapTotals {
  std::uint64_t live = 0;      ///< in cells
  std::uint64_t live_max = 0;  ///< of the fullest cell
  Sequence oldest = kFreeSequence;
  Sequence newest = 0;
};
MapTotals total_of(const DirtyMap& map) noexcept;

/// Blocks that fit in a cell; the last one may be smaller than the others.
std::uint64_t cell_capacity(const DirtyMap& map, const MapFacts& facts, std::size_t cell) noexcept;

/// True if shares of a cell can be shown as they are; false where even the fullest cell is nearly clean, as it is in
/// front of an origin that is much larger than the cache: then only a logarithmic scale shows anything.
bool is_linear(const DirtyMap& map, const MapTotals& totals) noexcept;

/// "39806 of 65536 blocks dirty (155.5 MiB), 61 % used"
std::string cache_words(const DirtyMap& map, const MapFacts& facts, const MapTotals& totals);
/// "16.0 TiB in parts of 16.0 GiB"
std::string origin_words(const DirtyMap& map, const MapFacts& facts);
/// "commits 1000 (oldest) to 10999 (newest); the last commit was 19999"
std::string age_words(const MapFacts& facts, const MapTotals& totals);
/// Of blocks in no part; empty if there are none.
std::string beyond_words(const DirtyMap& map);

}  // namespace wc::tools
