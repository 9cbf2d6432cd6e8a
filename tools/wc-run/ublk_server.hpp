// SPDX-License-Identifier: LGPL-2.1-or-later
// serve_ublk: cache and origin as the kernel's block device /dev/ublkbN.
#pragma once

#include <cstdint>
#include <optional>

#include "wc-run/server_settings.hpp"

namespace wc::tools {

struct UblkOptions {
  static constexpr std::uint16_t kQueuesMax = 64;
  static constexpr std::uint16_t kDepthMax = 4096;
  std::optional<std::uint32_t> number;  ///< the N of /dev/ublkbN; none: the kernel chooses
  std::uint16_t queues = 1;
  std::uint16_t depth = 64;  ///< requests of a queue at once
};

/// Serves until it is told to stop, by a signal or through the control socket. A device that a killed server of the
/// same cache left behind is taken over, with the requests that wait in it. What is to be said goes to
/// `settings.report_fd`. Returns the exit status of a process.
int serve_ublk(const ServerSettings& settings, const UblkOptions& options);

}  // namespace wc::tools
