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
  std::uint64_t n_blocks = 0;
  std::uint64_t used = 0;  ///< blocks of the cache that are not free
  Sequence seq_count = 0;  ///< of the superblock: one above the last commit
};

enum class MapShades : std::uint8_t { ascii, blocks };

/// Cells of the pictures: ask dirty_map() for that many.
inline constexpr std::size_t kTextMapColumns = 32;
inline constexpr std::size_t kTextMapCells = kTextMapColumns * 16;
inline constexpr std::size_t kSvgMapCells = 400;

/// At most 80 columns wide and 24 lines high, without colour: how full the cache is, then side by side how much of each
/// part of the origin is dirty and how old it is.
std::string map_as_text(const DirtyMap& map, const MapFacts& facts, MapShades shades);

/// A self-contained SVG 1.1 document: how full the cache is, how full each part of the origin, how old its blocks.
std::string map_as_svg(const DirtyMap& map, const MapFacts& facts);

}  // namespace wc::tools
