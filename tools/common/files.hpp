// SPDX-License-Identifier: LGPL-2.1-or-later
// Small questions about files that the library does not answer.
#pragma once

#include <cstdint>
#include <string>

namespace wc::tools {

/// True if both name the same file, or block devices of the same number.
bool is_same_file(const std::string& one, const std::string& other);

/// True if something, even a dangling link, has this name.
bool exists(const std::string& path);

bool is_block_device(const std::string& path);

/// Of a cache that has dirty blocks and is_hole_from() its data on.
inline constexpr const char* kMetadataAlone =
    "has entries but no data at all: an image of metadata alone (wc-dump --image) is no cache to read from (where all "
    "blocks really are zeros: cp --sparse=never)";

/// True if a regular file is one hole from `offset_bytes` to its end, as an image of metadata alone is.
bool is_hole_from(const std::string& path, std::uint64_t offset_bytes);

}  // namespace wc::tools
