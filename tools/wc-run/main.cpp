// SPDX-License-Identifier: LGPL-2.1-or-later
// The program wc-run.
#include "common/environment.hpp"
#include "wc-run/command.hpp"

int main(int argc, char** argv) { return wc::tools::run_main(argc, argv, wc::tools::wc_run_main); }
