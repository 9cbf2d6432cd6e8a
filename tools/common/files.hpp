// SPDX-License-Identifier: LGPL-2.1-or-later
// Small questions about files that the library does not answer.
#pragma once

#include <string>

namespace wc::tools {

/// True if both name the same file, or block devices of the same number.
bool is_same_file(const std::string& one, const std::string& other);

/// True if something, even a dangling link, has this name.
bool exists(const std::string& path);

bool is_block_device(const std::string& path);

}  // namespace wc::tools
