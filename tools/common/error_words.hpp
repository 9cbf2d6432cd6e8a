// SPDX-License-Identifier: LGPL-2.1-or-later
// The word of each error code, for JSON and for what a server reports to its wc-run.
#pragma once

#include <optional>
#include <string_view>

#include "writecache/result.hpp"

namespace wc::tools {

/// "io", "no-space", "busy", ...
const char* to_string(ErrorCode code) noexcept;

/// The code of such a word.
std::optional<ErrorCode> error_code_of(std::string_view word) noexcept;

}  // namespace wc::tools
