// SPDX-License-Identifier: LGPL-2.1-or-later
// Pictures of a dirty map, for a terminal and as SVG.
#pragma once

#include <cstdint>
#include <string>

#include "writecache/dump.hpp"

namespace wc::tools {

/// What a picture says besides the map.
struct MapFacts {
  std::uint32_t block_bytes = 0;
  bool origin_is_known = false;  ///< else its size is a guess: the end of the last live block
};

enum class MapShades : std::uint8_t { ascii, blocks };

/// Cells of the pictures: ask dirty_map() for that many.
inline constexpr std::size_t kTextMapColumns = 64;
inline constexpr std::size_t kTextMapCells = kTextMapColumns * 16;
inline constexpr std::size_t kSvgMapCells = 400;

/// At most 80 columns wide, without colour: rows of cells with the offset each row begins at.
std::string map_as_text(const DirtyMap& map, const MapFacts& facts, MapShades shades);

/// A self-contained SVG 1.1 document: how full each part is and how old its blocks are.
std::string map_as_svg(const DirtyMap& map, const MapFacts& facts);

}  // namespace wc::tools
