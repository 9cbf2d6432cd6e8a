// SPDX-License-Identifier: LGPL-2.1-or-later
// Pictures of dirty maps at their ends: nothing dirty, one block in a huge origin, everything full, the largest
// numbers.
#include "wc-dump/map_picture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <vector>

namespace wc::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::uint64_t kTiB = std::uint64_t{1} << 40;

/// A map of an origin of `origin_bytes` in `cells` parts, nothing dirty; blocks of 4096 bytes.
DirtyMap map_of(std::uint64_t origin_bytes, std::size_t cells) {
  DirtyMap map;
  map.origin_sectors = sectors_of_bytes(origin_bytes);
  map.sectors_per_cell = map.origin_sectors / cells;
  map.blocks_per_cell = map.sectors_per_cell / 8;
  map.cells.resize(cells);
  return map;
}

MapFacts facts_of(std::uint64_t used) { return {4096, true, 1000, used, 50}; }

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  return lines;
}

/// What stands between the bars of the rows: the amounts, or the ages.
std::string marks_of(const std::string& text, bool ages) {
  std::string marks;
  for (const std::string& line : lines_of(text)) {
    const std::size_t first = line.find('|');
    const std::size_t last = line.rfind('|');
    if (first == std::string::npos) continue;
    const std::size_t middle = line.find('|', first + 1);
    marks += ages ? line.substr(middle + 1, last - middle - 1) : line.substr(first + 1, middle - first - 1);
  }
  marks.erase(std::remove(marks.begin(), marks.end(), ' '), marks.end());
  return marks;
}

TEST(MapText, NothingDirtyIsASentenceAndNoGrid) {
  const std::string text = map_as_text(map_of(kTiB, kTextMapCells), facts_of(0), MapShades::ascii);
  EXPECT_THAT(text, HasSubstr("[................] 0 of 1000 blocks dirty (0 B), 0 % used"));
  EXPECT_THAT(text, HasSubstr("No part of the origin has dirty blocks."));
  EXPECT_THAT(text, Not(HasSubstr("|")));
}

TEST(MapText, OneBlockOfAHugeOriginIsSeen) {
  DirtyMap map = map_of(16 * kTiB, kTextMapCells);
  map.cells[77] = {1, 42, 42};
  const std::string text = map_as_text(map, facts_of(1), MapShades::ascii);
  EXPECT_EQ(marks_of(text, false), ".");
  EXPECT_EQ(marks_of(text, true), "0");
  EXPECT_THAT(text, HasSubstr("[#...............] 1 of 1000 blocks dirty (4.0 KiB), under 1 % used"));
  EXPECT_THAT(text, HasSubstr("16.0 TiB in parts of 32.0 GiB"));
  EXPECT_THAT(text, HasSubstr("all of commit 42; the next one is 50"));
}

TEST(MapText, HotSpotsOfAHugeOriginStandOut) {
  DirtyMap map = map_of(16 * kTiB, kTextMapCells);
  for (DirtyMap::Cell& cell : map.cells)
    cell = {3, 10, 20};
  map.cells[5] = {60000, 10, 20};
  const std::string text = map_as_text(map, facts_of(900), MapShades::ascii);
  EXPECT_EQ(marks_of(text, false).at(5), '@');
  EXPECT_EQ(marks_of(text, false).at(4), '.');
  EXPECT_THAT(text, HasSubstr("from 4.0 KiB on, each 4 times as much"));
}

TEST(MapText, SharesAreShownAsSuchWhereTheyAreLarge) {
  DirtyMap map = map_of(kTextMapCells * 100 * 4096, kTextMapCells);
  map.cells[0] = {100, 1, 1};
  map.cells[1] = {50, 5, 9};
  map.cells[2] = {1, 9, 9};
  const std::string text = map_as_text(map, facts_of(151), MapShades::ascii);
  EXPECT_EQ(marks_of(text, false), "@+.");
  EXPECT_EQ(marks_of(text, true), "950");
  EXPECT_THAT(text, HasSubstr("from one block to all of a part"));
}

TEST(MapText, FitsEightyColumnsAndTwentyFourLinesWhateverTheNumbers) {
  DirtyMap map = map_of(std::uint64_t{1} << 62, kTextMapCells);
  for (DirtyMap::Cell& cell : map.cells)
    cell = {map.blocks_per_cell, 0, kFreeSequence - 1};
  map.beyond_end = ~std::uint64_t{0} / 8192;
  MapFacts facts{65536, true, std::uint64_t{1} << 46, std::uint64_t{1} << 46, kFreeSequence - 1};
  for (const bool is_known : {true, false}) {
    facts.origin_is_known = is_known;
    for (const std::string& line : lines_of(map_as_text(map, facts, MapShades::ascii)))
      EXPECT_LE(line.size(), 80U) << line;
  }
  map.beyond_end = 0;
  facts = facts_of(1000);
  map = map_of(kTiB, kTextMapCells);
  map.cells[0] = {1000, 7, 9};
  EXPECT_LE(lines_of(map_as_text(map, facts, MapShades::ascii)).size(), 24U);
}

TEST(MapSvg, HasNoBrokenNumbersAtTheEnds) {
  std::vector<DirtyMap> maps(4, map_of(16 * kTiB, kSvgMapCells));
  maps[1].cells[399] = {1, 42, 42};
  for (DirtyMap::Cell& cell : maps[2].cells)
    cell = {maps[2].blocks_per_cell, 0, kFreeSequence - 1};
  maps[3] = map_of(4096, 1);
  maps[3].cells[0] = {1, 0, 0};
  for (const DirtyMap& map : maps) {
    const std::string svg = map_as_svg(map, facts_of(500));
    for (const char* const broken : {"nan", "inf", "=\"-"})
      EXPECT_THAT(svg, Not(HasSubstr(broken)));
    EXPECT_THAT(svg, HasSubstr("50 % used"));
    EXPECT_TRUE(svg.ends_with("</svg>\n"));
  }
  EXPECT_THAT(map_as_svg(maps[0], facts_of(0)), HasSubstr("No part of the origin has dirty blocks"));
  EXPECT_THAT(map_as_svg(maps[1], facts_of(1)), HasSubstr("dirty in a part (log)"));
  EXPECT_THAT(map_as_svg(maps[2], facts_of(1)), HasSubstr("dirty share of a part"));
}

}  // namespace
}  // namespace wc::tools
