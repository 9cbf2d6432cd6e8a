// SPDX-License-Identifier: LGPL-2.1-or-later
// Words and numbers for humans.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace wc::tools {

/// "512 B", "4.0 KiB", "1.5 TiB".
std::string human_bytes(std::uint64_t bytes);

/// "0:07", "12:30", "3:02:11".
std::string human_seconds(double seconds);

/// "1 block", "2 blocks".
std::string counted(std::uint64_t count, std::string_view singular, std::string_view plural);

/// Text from a device or file name for a terminal: control characters become \xNN.
std::string printable(std::string_view text);

}  // namespace wc::tools
