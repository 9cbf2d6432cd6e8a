// SPDX-License-Identifier: LGPL-2.1-or-later
// The summary that wc-dump shows of a cache.
#include "wc-dump/report.hpp"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/report_json.hpp"
#include "common/text.hpp"

namespace wc::tools {
namespace {

class Lines {
 public:
  explicit Lines(std::string heading) : out_(std::move(heading)) {}

  template <class... Args>
  void add(std::string_view name, fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), "  {:<14}", name);
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
    out_ += '\n';
  }
  void heading(std::string_view words) { fmt::format_to(std::back_inserter(out_), "{}\n", words); }

  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

void add_counts(Lines& lines, const EntryCounts& counts, std::uint32_t block_bytes) {
  lines.heading("entries");
  lines.add("live", "{} ({} dirty)", counts.live, human_bytes(counts.live * block_bytes));
  lines.add("stale", "{}", counts.stale);
  lines.add("uncommitted", "{}", counts.uncommitted);
  lines.add("future", "{}", counts.future);
  lines.add("free", "{}", counts.free);
  if (counts.identical != 0) lines.add("identical", "{} of them", counts.identical);
  if (counts.misaligned != 0) lines.add("misaligned", "{} of them", counts.misaligned);
  if (counts.out_of_range != 0) lines.add("out of range", "{} of them", counts.out_of_range);
  if (counts.beyond_origin != 0) lines.add("beyond origin", "{} of them", counts.beyond_origin);
}

}  // namespace

bool is_readable(const CheckReport& report) noexcept {
  return report.geometry && report.superblock->magic == kMagic && report.superblock->version == kVersion;
}

bool is_writecache(const CheckReport& report) noexcept {
  if (!report.superblock || report.verdict == Verdict::blank) return false;
  return report.superblock->magic == kMagic || report.geometry || !report.candidates.empty();
}

std::string summary_text(const CheckReport& report, std::string_view path, std::uint64_t device_bytes) {
  const Superblock& superblock = *report.superblock;
  Lines lines(printable(path) + "\n");
  lines.heading("superblock");
  lines.add("magic", "{:#010x}", superblock.magic);
  lines.add("version", "{}", superblock.version);
  lines.add("block size", "{} bytes", superblock.block_size);
  lines.add("blocks", "{}", superblock.n_blocks);
  lines.add("seq_count", "{}", superblock.seq_count);
  lines.heading("geometry");
  if (report.geometry) {
    const Geometry& geometry = *report.geometry;
    const std::uint64_t data_bytes = geometry.end_bytes() - geometry.data_offset_bytes;
    lines.add("metadata", "{} bytes", geometry.metadata_bytes());
    lines.add("data", "{} bytes ({}) from byte {}", data_bytes, human_bytes(data_bytes), geometry.data_offset_bytes);
  } else {
    lines.add("none", "the superblock gives no valid one");
  }
  lines.add("device", "{} bytes ({})", device_bytes, human_bytes(device_bytes));
  if (is_readable(report)) add_counts(lines, report.counts, report.geometry->block_bytes);
  return lines.take();
}

std::string summary_json(const CheckReport& report, const std::string& schema) {
  nlohmann::ordered_json object{{"schema", schema},
                                {"superblock", superblock_json(*report.superblock, report.geometry)},
                                {"counts", counts_json(report.counts)},
                                {"dirty_bytes", 0U}};
  if (is_readable(report)) object["dirty_bytes"] = report.counts.live * report.geometry->block_bytes;
  std::string text = object.dump(2);
  text.resize(text.rfind('\n'));
  return text;
}

}  // namespace wc::tools
