// SPDX-License-Identifier: LGPL-2.1-or-later
// The 14 numbers of the driver's status line: their names, their order, and the parser of a pasted line.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "writecache/engine.hpp"
#include "writecache/result.hpp"

namespace wc::tools {

struct StatusNumber {
  const char* name;
  const char* help;  ///< one line, for those who know the rest
  bool is_counter;   ///< counts events; the others are states
  std::uint64_t EngineStatus::*member;
};
/// In the order of the driver's status line.
std::span<const StatusNumber> status_numbers() noexcept;

/// What older drivers print: the first four.
inline constexpr std::size_t kOldStatusNumbers = 4;

struct StatusLine {
  Sector length = 0;      ///< of the device, in sectors
  std::size_t count = 0;  ///< how many numbers the line has: 14, or kOldStatusNumbers
  EngineStatus status;
};

/// "[NAME:] START LEN writecache N1 ... N14". Errors: invalid_argument.
Result<StatusLine> parse_status_line(std::string_view line);

}  // namespace wc::tools
