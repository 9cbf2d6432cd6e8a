// SPDX-License-Identifier: LGPL-2.1-or-later
// Environment: everything a command takes from the process around it, so that tests can replace it.
//
// Shape: `int wc_NAME_main(Arguments, Environment&)` is a whole command. The program's main() is
// `return run_main(argc, argv, wc_NAME_main);`; a test builds an Environment over string streams
// and replaces `open_devices` by something that hands out a simulated port.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/child_output.hpp"
#include "writecache/device.hpp"

namespace wc::tools {

/// The words of the command line behind the program's name.
using Arguments = std::span<const char* const>;

/// The outside of one command. The streams must outlive it.
struct Environment {
  Environment(std::istream& input, std::ostream& output, std::ostream& diagnostics)
      : in(input), out(output), err(diagnostics) {}

  std::istream& in;
  std::ostream& out;  ///< what the command is for: text, JSON or raw bytes
  std::ostream& err;  ///< diagnostics and progress
  bool in_is_terminal = false;
  bool out_is_terminal = false;
  bool err_is_terminal = false;

  /// errno of the first write to `out` that failed; 0 while all went well or where it is unknown.
  std::function<int()> out_errno = [] { return 0; };
  /// True once a signal asked the command to stop.
  std::function<bool()> is_cancelled = [] { return false; };
  /// Monotonic time in nanoseconds, for progress only.
  std::function<std::uint64_t()> now_ns;

  std::function<Result<std::unique_ptr<Devices>>(const OpenOptions&)> open_devices = &wc::open_devices;
  std::function<Result<std::optional<Signature>>(const DeviceSpec&)> probe_signature = &wc::probe_signature;
  std::function<Result<std::unique_ptr<UndoLog>>(const std::string&, UndoFileMode)> open_undo_file =
      &wc::open_undo_file;
  /// Another program: its words, the variables of the environment that it is given besides PATH.
  std::function<Result<ChildOutput>(const std::vector<std::string>&, const std::vector<std::string>&)> child_output =
      &wc::tools::child_output;
};

/// A whole command: parses, works, prints, and returns the exit status. Throws nothing.
using ToolMain = int (*)(Arguments arguments, Environment& environment);

/// Runs a command in this process: standard streams, SIGINT, SIGTERM and SIGHUP ask it to stop (the
/// second one of a kind kills), SIGPIPE and SIGXFSZ are failed writes. Streams that were closed are made harmless
/// first, so that no device is ever opened as file descriptor 1. Returns the exit status.
int run_main(int argc, const char* const* argv, ToolMain tool_main) noexcept;

}  // namespace wc::tools
