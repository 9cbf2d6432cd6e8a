// SPDX-License-Identifier: LGPL-2.1-or-later
// wc-flush as a function: the whole command, for main() and for tests in their own process.
#pragma once

#include "common/environment.hpp"

namespace wc::tools {

/// Writes the dirty blocks to the origin. Returns the exit status.
int wc_flush_main(Arguments arguments, Environment& environment);

}  // namespace wc::tools
