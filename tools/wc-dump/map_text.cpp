// SPDX-License-Identifier: LGPL-2.1-or-later
// The dirty map for a terminal of 80 columns.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string_view>

#include "common/text.hpp"
#include "wc-dump/map_picture.hpp"
#include "wc-dump/map_totals.hpp"

namespace wc::tools {
namespace {

constexpr unsigned kLevels = 8;  // above none
constexpr std::array<std::string_view, kLevels + 1> kAscii{" ", ".", ":", "-", "=", "+", "*", "#", "@"};
constexpr std::array<std::string_view, kLevels + 1> kBlocks{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr unsigned kAges = 10;
constexpr std::size_t kLabelColumns = 10;  // of the offset at the left

/// Which mark stands for how many blocks.
class Marks {
 public:
  Marks(const DirtyMap& map, const MapTotals& totals) : is_linear_(is_linear(map, totals)) {
    // The smallest power of two with which the steps reach the fullest cell.
    const unsigned bits = static_cast<unsigned>(std::bit_width(totals.live_max));
    bits_per_step_ = std::max(1U, (bits + kLevels - 1) / kLevels);
  }

  /// One dirty block is seen however large its cell is; the last mark means all, or the most there is.
  unsigned level_of(std::uint64_t live, std::uint64_t capacity) const noexcept {
    if (live == 0) return 0;
    if (!is_linear_) {
      return std::min(kLevels, 1 + (static_cast<unsigned>(std::bit_width(live)) - 1) / bits_per_step_);
    }
    if (live >= capacity) return kLevels;
    const double share = static_cast<double>(live) / static_cast<double>(capacity);
    return std::min(kLevels, 1U + static_cast<unsigned>(share * kLevels));
  }

  std::string legend(const std::array<std::string_view, kLevels + 1>& shade, const MapFacts& facts) const {
    std::string marks;
    for (unsigned level = 1; level <= kLevels; ++level)
      marks += fmt::format("{} ", shade[level]);
    if (is_linear_) return fmt::format("how much: {}from one block to all of a part\n", marks);
    return fmt::format("how much: {}from {} on, each {} times as much\n", marks, human_bytes(facts.block_bytes),
                       std::uint64_t{1} << bits_per_step_);
  }

 private:
  bool is_linear_;
  unsigned bits_per_step_;
};

/// '0' for the newest tenth of the commits that dirty blocks are from, '9' for the oldest.
char age_of(Sequence oldest_in_cell, const MapTotals& totals) noexcept {
  if (totals.newest == totals.oldest) return '0';
  const double age =
      static_cast<double>(totals.newest - oldest_in_cell) / static_cast<double>(totals.newest - totals.oldest);
  return static_cast<char>('0' + std::min(kAges - 1, static_cast<unsigned>(age * kAges)));
}

std::string bar_of(std::uint64_t part, std::uint64_t whole) {
  constexpr std::size_t kColumns = 16;
  const double share = whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
  auto filled = static_cast<std::size_t>(share * kColumns);
  if (part != 0) filled = std::max<std::size_t>(filled, 1);
  return fmt::format("[{:#<{}}{:.<{}}]", "", filled, "", kColumns - filled);
}

std::string heading(const char* name, const std::string& words) {
  const std::string begin = fmt::format("{:<{}}", name, kLabelColumns);
  return begin + wrapped(words, kLabelColumns, begin.size());
}

std::string edge(std::size_t columns, std::string_view left, std::string_view right) {
  return fmt::format("{:>{}} +{:-^{}}+{:-^{}}+\n", "", kLabelColumns, left, columns, right, columns);
}

}  // namespace

std::string map_as_text(const DirtyMap& map, const MapFacts& facts, MapShades shades) {
  const auto& shade = shades == MapShades::ascii ? kAscii : kBlocks;
  const MapTotals totals = total_of(map);
  std::string out = heading("cache", bar_of(facts.used, facts.n_blocks) + " " + cache_words(map, facts, totals));
  out += heading("origin", origin_words(map, facts));
  out += heading("age", age_words(facts, totals));
  if (const std::string beyond = beyond_words(map); !beyond.empty()) out += heading("", beyond);
  if (totals.live == 0) return out + "No part of the origin has dirty blocks.\n";

  const Marks marks(map, totals);
  const std::size_t columns = std::min(kTextMapColumns, map.cells.size());
  const bool has_titles = columns >= kTextMapColumns;
  out += edge(columns, has_titles ? " how much is dirty " : "", has_titles ? " how old " : "");
  for (std::size_t row = 0; row < map.cells.size(); row += columns) {
    std::string amounts;
    std::string ages;
    for (std::size_t column = 0; column < columns; ++column) {
      const std::size_t cell = row + column;
      const bool is_dirty = cell < map.cells.size() && map.cells[cell].live != 0;
      amounts += is_dirty ? shade[marks.level_of(map.cells[cell].live, cell_capacity(map, facts, cell))] : shade[0];
      ages += is_dirty ? age_of(map.cells[cell].oldest, totals) : ' ';
    }
    out += fmt::format("{:>{}} |{}|{}|\n", human_bytes(bytes_of_sectors(row * map.sectors_per_cell)), kLabelColumns,
                       amounts, ages);
  }
  out += edge(columns, "", "");
  out += marks.legend(shade, facts);
  return out + "how old:  0 newest tenth of the commits ... 9 oldest, by a part's oldest block\n";
}

}  // namespace wc::tools
