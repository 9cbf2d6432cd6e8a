// SPDX-License-Identifier: LGPL-2.1-or-later
// The version of the library that is loaded, which may differ from the headers a program was compiled with.
#pragma once

#include <string_view>

#include "writecache/api.hpp"

namespace wc {

/// Returns the library's version as "MAJOR.MINOR.PATCH"; the text lives as long as the program.
/// Errors: none.
WC_API std::string_view version() noexcept;

}  // namespace wc
