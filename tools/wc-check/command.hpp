// SPDX-License-Identifier: LGPL-2.1-or-later
// wc-check as a function: the whole command, for main() and for tests in their own process.
#pragma once

#include "common/environment.hpp"

namespace wc::tools {

/// Checks, repairs, or takes a repair back. Returns the exit status.
int wc_check_main(Arguments arguments, Environment& environment);

}  // namespace wc::tools
