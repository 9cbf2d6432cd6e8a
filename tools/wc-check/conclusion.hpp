// SPDX-License-Identifier: LGPL-2.1-or-later
// The last line of wc-check: one sentence for somebody in a hurry: safe to activate or not, and what to do.
#pragma once

#include <string>

#include "wc-check/options.hpp"
#include "writecache/check.hpp"

namespace wc::tools {

std::string conclusion(const CheckCommandOptions& options, const CheckReport& report);

/// After --apply-undo put this many bytes back.
std::string conclusion_of_undo(const CheckCommandOptions& options, std::uint64_t restored_bytes);

}  // namespace wc::tools
