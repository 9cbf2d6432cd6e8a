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
  std::string ddrescue_map;      ///< empty: none
  std::string config_file;       ///< for --help only: its words come as options of their own
  std::string configured_cache;  ///< what the file says
};

/// Adds the options of wc-flush; the values land in `options`, which must outlive `line`.
void add_flush_options(CommandLine& line, FlushCommandOptions& options);

/// What has to wait until everything is parsed: devices from either place. Throws UsageError.
void complete_flush_options(FlushCommandOptions& options);

}  // namespace wc::tools
