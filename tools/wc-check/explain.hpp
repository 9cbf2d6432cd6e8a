// SPDX-License-Identifier: LGPL-2.1-or-later
// wc-check --explain: says what pasted lines mean. No device is opened.
#pragma once

#include <string>

#include "common/command.hpp"

namespace wc::tools {

/// Explains `line`, or with "-" every line of standard input that is about a writecache. Returns the exit bits: 8 where
/// a line is not understood, or nothing was about a writecache.
int run_explain(Console& console, const std::string& line);

}  // namespace wc::tools
