// SPDX-License-Identifier: LGPL-2.1-or-later
// run_command and Console: the frame in which every command parses, works, prints and fails.
//
// Shape: a command's body is `int body(Console& console)`; it returns the sum of exit bits. It
// prints human text to `console.text()` (silent under --quiet and --json), calls
// `console.print_json` once under --json, and ends failures with `return console.fail(path, error)`.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

#include "common/command_line.hpp"
#include "common/environment.hpp"
#include "common/exit_status.hpp"
#include "common/report_json.hpp"

namespace wc::tools {

class Console {
 public:
  /// All three must outlive it. `name` is "wc-check", ...
  Console(std::string name, Environment& environment, const CommonOptions& options);
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  Environment& environment() noexcept { return environment_; }
  const CommonOptions& options() const noexcept { return options_; }
  const std::string& name() const noexcept { return name_; }

  /// Human text on standard output; nothing under --quiet and --json.
  template <class... Args>
  void text(fmt::format_string<Args...> format, Args&&... args) {
    if (shows_text()) environment_.out << fmt::format(format, std::forward<Args>(args)...);
  }
  bool shows_text() const noexcept { return !options_.quiet && !options_.json; }
  bool is_verbose() const noexcept { return options_.verbosity != 0; }

  /// Prints one object: the member "schema" first, then `members`. Call it once. `other_schema`: where it is not that
  /// of the command.
  void print_json(const nlohmann::ordered_json& members, std::string_view other_schema = {});

  /// "writecache.check/1" for wc-check; for commands that stream their JSON themselves.
  std::string schema() const;

  /// `wc-check: PATH: what` on standard error. Warnings are silent under --quiet.
  void error(std::string_view path, std::string_view what);
  void warn(std::string_view path, std::string_view what);

  /// Tells a failure and, under --json, prints its object. An error whose context names the device
  /// already (open_devices) is not given the path twice. Returns the exit bits: 32 for cancelled,
  /// else 8, or `bits` where given.
  int fail(std::string_view path, const Error& error);
  int fail(std::string_view path, const Error& error, int bits);

  /// For commands that print their results as they go: io with the errno once writing to standard
  /// output has failed.
  Result<void> output_state();

 private:
  std::string name_;
  Environment& environment_;
  const CommonOptions& options_;
  bool json_printed_ = false;
};

/// Parses, runs `body`, catches everything, flushes standard output and returns the exit status. A
/// failed write to standard output adds 8: with a message, or silently when the reader went away.
int run_command(CommandLine& line, Arguments arguments, Environment& environment,
                const std::function<int(Console&)>& body) noexcept;

}  // namespace wc::tools
