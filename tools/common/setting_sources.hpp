// SPDX-License-Identifier: LGPL-2.1-or-later
// Settings from a file and from the environment, as words of the command line that stand before the others.
#pragma once

#include <string>
#include <vector>

namespace wc::tools {

/// The file's lines `key = value` as `--key=value`; # begins a comment, underscores in keys count as dashes.
/// Throws UsageError where it holds something else, Failure where it cannot be read.
std::vector<std::string> words_of_file(const std::string& path);

/// PREFIX_SOME_NAME=value of the environment as `--some-name=value`. Empty values count as not set.
std::vector<std::string> words_of_environment(const std::string& prefix);

}  // namespace wc::tools
