// SPDX-License-Identifier: LGPL-2.1-or-later
// The command line of wc-run as values: flags, environment, file and table line in one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/command_line.hpp"
#include "wc-run/nbd_address.hpp"
#include "wc-run/server_settings.hpp"
#include "wc-run/ublk_server.hpp"

namespace wc::tools {

struct RunOptions {
  CommonOptions common;
  ServerSettings settings;
  std::optional<NbdAddress> nbd;  ///< default: a socket in the runtime directory
  std::vector<std::string> nbdkit_options;
  std::optional<UblkOptions> ublk;  ///< a block device instead of NBD
  std::uint16_t ublk_queues = UblkOptions{}.queues;
  std::uint16_t ublk_depth = UblkOptions{}.depth;
  std::string config_file;
  std::string table;  ///< for --help only: its settings come as options of their own
};

/// Adds the options of wc-run; the values land in `options`, which must outlive `line`. Words of the file and the
/// environment come first, and a table line is replaced by the options it stands for, so that the last word wins.
void add_run_options(CommandLine& line, RunOptions& options);

/// What has to wait until everything is parsed: devices from either place, the name. Throws UsageError.
void complete_run_options(RunOptions& options);

}  // namespace wc::tools
