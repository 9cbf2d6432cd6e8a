// SPDX-License-Identifier: LGPL-2.1-or-later
// The origin after a drain as a mapfile of GNU ddrescue: what is up to date, what is not, what was not tried.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "writecache/drain.hpp"

namespace wc::tools {

/// The part of a device that the origin is. Positions in the mapfile are those of the device.
struct MapDomain {
  std::string path;
  std::uint64_t begin_bytes = 0;
  std::uint64_t size_bytes = 0;
  std::optional<SectorRange> range;  ///< what the drain was asked for, if not all; sectors of the origin
};

/// How many bytes of the origin are what.
struct MapAreas {
  std::uint64_t finished = 0;  ///< '+': up to date, whether a block was written there or none was cached
  std::uint64_t bad = 0;       ///< '-': a block could not be read from the cache, or not be written
  std::uint64_t untried = 0;   ///< '?': behind the point where the drain was stopped, or outside its range
};

struct DdrescueMap {
  std::string text;
  MapAreas areas;
};

/// The map of what `report` tells. Format: the section "Mapfile structure" of ddrescue's manual.
DdrescueMap ddrescue_map(const DrainReport& report, const MapDomain& domain);

}  // namespace wc::tools
