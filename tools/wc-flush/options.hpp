// SPDX-License-Identifier: LGPL-2.1-or-later
// The command line of wc-flush as values.
#pragma once

#include <string>

#include "common/command_line.hpp"
#include "writecache/drain.hpp"

namespace wc::tools {

struct FlushCommandOptions {
  CommonOptions common;
  DrainOptions drain;
  std::string ddrescue_map;  ///< empty: none
};

/// Adds the options of wc-flush; the values land in `options`, which must outlive `line`.
void add_flush_options(CommandLine& line, FlushCommandOptions& options);

}  // namespace wc::tools
