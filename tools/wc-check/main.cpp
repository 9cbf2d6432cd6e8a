// SPDX-License-Identifier: LGPL-2.1-or-later
// The program wc-check.
#include "common/environment.hpp"
#include "wc-check/command.hpp"

int main(int argc, char** argv) { return wc::tools::run_main(argc, argv, wc::tools::wc_check_main); }
