// SPDX-License-Identifier: LGPL-2.1-or-later
// The dirty map as an SVG document that is legible in black and white.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "common/text.hpp"
#include "wc-dump/map_picture.hpp"
#include "wc-dump/map_totals.hpp"

namespace wc::tools {
namespace {

constexpr double kWidth = 960;
constexpr double kHeight = 640;
constexpr double kLeft = 110;
constexpr double kPlotWidth = 800;
constexpr double kFillTop = 66;
constexpr double kFillHeight = 14;
constexpr double kShareTop = 130;
constexpr double kShareHeight = 210;
constexpr double kAgeTop = 410;
constexpr double kAgeHeight = 150;
constexpr double kMarkMin = 1.5;  // of the picture's height and width: one block in a huge cell is still seen

/// One of the two diagrams, which share the axis of origin offsets.
struct Panel {
  double top = 0;
  double height = 0;
  double low = 0;
  double high = 1;

  double y(double value) const noexcept { return top + height - height * (value - low) / (high - low); }
};

class Drawing {
 public:
  explicit Drawing(const DirtyMap& map) : map_(map) {
    add("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
        "font-family=\"sans-serif\" font-size=\"13\">\n"
        "<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n",
        kWidth, kHeight);
  }

  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
  }

  void text(double x, double y, std::string_view anchor, std::string_view words) {
    add("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor, words);
  }
  void line(double x1, double y1, double x2, double y2, std::string_view stroke) {
    add("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n", x1, y1, x2, y2, stroke);
  }
  void sideways(double y, std::string_view words) {
    add("<text transform=\"translate(20 {:.1f}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n", y, words);
  }

  double x_of_cell(std::size_t cell) const noexcept {
    return kLeft + kPlotWidth * static_cast<double>(cell) / static_cast<double>(map_.cells.size());
  }

  /// Wide enough to be seen, and for its neighbour to leave no gap.
  double width_of_cell(std::size_t cell) const noexcept {
    return std::max(kMarkMin, x_of_cell(cell + 1) - x_of_cell(cell));
  }

  void value_tick(const Panel& panel, double value, std::string_view words) {
    line(kLeft - 5, panel.y(value), kLeft, panel.y(value), "black");
    line(kLeft, panel.y(value), kLeft + kPlotWidth, panel.y(value), "#ccc");
    text(kLeft - 9, panel.y(value) + 4.5, "end", words);
  }
  void frame(const Panel& panel) {
    add("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"black\"/>\n", kLeft, panel.top,
        kPlotWidth, panel.height);
  }

  std::string finish() {
    out_ += "</svg>\n";
    return std::move(out_);
  }

 private:
  const DirtyMap& map_;
  std::string out_;
};

/// A step of 1, 2 or 5 times a power of ten that divides `range` into at most `parts`.
double nice_step(double range, int parts) noexcept {
  const double power = std::pow(10.0, std::floor(std::log10(range / parts)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (power * factor * parts >= range) return power * factor;
  }
  return power * 10;
}

/// What the upper diagram shows of a cell, and how: shares where they are seen, else bytes on a logarithmic scale.
class ShareScale {
 public:
  ShareScale(const DirtyMap& map, const MapFacts& facts, const MapTotals& totals)
      : map_(map), facts_(facts), is_linear_(is_linear(map, totals)) {
    double high = 0;
    for (std::size_t cell = 0; cell < map.cells.size(); ++cell)
      if (map.cells[cell].live != 0) high = std::max(high, value_of(cell));
    step_ = is_linear_ ? nice_step(high, 5) : std::ceil(high / 6);
    panel_ = {kShareTop, kShareHeight, 0, std::ceil(high / step_) * step_};
  }

  const Panel& panel() const noexcept { return panel_; }
  const char* title() const noexcept { return is_linear_ ? "dirty share of a part" : "dirty in a part (log)"; }

  /// Percent, or doublings above one block; one block itself stands a step above nothing.
  double value_of(std::size_t cell) const noexcept {
    const auto live = static_cast<double>(map_.cells[cell].live);
    if (!is_linear_) return std::log2(live) + 1;
    return std::min(100.0, 100.0 * live / static_cast<double>(cell_capacity(map_, facts_, cell)));
  }

  void draw_ticks(Drawing& drawing) const {
    for (int tick = 0; step_ * tick <= panel_.high * 1.0001; ++tick) {
      const double value = step_ * tick;
      drawing.value_tick(panel_, value, is_linear_ ? fmt::format("{:.4g} %", value) : bytes_at(value));
    }
  }

 private:
  std::string bytes_at(double value) const {
    if (value == 0) return "none";
    return human_bytes(static_cast<std::uint64_t>(std::exp2(value - 1)) * facts_.block_bytes);
  }

  const DirtyMap& map_;
  const MapFacts& facts_;
  bool is_linear_;
  double step_ = 1;
  Panel panel_;
};

void draw_fill(Drawing& drawing, const MapFacts& facts) {
  const double share = facts.n_blocks == 0 ? 0 : static_cast<double>(facts.used) / static_cast<double>(facts.n_blocks);
  if (facts.used != 0) {
    drawing.add("<rect x=\"{}\" y=\"{}\" width=\"{:.2f}\" height=\"{}\" fill=\"#555\"/>\n", kLeft, kFillTop,
                std::max(kMarkMin, kPlotWidth * share), kFillHeight);
  }
  drawing.frame({kFillTop, kFillHeight, 0, 1});
  drawing.text(kLeft - 9, kFillTop + 11.5, "end", "cache used");
}

void draw_share(Drawing& drawing, const DirtyMap& map, const MapFacts& facts, const MapTotals& totals) {
  const ShareScale scale(map, facts, totals);
  const Panel& panel = scale.panel();
  scale.draw_ticks(drawing);
  for (std::size_t cell = 0; cell < map.cells.size(); ++cell) {
    if (map.cells[cell].live == 0) continue;
    const double height = std::max(kMarkMin, panel.y(0) - panel.y(scale.value_of(cell)));
    drawing.add(
        "<rect class=\"cell\" x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\"><title>{}: "
        "{}</title></rect>\n",
        drawing.x_of_cell(cell), panel.y(0) - height, drawing.width_of_cell(cell), height,
        human_bytes(bytes_of_sectors(cell * map.sectors_per_cell)),
        counted(map.cells[cell].live, "dirty block", "dirty blocks"));
  }
  drawing.frame(panel);
  drawing.sideways(panel.top + panel.height / 2, scale.title());
}

/// A number of up to 20 digits does not fit at the left: long ones stand inside.
void sequence_tick(Drawing& drawing, const Panel& panel, Sequence sequence) {
  constexpr std::size_t kDigitsOutside = 9;
  const std::string digits = std::to_string(sequence);
  const auto value = static_cast<double>(sequence);
  const bool is_inside = digits.size() > kDigitsOutside;
  drawing.value_tick(panel, value, is_inside ? std::string() : digits);
  if (is_inside) drawing.text(kLeft + kPlotWidth / 2, panel.y(value) - 3, "middle", digits);
}

/// The span of each part in grey, its oldest and newest block in black: where all is mixed, the ends still show.
void draw_age(Drawing& drawing, const DirtyMap& map, const MapTotals& totals) {
  const auto low = static_cast<double>(totals.oldest);
  const auto high = static_cast<double>(totals.newest);
  // One sequence alone lies in the middle.
  const double margin = high > low ? (high - low) * 0.12 : 1;
  const Panel panel{kAgeTop, kAgeHeight, low - margin, high + margin};
  for (const bool is_span : {true, false}) {
    for (std::size_t cell = 0; cell < map.cells.size(); ++cell) {
      if (map.cells[cell].live == 0) continue;
      const double top = panel.y(static_cast<double>(map.cells[cell].newest));
      const double bottom = panel.y(static_cast<double>(map.cells[cell].oldest));
      const auto bar = [&](double y, double height, const char* fill) {
        drawing.add("<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"{}\"/>\n",
                    drawing.x_of_cell(cell), y, drawing.width_of_cell(cell), height, fill);
      };
      if (is_span) {
        bar(top, bottom - top, "#ccc");
      } else {
        bar(top - kMarkMin, 2 * kMarkMin, "black");
        bar(bottom - kMarkMin, 2 * kMarkMin, "black");
      }
    }
  }
  sequence_tick(drawing, panel, totals.oldest);
  if (totals.newest != totals.oldest) sequence_tick(drawing, panel, totals.newest);
  drawing.frame(panel);
  drawing.sideways(panel.top + panel.height / 2, "commit");
}

void draw_offsets(Drawing& drawing, const DirtyMap& map) {
  constexpr double kBottom = kAgeTop + kAgeHeight;
  const auto end = static_cast<double>(bytes_of_sectors(map.origin_sectors));
  const double covered =
      static_cast<double>(map.cells.size()) * static_cast<double>(bytes_of_sectors(map.sectors_per_cell));
  // Steps are powers of two, as sizes of devices are.
  const double step = std::max(512.0, std::exp2(std::ceil(std::log2(end / 8))));
  for (double offset = 0; offset <= end; offset += step) {
    const double x = kLeft + kPlotWidth * offset / covered;
    for (const double bottom : {kShareTop + kShareHeight, kBottom})
      drawing.line(x, bottom, x, bottom + 5, "black");
    drawing.text(x, kBottom + 20, "middle", human_bytes(static_cast<std::uint64_t>(offset)));
  }
  drawing.text(kLeft + kPlotWidth / 2, kBottom + 44, "middle", "offset on the origin");
}

}  // namespace

std::string map_as_svg(const DirtyMap& map, const MapFacts& facts) {
  const MapTotals totals = total_of(map);
  Drawing drawing(map);
  drawing.add("<title>Dirty blocks on the origin</title>\n");
  drawing.add("<text x=\"{}\" y=\"26\" font-size=\"17\" font-weight=\"bold\">Dirty blocks on the origin</text>\n",
              kLeft);
  drawing.text(kLeft, 50, "start", cache_words(map, facts, totals));
  draw_fill(drawing, facts);
  drawing.text(kLeft, 106, "start", "origin " + origin_words(map, facts));
  if (const std::string beyond = beyond_words(map); !beyond.empty()) drawing.text(kLeft, 122, "start", beyond);
  if (totals.live == 0) {
    drawing.text(kLeft, kShareTop + 40, "start",
                 "No part of the origin has dirty blocks; " + age_words(facts, totals) + ".");
    return drawing.finish();
  }
  draw_share(drawing, map, facts, totals);
  drawing.text(kLeft, kAgeTop - 32, "start", age_words(facts, totals));
  drawing.text(kLeft, kAgeTop - 14, "start",
               "black: the oldest and the newest block of a part; grey: what lies between; lower is older");
  draw_age(drawing, map, totals);
  draw_offsets(drawing, map);
  return drawing.finish();
}

}  // namespace wc::tools
