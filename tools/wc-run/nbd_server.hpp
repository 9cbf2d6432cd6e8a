// SPDX-License-Identifier: LGPL-2.1-or-later
// serve_nbd: this process becomes nbdkit with the plugin.
#pragma once

#include <string>
#include <vector>

#include "wc-run/nbd_address.hpp"
#include "wc-run/server_settings.hpp"

namespace wc::tools {

/// Exit status where nbdkit could not be started.
inline constexpr int kNoNbdkit = 127;

/// Returns only if there is no nbdkit: kNoNbdkit. `settings.report_fd` stays open for the plugin.
int serve_nbd(const ServerSettings& settings, const NbdAddress& address, const std::vector<std::string>& extra_words);

}  // namespace wc::tools
