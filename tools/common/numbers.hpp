// SPDX-License-Identifier: LGPL-2.1-or-later
// Numbers of the command line: sizes with units, sectors, counts and ranges of sectors.
//
// Every parser takes the whole text or nothing: no sign, blank, fraction or trailing word, no
// overflow. They return std::nullopt for what they do not take; the caller words the complaint.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "writecache/drain.hpp"
#include "writecache/units.hpp"

namespace wc::tools {

/// A plain decimal number.
std::optional<std::uint64_t> parse_count(std::string_view text);

/// Bytes: a number with an optional unit: K, M, G, T (powers of 1024, either case) or s (sectors).
std::optional<std::uint64_t> parse_bytes(std::string_view text);

/// Sectors: a plain number or one with `s` counts sectors, one with K, M, G or T counts bytes and must
/// be whole sectors. Below kSectorLimit.
std::optional<Sector> parse_sectors(std::string_view text);

/// "SECTOR+COUNT", or "SECTOR" where `default_count` is given. COUNT is at least 1 and the end not
/// above kSectorLimit.
std::optional<SectorRange> parse_range(std::string_view text, std::optional<Sector> default_count = std::nullopt);

}  // namespace wc::tools
