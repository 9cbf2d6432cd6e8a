// SPDX-License-Identifier: LGPL-2.1-or-later
// The table line of the device mapper, pasted from dmsetup: parsed with the driver's rules and words.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "writecache/result.hpp"

namespace wc::tools {

/// One setting: its name, as the options of wc-run have them with dashes or underscores, and its text; "true" for a
/// flag.
using Setting = std::pair<std::string, std::string>;

/// "[NAME:] 0 LEN writecache TYPE ORIGIN CACHE BLOCK_SIZE N_OPTIONAL [optional...]" as settings. Devices that are given
/// by number, as dmsetup prints them, become paths in /dev/block. Errors: invalid_argument, in the driver's words.
Result<std::vector<Setting>> parse_table_line(std::string_view line);

}  // namespace wc::tools
