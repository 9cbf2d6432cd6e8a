// SPDX-License-Identifier: LGPL-2.1-or-later
// wc-run as a function: the whole command, for main() and for tests in their own process.
#pragma once

#include "common/environment.hpp"

namespace wc::tools {

/// Serves a live cache until a signal comes, or talks to one that runs (`ctl`). Returns the exit status.
int wc_run_main(Arguments arguments, Environment& environment);

/// `wc-run ctl ...`, without the word ctl.
int ctl_main(Arguments arguments, Environment& environment);

}  // namespace wc::tools
