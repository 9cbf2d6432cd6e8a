// SPDX-License-Identifier: LGPL-2.1-or-later
// wc-format as a function: the whole command, for main() and for tests in their own process.
#pragma once

#include "common/environment.hpp"

namespace wc::tools {

/// Makes an empty cache, or one with the entries of a dump. Returns the exit status.
int wc_format_main(Arguments arguments, Environment& environment);

}  // namespace wc::tools
