// SPDX-License-Identifier: LGPL-2.1-or-later
// The summary that wc-dump shows of a cache: for people and as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "writecache/check.hpp"

namespace wc::tools {

/// True if the driver would read the entries, and the library does.
bool is_readable(const CheckReport& report) noexcept;

/// True if this is, or once was, a writecache: a damaged one is shown, anything else refused.
bool is_writecache(const CheckReport& report) noexcept;

/// Superblock, geometry and counts, a line each.
std::string summary_text(const CheckReport& report, std::string_view path, std::uint64_t device_bytes);

/// The members of the JSON object with "schema" first, without the closing brace.
std::string summary_json(const CheckReport& report, const std::string& schema);

}  // namespace wc::tools
