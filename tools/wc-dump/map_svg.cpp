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
constexpr double kHeight = 520;
constexpr double kLeft = 110;
constexpr double kPlotWidth = 800;
constexpr double kShareTop = 60;
constexpr double kShareHeight = 210;
constexpr double kAgeTop = 310;
constexpr double kAgeHeight = 130;
constexpr double kMarkMin = 1.5;  // of the picture's height: one block in a huge cell is still seen

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

double share_of(const DirtyMap& map, const MapFacts& facts, std::size_t cell) noexcept {
  const auto capacity = static_cast<double>(cell_capacity(map, facts, cell));
  return std::min(100.0, 100.0 * static_cast<double>(map.cells[cell].live) / capacity);
}

void draw_share(Drawing& drawing, const DirtyMap& map, const MapFacts& facts) {
  double share_max = 0;
  for (std::size_t cell = 0; cell < map.cells.size(); ++cell)
    share_max = std::max(share_max, share_of(map, facts, cell));
  const double step = share_max > 0 ? nice_step(share_max, 5) : 20;
  Panel panel{kShareTop, kShareHeight, 0, share_max > 0 ? std::ceil(share_max / step) * step : 100};
  for (int tick = 0; step * tick <= panel.high * 1.0001; ++tick) {
    drawing.value_tick(panel, step * tick, fmt::format("{:.4g} %", step * tick));
  }
  for (std::size_t cell = 0; cell < map.cells.size(); ++cell) {
    if (map.cells[cell].live == 0) continue;
    const double height = std::max(kMarkMin, panel.y(0) - panel.y(share_of(map, facts, cell)));
    drawing.add(
        "<rect class=\"cell\" x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\"><title>{}: "
        "{}</title></rect>\n",
        drawing.x_of_cell(cell), panel.y(0) - height, drawing.x_of_cell(cell + 1) - drawing.x_of_cell(cell), height,
        human_bytes(bytes_of_sectors(cell * map.sectors_per_cell)),
        counted(map.cells[cell].live, "dirty block", "dirty blocks"));
  }
  drawing.frame(panel);
  drawing.sideways(panel.top + panel.height / 2, "dirty part of a cell");
}

void draw_age(Drawing& drawing, const DirtyMap& map, const MapTotals& totals) {
  const auto low = static_cast<double>(totals.live == 0 ? 0 : totals.oldest);
  const auto high = static_cast<double>(totals.newest);
  // One sequence alone lies in the middle.
  const double margin = high > low ? (high - low) * 0.04 : 1;
  Panel panel{kAgeTop, kAgeHeight, low - margin, high + margin};
  if (totals.live != 0) {
    drawing.value_tick(panel, low, fmt::format("{}", totals.oldest));
    if (high > low) drawing.value_tick(panel, high, fmt::format("{}", totals.newest));
  }
  for (std::size_t cell = 0; cell < map.cells.size(); ++cell) {
    if (map.cells[cell].live == 0) continue;
    const double top = panel.y(static_cast<double>(map.cells[cell].newest)) - kMarkMin;
    const double bottom = panel.y(static_cast<double>(map.cells[cell].oldest)) + kMarkMin;
    drawing.add("<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\"/>\n", drawing.x_of_cell(cell), top,
                drawing.x_of_cell(cell + 1) - drawing.x_of_cell(cell), bottom - top);
  }
  drawing.frame(panel);
  drawing.sideways(panel.top + panel.height / 2, "sequences");
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
  drawing.text(kLeft, 24, "start", "Dirty blocks on the origin");
  drawing.text(kLeft, 44, "start", legend_of(map, facts, totals));
  if (!map.cells.empty()) {
    draw_share(drawing, map, facts);
    draw_age(drawing, map, totals);
    draw_offsets(drawing, map);
  }
  return drawing.finish();
}

}  // namespace wc::tools
