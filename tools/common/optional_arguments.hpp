// SPDX-License-Identifier: LGPL-2.1-or-later
// The optional arguments of the table line: their names, limits and meaning, and what contradicts itself among them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "writecache/engine.hpp"
#include "writecache/result.hpp"

namespace wc::tools {

/// The words of the driver, which users search for.
inline constexpr const char* kBadArguments = "Bad arguments";
inline constexpr const char* kInvalidBlockSize = "Invalid block size";
inline constexpr const char* kInvalidOptional = "Invalid optional argument";
inline constexpr const char* kWatermarksCrossed = "High watermark must be greater than or equal to low watermark";

struct OptionalArgument {
  const char* name;
  bool is_flag;           ///< takes no number
  std::uint64_t limit;    ///< largest number
  const char* type_name;  ///< of the number, for --help
  const char* help;
};

/// All of them but start_sector, in the order in which the table line shows them.
std::span<const OptionalArgument> optional_arguments() noexcept;
const OptionalArgument* find_optional_argument(std::string_view name) noexcept;

/// The number of an argument that takes one. Errors: invalid_argument, in the driver's words.
Result<std::uint64_t> parse_optional_number(const OptionalArgument& argument, std::string_view text);

/// Arguments by name; flags are 1. Of fua and nofua, one thing with two names, at most one is in it.
using OptionalArguments = std::map<std::string, std::uint64_t>;

/// What contradicts itself, in the driver's words. Nothing: the driver takes them for this type.
std::optional<std::string> contradiction_of(const OptionalArguments& optionals, CacheType type);

}  // namespace wc::tools
