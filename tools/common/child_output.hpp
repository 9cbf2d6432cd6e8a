// SPDX-License-Identifier: LGPL-2.1-or-later
// child_output: what another program printed.
#pragma once

#include <string>
#include <vector>

#include "writecache/result.hpp"

namespace wc::tools {

struct ChildOutput {
  int status = 0;   ///< exit status; 128 + N where signal N ended it
  std::string out;  ///< standard output
  std::string err;  ///< standard error
};

/// Runs words[0], found in PATH, with nothing on its standard input and an environment of PATH, LC_ALL=C and those of
/// `kept_variables` that are set. Waits for its end.
/// Errors: not_found (no such program), io, no_space (it printed more than 16 MiB).
Result<ChildOutput> child_output(const std::vector<std::string>& words, const std::vector<std::string>& kept_variables);

}  // namespace wc::tools
