// SPDX-License-Identifier: LGPL-2.1-or-later
// ProgressPrinter: bar, lines or JSON on standard error.
#include "common/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "common/text.hpp"

namespace wc::tools {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;
constexpr std::uint64_t kFirstBarNs = kSecondNs / 2;  // short commands show nothing
constexpr std::uint64_t kBarIntervalNs = kSecondNs / 5;
constexpr std::uint64_t kLineIntervalNs = kSecondNs;

}  // namespace

ProgressPrinter::ProgressPrinter(Console& console) : environment_(console.environment()), name_(console.name()) {
  if (!environment_.now_ns) return;
  const CommonOptions& options = console.options();
  switch (options.progress) {
    case ProgressMode::never:
      break;
    case ProgressMode::json:
      style_ = Style::json;
      break;
    case ProgressMode::always:
      style_ = environment_.err_is_terminal ? Style::bar : Style::lines;
      break;
    case ProgressMode::automatic:
      if (environment_.err_is_terminal && !options.quiet) style_ = Style::bar;
      break;
  }
}

ProgressPrinter::~ProgressPrinter() { finish(); }

void ProgressPrinter::finish() {
  if (!line_is_open_) return;
  environment_.err << "\r\x1b[K" << std::flush;
  line_is_open_ = false;
}

bool ProgressPrinter::is_cancelled() const noexcept { return environment_.is_cancelled(); }

void ProgressPrinter::on_progress(const Progress& progress) {
  if (style_ == Style::none) return;
  const std::uint64_t now = environment_.now_ns();
  const bool is_new_phase = progress.phase != phase_;
  const bool is_end = progress.total_bytes != 0 && progress.done_bytes >= progress.total_bytes;
  if (is_new_phase) {
    phase_ = progress.phase;
    phase_began_ns_ = now;
    phase_began_bytes_ = progress.done_bytes;
    next_print_ns_ = style_ == Style::bar ? now + kFirstBarNs : now;
  }
  if (now < next_print_ns_ && !(is_end && style_ != Style::bar)) return;
  next_print_ns_ = now + (style_ == Style::bar ? kBarIntervalNs : kLineIntervalNs);
  print(progress, now);
}

void ProgressPrinter::print(const Progress& progress, std::uint64_t now_ns) {
  const double seconds = static_cast<double>(now_ns - phase_began_ns_) / static_cast<double>(kSecondNs);
  const std::uint64_t moved = progress.done_bytes - std::min(progress.done_bytes, phase_began_bytes_);
  const double rate = seconds > 0 ? static_cast<double>(moved) / seconds : 0;
  std::optional<double> seconds_left;
  if (rate > 0 && progress.total_bytes >= progress.done_bytes && progress.total_bytes != 0) {
    seconds_left = static_cast<double>(progress.total_bytes - progress.done_bytes) / rate;
  }

  if (style_ == Style::json) {
    nlohmann::ordered_json line{{"phase", phase_},
                                {"done_bytes", progress.done_bytes},
                                {"total_bytes", progress.total_bytes},
                                {"bytes_per_second", static_cast<std::uint64_t>(rate)}};
    line["seconds_left"] = seconds_left ? nlohmann::ordered_json(*seconds_left) : nlohmann::ordered_json();
    environment_.err << line.dump() << '\n' << std::flush;
    return;
  }

  std::string text = fmt::format("{}: {} ", name_, phase_);
  if (progress.total_bytes != 0) {
    constexpr std::size_t kBarWidth = 20;
    const double share =
        std::min(1.0, static_cast<double>(progress.done_bytes) / static_cast<double>(progress.total_bytes));
    const auto filled = static_cast<std::size_t>(share * static_cast<double>(kBarWidth));
    text += fmt::format("[{:#<{}}{:.<{}}] {:3.0f}% ", "", filled, "", kBarWidth - filled, share * 100);
  }
  text += fmt::format("{}, {}/s", human_bytes(progress.done_bytes), human_bytes(static_cast<std::uint64_t>(rate)));
  if (seconds_left) text += fmt::format(", {} left", human_seconds(*seconds_left));
  if (style_ == Style::bar) {
    environment_.err << '\r' << text << "\x1b[K" << std::flush;
    line_is_open_ = true;
  } else {
    environment_.err << text << '\n' << std::flush;
  }
}

}  // namespace wc::tools
