// SPDX-License-Identifier: LGPL-2.1-or-later
// The mapfile: areas in ascending order without a gap, neighbours of one status joined.
#include "wc-flush/ddrescue_map.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "common/text.hpp"
#include "writecache/version.hpp"

namespace wc::tools {
namespace {

constexpr char kFinished = '+';
constexpr char kBad = '-';
constexpr char kUntried = '?';

struct Area {
  std::uint64_t begin;
  std::uint64_t end;
  char status;
};

/// Collects areas of the origin, in ascending order.
class Areas {
 public:
  void add(std::uint64_t begin, std::uint64_t end, char status) {
    if (begin >= end) return;
    if (!areas_.empty() && areas_.back().status == status) {
      areas_.back().end = end;
    } else {
      areas_.push_back({begin, end, status});
    }
  }
  const std::vector<Area>& all() const noexcept { return areas_; }

 private:
  std::vector<Area> areas_;
};

/// Offsets of the origin below which sectors are known; no sum of these overflows.
struct Settled {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

std::uint64_t offset_of(Sector sector, const MapDomain& domain) {
  return sector >= kSectorLimit ? domain.size_bytes : std::min(bytes_of_sectors(sector), domain.size_bytes);
}

Settled settled_part(const DrainReport& report, const MapDomain& domain) {
  Settled settled{0, offset_of(report.settled_until, domain)};
  if (domain.range) {
    settled.begin = offset_of(domain.range->first, domain);
    settled.end = std::min(settled.end, offset_of(domain.range->first + domain.range->count, domain));
    settled.begin = std::min(settled.begin, settled.end);
  }
  return settled;
}

/// What is not bad between two offsets.
void add_between(Areas& areas, const Settled& settled, std::uint64_t begin, std::uint64_t end) {
  const auto clamp = [&](std::uint64_t offset) { return std::clamp(offset, begin, end); };
  areas.add(begin, clamp(settled.begin), kUntried);
  areas.add(clamp(settled.begin), clamp(settled.end), kFinished);
  areas.add(clamp(settled.end), end, kUntried);
}

Areas areas_of(const DrainReport& report, const MapDomain& domain) {
  const Settled settled = settled_part(report, domain);
  Areas areas;
  std::uint64_t position = 0;
  for (const FailedRange& range : report.failed_ranges) {
    // Ranges may overlap where one sector failed in two ways, and may lie beyond the origin's end.
    const std::uint64_t begin = std::max(position, offset_of(range.first, domain));
    const std::uint64_t end = std::max(begin, offset_of(range.first + range.count, domain));
    add_between(areas, settled, position, begin);
    areas.add(begin, end, kBad);
    position = end;
  }
  add_between(areas, settled, position, domain.size_bytes);
  return areas;
}

}  // namespace

DdrescueMap ddrescue_map(const DrainReport& report, const MapDomain& domain) {
  const Areas areas = areas_of(report, domain);
  DdrescueMap map;
  std::uint64_t first_untried = domain.size_bytes;
  for (const Area& area : areas.all()) {
    const std::uint64_t bytes = area.end - area.begin;
    if (area.status == kFinished) map.areas.finished += bytes;
    if (area.status == kBad) map.areas.bad += bytes;
    if (area.status == kUntried) {
      map.areas.untried += bytes;
      first_untried = std::min(first_untried, area.begin);
    }
  }
  const bool is_finished = map.areas.untried == 0;
  const auto out = std::back_inserter(map.text);
  fmt::format_to(out,
                 "# Mapfile. Created by wc-flush (writecache-tools) {}\n"
                 "# Of the origin {}\n"
                 "# + up to date   - block not read from the cache, or not written   ? not tried\n"
                 "# current_pos  current_status  current_pass\n"
                 "{:#010x}     {}               1\n"
                 "#      pos        size  status\n",
                 version(), printable(domain.path), domain.begin_bytes + (is_finished ? 0 : first_untried),
                 is_finished ? kFinished : kUntried);
  for (const Area& area : areas.all()) {
    fmt::format_to(out, "{:#010x}  {:#010x}  {}\n", domain.begin_bytes + area.begin, area.end - area.begin,
                   area.status);
  }
  return map;
}

}  // namespace wc::tools
