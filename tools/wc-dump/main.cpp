// SPDX-License-Identifier: LGPL-2.1-or-later
// The program wc-dump.
#include "common/environment.hpp"
#include "wc-dump/command.hpp"

int main(int argc, char** argv) { return wc::tools::run_main(argc, argv, wc::tools::wc_dump_main); }
