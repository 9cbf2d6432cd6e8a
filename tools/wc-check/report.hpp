// SPDX-License-Identifier: LGPL-2.1-or-later
// How wc-check tells what it found: for people and as JSON.
#pragma once

#include "common/command.hpp"
#include "wc-check/options.hpp"
#include "writecache/check.hpp"

namespace wc::tools {

/// Where the report is about.
struct CheckedDevice {
  std::string path;
  std::uint64_t size_bytes = 0;
};

void print_text(Console& console, const CheckCommandOptions& options, const CheckedDevice& device,
                const CheckReport& report);
void print_json(Console& console, const CheckReport& report);

}  // namespace wc::tools
