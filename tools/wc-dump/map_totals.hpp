// SPDX-License-Identifier: LGPL-2.1-or-later
// What both pictures of a dirty map say in words.
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

/// One line: origin size, what a cell is, how many dirty blocks, oldest and newest sequence.
std::string legend_of(const DirtyMap& map, const MapFacts& facts, const MapTotals& totals);

}  // namespace wc::tools
