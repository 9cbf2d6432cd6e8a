// SPDX-License-Identifier: LGPL-2.1-or-later
// Numbers of the command line.
#include "common/numbers.hpp"

#include <charconv>
#include <limits>
#include <system_error>

#include "writecache/superblock.hpp"

namespace wc::tools {
namespace {

struct Quantity {
  std::uint64_t value = 0;
  char unit = '\0';  ///< one of K M G T s, or none
};

std::optional<Quantity> split_unit(std::string_view text) {
  Quantity result;
  const char* const end = text.data() + text.size();
  const auto [behind, problem] = std::from_chars(text.data(), end, result.value);
  if (problem != std::errc{} || behind == text.data()) return std::nullopt;
  if (behind == end) return result;
  if (end - behind != 1) return std::nullopt;
  switch (*behind) {
    case 'K':
    case 'k':
      result.unit = 'K';
      break;
    case 'M':
    case 'm':
      result.unit = 'M';
      break;
    case 'G':
    case 'g':
      result.unit = 'G';
      break;
    case 'T':
    case 't':
      result.unit = 'T';
      break;
    case 's':
      result.unit = 's';
      break;
    default:
      return std::nullopt;
  }
  return result;
}

constexpr unsigned shift_of(char unit) {
  switch (unit) {
    case 'K':
      return 10;
    case 'M':
      return 20;
    case 'G':
      return 30;
    case 'T':
      return 40;
    case 's':
      return kSectorShift;
    default:
      return 0;
  }
}

std::optional<std::uint64_t> bytes_of(const Quantity& quantity) {
  const unsigned shift = shift_of(quantity.unit);
  if (quantity.value > (std::numeric_limits<std::uint64_t>::max() >> shift)) return std::nullopt;
  return quantity.value << shift;
}

}  // namespace

std::optional<std::uint64_t> parse_count(std::string_view text) {
  const auto quantity = split_unit(text);
  if (!quantity || quantity->unit != '\0') return std::nullopt;
  return quantity->value;
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  const auto quantity = split_unit(text);
  if (!quantity) return std::nullopt;
  return bytes_of(*quantity);
}

std::optional<Sector> parse_sectors(std::string_view text) {
  const auto quantity = split_unit(text);
  if (!quantity) return std::nullopt;
  Sector sectors = quantity->value;
  if (quantity->unit != '\0' && quantity->unit != 's') {
    const auto bytes = bytes_of(*quantity);
    if (!bytes || *bytes % kSectorBytes != 0) return std::nullopt;
    sectors = sectors_of_bytes(*bytes);
  }
  if (sectors >= kSectorLimit) return std::nullopt;
  return sectors;
}

std::optional<SectorRange> parse_range(std::string_view text, std::optional<Sector> default_count) {
  const std::size_t plus = text.find('+');
  const auto first = parse_sectors(text.substr(0, plus));
  const auto count = plus == std::string_view::npos ? default_count : parse_sectors(text.substr(plus + 1));
  if (!first || !count || *count == 0 || *count > kSectorLimit - *first) return std::nullopt;
  return SectorRange{*first, *count};
}

}  // namespace wc::tools
