// SPDX-License-Identifier: LGPL-2.1-or-later
// The optional arguments of the table line.
#include "common/optional_arguments.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "common/numbers.hpp"

namespace wc::tools {
namespace {

constexpr std::uint64_t kPercentMax = 100;
constexpr std::uint64_t kCountMax = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kAutocommitMsMax = 3'600'000;
constexpr std::uint64_t kMaxAgeMsMax = 86'400'000;
constexpr std::uint64_t kPauseMsMax = 60'000;

constexpr std::array<OptionalArgument, 11> kOptionals{{
    {"high_watermark", false, kPercentMax, "PERCENT", "Write back from this many used blocks on (default 50)"},
    {"low_watermark", false, kPercentMax, "PERCENT", "Stop writing back at this many used blocks (default 45)"},
    {"writeback_jobs", false, kCountMax, "N", "Blocks being written back at once (default 0: no limit)"},
    {"autocommit_blocks", false, kCountMax, "N", "Commit after this many blocks (default 65536, type p 64)"},
    {"autocommit_time", false, kAutocommitMsMax, "MS", "Commit after this many milliseconds (default 1000)"},
    {"max_age", false, kMaxAgeMsMax, "MS", "Write back blocks that are older than this (default: none)"},
    {"cleaner", true, 1, "", "Write everything back and cache no more writes"},
    {"metadata_only", true, 1, "", "Cache only what is marked as metadata; NBD marks nothing"},
    {"fua", true, 1, "", "Write back with FUA writes (type p, the default)"},
    {"nofua", true, 1, "", "Write back with flushes rather than FUA (type p)"},
    {"pause_writeback", false, kPauseMsMax, "MS", "Rest this long after a write to the origin (type s, default 3000)"},
}};

}  // namespace

std::span<const OptionalArgument> optional_arguments() noexcept { return kOptionals; }

const OptionalArgument* find_optional_argument(std::string_view name) noexcept {
  const auto found = std::find_if(kOptionals.begin(), kOptionals.end(),
                                  [&](const OptionalArgument& argument) { return name == argument.name; });
  return found == kOptionals.end() ? nullptr : &*found;
}

Result<std::uint64_t> parse_optional_number(const OptionalArgument& argument, std::string_view text) {
  const auto value = parse_count(text);
  if (value && *value <= argument.limit) return *value;
  return Error{ErrorCode::invalid_argument, 0, 0,
               std::string(kInvalidOptional) + ": " + argument.name + " takes a number from 0 to " +
                   std::to_string(argument.limit)};
}

std::optional<std::string> contradiction_of(const OptionalArguments& optionals, CacheType type) {
  const auto number = [&](const char* name, std::uint64_t otherwise) {
    const auto found = optionals.find(name);
    return found == optionals.end() ? otherwise : found->second;
  };
  const EngineOptions defaults;
  if (number("high_watermark", defaults.high_watermark_percent) <
      number("low_watermark", defaults.low_watermark_percent)) {
    return kWatermarksCrossed;
  }
  const bool is_pmem = type == CacheType::pmem;
  if (is_pmem && optionals.contains("pause_writeback")) {
    return std::string(kInvalidOptional) + ": pause_writeback is for type s only";
  }
  if (!is_pmem && (optionals.contains("fua") || optionals.contains("nofua"))) {
    return std::string(kInvalidOptional) + ": fua and nofua are for type p only";
  }
  return std::nullopt;
}

}  // namespace wc::tools
