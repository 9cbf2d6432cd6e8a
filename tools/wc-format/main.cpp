// SPDX-License-Identifier: LGPL-2.1-or-later
// The program wc-format.
#include "common/environment.hpp"
#include "wc-format/command.hpp"

int main(int argc, char** argv) { return wc::tools::run_main(argc, argv, wc::tools::wc_format_main); }
