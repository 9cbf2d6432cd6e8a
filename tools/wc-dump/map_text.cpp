// SPDX-License-Identifier: LGPL-2.1-or-later
// The dirty map for a terminal of 80 columns.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "common/text.hpp"
#include "wc-dump/map_picture.hpp"
#include "wc-dump/map_totals.hpp"

namespace wc::tools {
namespace {

constexpr unsigned kLevels = 8;  // above none
constexpr std::array<std::string_view, kLevels + 1> kAscii{" ", ".", ":", "-", "=", "+", "*", "#", "@"};
constexpr std::array<std::string_view, kLevels + 1> kBlocks{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

// One dirty block is seen however large its cell is; the last level means nearly full.
unsigned level_of(std::uint64_t live, std::uint64_t capacity) noexcept {
  if (live == 0) return 0;
  if (live >= capacity) return kLevels;
  const double share = static_cast<double>(live) / static_cast<double>(capacity);
  return std::min(kLevels, 1U + static_cast<unsigned>(share * kLevels));
}

// One line where it fits in 80 columns; sequences can have 20 digits.
std::string folded(std::string legend) {
  constexpr std::size_t kColumns = 80;
  if (legend.size() <= kColumns) return legend;
  for (std::size_t at = legend.find("; "); at != std::string::npos; at = legend.find("; ", at)) {
    legend.replace(at, 2, "\n");
  }
  const std::size_t sequences = legend.find(", seq ");
  if (sequences != std::string::npos) legend.replace(sequences, 2, "\n");
  return legend;
}

}  // namespace

std::string map_as_text(const DirtyMap& map, const MapFacts& facts, MapShades shades) {
  const auto& shade = shades == MapShades::ascii ? kAscii : kBlocks;
  const MapTotals totals = total_of(map);
  std::string out = folded(legend_of(map, facts, totals)) + "\n";
  if (map.cells.empty()) return out;
  const std::size_t columns = std::min(kTextMapColumns, map.cells.size());
  const std::string edge = fmt::format("{:>10} +{:-<{}}+\n", "", "", columns);
  out += edge;
  for (std::size_t row = 0; row < map.cells.size(); row += columns) {
    out += fmt::format("{:>10} |", human_bytes(bytes_of_sectors(row * map.sectors_per_cell)));
    for (std::size_t column = 0; column < columns; ++column) {
      const std::size_t cell = row + column;
      if (cell >= map.cells.size()) {
        out += ' ';
      } else {
        out += shade[level_of(map.cells[cell].live, cell_capacity(map, facts, cell))];
      }
    }
    out += "|\n";
  }
  out += edge;
  out += fmt::format("{:>10}  share of a cell that is dirty: none \"{}\"", "", shade[0]);
  for (unsigned level = 1; level <= kLevels; ++level)
    out += fmt::format(" {}", shade[level]);
  out += " all\n";
  return out;
}

}  // namespace wc::tools
