// SPDX-License-Identifier: LGPL-2.1-or-later
// Explanation: what a pasted line says, piece by piece, and what to do. One function for each kind of line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/text.hpp"

namespace wc::tools {

enum class LineKind : std::uint8_t {
  message,  ///< of the kernel driver, or of LVM
  status,   ///< `dmsetup status`
  table,    ///< `dmsetup table`
  unknown,  ///< speaks of a writecache, but nobody knows what it says
};
const char* to_string(LineKind kind) noexcept;

struct Explanation {
  LineKind kind = LineKind::unknown;
  std::string source;          ///< "kernel", "lvm", "dmsetup"; empty where unknown
  std::string meaning;         ///< in plain words
  std::vector<TextRow> parts;  ///< the numbers and words of the line
  std::string action;          ///< what to do
};

/// A message of the driver or of LVM, with or without what dmesg, syslog and LVM put in front of it.
std::optional<Explanation> explain_message(std::string_view line);

/// Lines of dmsetup, with or without the device's name in front; bad ones are explained as what is wrong with them.
Explanation explain_status_line(std::string_view line);
Explanation explain_table_line(std::string_view line);

/// Any line. Nothing: it has nothing to do with a writecache.
std::optional<Explanation> explain_line(std::string_view line);

}  // namespace wc::tools
