// SPDX-License-Identifier: LGPL-2.1-or-later
// ProgressPrinter: the Observer of every command: a bar with rate and remaining time, and the signals.
//
// Shape: make one for each operation, `ProgressPrinter progress(console)`, and pass it as the
// Observer. It clears its line when destroyed; call finish() before printing while it lives.
#pragma once

#include <cstdint>
#include <string>

#include "common/command.hpp"
#include "writecache/observer.hpp"

namespace wc::tools {

class ProgressPrinter final : public Observer {
 public:
  explicit ProgressPrinter(Console& console);
  ~ProgressPrinter() override;
  ProgressPrinter(const ProgressPrinter&) = delete;
  ProgressPrinter& operator=(const ProgressPrinter&) = delete;

  void on_progress(const Progress& progress) override;
  bool is_cancelled() const noexcept override;
  void finish();

 private:
  enum class Style : std::uint8_t { none, bar, lines, json };

  void print(const Progress& progress, std::uint64_t now_ns);

  Environment& environment_;
  std::string name_;
  Style style_ = Style::none;
  std::string phase_;
  std::uint64_t phase_began_ns_ = 0;
  std::uint64_t phase_began_bytes_ = 0;
  std::uint64_t next_print_ns_ = 0;
  bool line_is_open_ = false;
};

}  // namespace wc::tools
