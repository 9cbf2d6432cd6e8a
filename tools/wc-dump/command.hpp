// SPDX-License-Identifier: LGPL-2.1-or-later
// wc-dump as a function: the whole command, for main() and for tests in their own process.
#pragma once

#include "common/environment.hpp"

namespace wc::tools {

/// Shows what is in a cache; writes to no device. Returns the exit status.
int wc_dump_main(Arguments arguments, Environment& environment);

}  // namespace wc::tools
