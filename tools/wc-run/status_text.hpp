// SPDX-License-Identifier: LGPL-2.1-or-later
// What the control socket tells of a live cache: dmsetup's lines, JSON, Prometheus, and words for people.
#pragma once

#include <string>

#include "wc-run/live_cache.hpp"

namespace wc::tools {

std::string status_line(const LiveCache& live);        ///< `0 LEN writecache` and 14 numbers
std::string status_json(const LiveCache& live);        ///< schema writecache.run-status/1
std::string status_prometheus(const LiveCache& live);  ///< text exposition format
std::string status_human(const LiveCache& live);
std::string table_line(const LiveCache& live);  ///< as dmsetup prints it, with paths for the devices

}  // namespace wc::tools
