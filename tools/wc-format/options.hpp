// SPDX-License-Identifier: LGPL-2.1-or-later
// The command line of wc-format as values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/command_line.hpp"

namespace wc::tools {

struct FormatCommandOptions {
  CommonOptions common;
  std::optional<std::uint32_t> block_bytes;
  std::optional<std::uint64_t> n_blocks;
  bool force = false;
  bool discard_dirty = false;
  bool wipe = false;
  bool dry_run = false;
  std::string from_dump;  ///< empty: none
};

/// Adds the options of wc-format; the values land in `options`, which must outlive `line`.
void add_format_options(CommandLine& line, FormatCommandOptions& options);

}  // namespace wc::tools
