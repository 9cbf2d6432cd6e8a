// SPDX-License-Identifier: LGPL-2.1-or-later
// What wc-flush takes from a configuration file that was made for wc-run.
#pragma once

#include <string>
#include <vector>

namespace wc::tools {

struct ConfiguredWords {
  std::vector<std::string> words;  ///< the command line, with those of the file in front
  std::string cache;               ///< what the file says; for a command line without CACHE
};

/// Replaces `--config FILE` by the words of the file that say where cache and origin are; what was typed wins. Settings
/// of serving are left out, unknown ones refused: a typo must not move the origin. Throws UsageError.
ConfiguredWords words_with_config(const std::vector<std::string>& typed);

}  // namespace wc::tools
