// SPDX-License-Identifier: LGPL-2.1-or-later
// wc-flush: opens both devices, calls the library, reports what reached the origin.
#include "wc-flush/command.hpp"

#include <fmt/format.h>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/command.hpp"
#include "common/device_options.hpp"
#include "common/files.hpp"
#include "common/output_file.hpp"
#include "common/progress.hpp"
#include "common/text.hpp"
#include "wc-flush/ddrescue_map.hpp"
#include "wc-flush/options.hpp"
#include "writecache/check.hpp"
#include "writecache/drain.hpp"

namespace wc::tools {
namespace {

constexpr std::size_t kRangesShown = 16;
constexpr double kNsPerSecond = 1e9;

double seconds_of(const DrainReport& report) { return static_cast<double>(report.nanoseconds) / kNsPerSecond; }

void print_json(Console& console, const DrainReport& report) {
  auto ranges = nlohmann::ordered_json::array();
  for (const FailedRange& range : report.failed_ranges) {
    ranges.push_back({{"sector", range.first}, {"count", range.count}, {"error", range.error}});
  }
  console.print_json({{"blocks_total", report.blocks_total},
                      {"blocks_written", report.blocks_written},
                      {"bytes_written", report.bytes_written},
                      {"blocks_failed", report.blocks_failed},
                      {"failed_ranges", ranges},
                      {"entries_freed", report.entries_freed},
                      {"seconds", seconds_of(report)}});
}

void print_text(Console& console, const FlushCommandOptions& options, const Devices& devices,
                const DrainReport& report) {
  const std::string cache = printable(devices.cache_path());
  const std::string origin = printable(devices.origin_path());
  if (options.drain.dry_run) {
    console.text("{}: {} would be written to {}\n", cache,
                 counted(report.blocks_total - report.blocks_failed, "block", "blocks"), origin);
    return;
  }
  const double seconds = seconds_of(report);
  std::string rate;
  if (seconds > 0 && report.bytes_written != 0) {
    rate = fmt::format(", {}/s",
                       human_bytes(static_cast<std::uint64_t>(static_cast<double>(report.bytes_written) / seconds)));
  }
  console.text("{}: {} of {} written to {} ({} in {:.1f} s{})\n", cache, report.blocks_written,
               counted(report.blocks_total, "block", "blocks"), origin, human_bytes(report.bytes_written), seconds,
               rate);
  if (options.drain.keep) {
    console.text("the cache still holds them (--keep)\n");
  } else {
    console.text("{} freed\n", counted(report.entries_freed, "entry", "entries"));
  }
}

/// Lost ranges are told even under --quiet: they are why the exit status is not 0.
void print_failures(Console& console, const Devices& devices, const DrainReport& report) {
  if (report.blocks_failed == 0) return;
  const bool tells_all = console.is_verbose();
  std::size_t shown = 0;
  for (const FailedRange& range : report.failed_ranges) {
    if (shown == kRangesShown && !tells_all) break;
    console.error(devices.origin_path(),
                  fmt::format("sectors {}+{} are not up to date: {}", range.first, range.count, range.error));
    ++shown;
  }
  if (shown < report.failed_ranges.size()) {
    console.error(devices.origin_path(), fmt::format("and {} more (-v or --json lists them)",
                                                     counted(report.failed_ranges.size() - shown, "range", "ranges")));
  }
  const std::uint64_t unreadable = report.blocks_failed - report.blocks_beyond;
  if (unreadable != 0) {
    console.error(devices.cache_path(),
                  fmt::format("{} only in the cache (run the command again once the devices are readable)",
                              counted(unreadable, "block is still", "blocks are still")));
  }
  if (report.blocks_beyond != 0) {
    console.error(devices.cache_path(),
                  fmt::format("{} to places behind the end of the origin (give it back its size, or name the right "
                              "origin; wc-check -y --origin ORIGIN --undo FILE gives them up)",
                              counted(report.blocks_beyond, "block belongs", "blocks belong")));
  }
}

/// The file of --ddrescue-map: begun before anything is written, so that a name that cannot be is told in time. Without
/// save() a file of that name stays as it is.
class MapFile {
 public:
  Result<void> open(const std::string& path, const Devices& devices) {
    if (path.empty()) return {};
    const std::array sources{devices.cache_path(), devices.origin_path()};
    auto file = OutputFile::create(path, sources);
    if (!file) return file.error();
    file_ = std::move(*file);
    path_ = path;
    return {};
  }

  Result<void> save(Console& console, const DrainReport& report, const MapDomain& domain) {
    if (!file_) return {};
    const DdrescueMap map = ddrescue_map(report, domain);
    if (auto written = file_->write(map.text); !written) return written;
    if (auto committed = file_->commit(); !committed) return committed;
    console.text("{}: of the origin {} are up to date, {} are not, {} were not tried\n", printable(path_),
                 human_bytes(map.areas.finished), human_bytes(map.areas.bad), human_bytes(map.areas.untried));
    return {};
  }

 private:
  std::string path_;
  std::unique_ptr<OutputFile> file_;
};

int exit_status(const FlushCommandOptions& options, const DrainReport& report) {
  int status = kExitFine;
  if (report.blocks_failed != 0) status |= kExitRemaining;
  if (report.cancelled) {
    status |= kExitCancelled;
    if (!options.drain.dry_run && report.blocks_written < report.blocks_total) status |= kExitRemaining;
  }
  return status;
}

/// Draining an image that wc-dump made would write zeros over good data.
Result<void> refuse_metadata_alone(Devices& devices, const DeviceSpec& cache, const DrainOptions& options) {
  if (options.dry_run) return {};
  CheckOptions check_options;
  check_options.superblock_only = true;
  Observer observer;
  const auto checked = check(devices.port(), check_options, observer);
  if (!checked || !checked->geometry) return {};  // drain() tells why
  const std::uint64_t data_at = bytes_of_sectors(cache.start_sector) + checked->geometry->data_offset_bytes;
  if (!is_hole_from(devices.cache_path(), data_at)) return {};
  DrainOptions count_only = options;
  count_only.dry_run = true;
  const auto counted = drain(devices.port(), devices.clock(), count_only, observer);
  if (!counted || counted->blocks_total == 0) return {};
  return Error{ErrorCode::not_a_cache, 0, 0, kMetadataAlone};
}

int run_flush(Console& console, FlushCommandOptions& options) {
  complete_flush_options(options);
  const DrainOptions& drain_options = options.drain;
  DeviceUse use;
  use.cache = drain_options.dry_run || drain_options.keep ? Access::read_shared : Access::write_exclusive;
  use.origin = drain_options.dry_run ? Access::read_shared : Access::write_exclusive;
  use.needs_origin = true;
  // What is written need not stay in memory. The cache's image may be there already, and is read once.
  use.origin_direct = DirectIo::always;
  const auto located = locate_devices(console, use);
  if (!located) return console.fail(options.common.cache_name(), located.error());
  const auto opened = open_located(console, *located);
  if (!opened) return console.fail(located->name, opened.error());
  Devices& devices = **opened;
  MapFile map_file;
  if (auto begun = map_file.open(options.ddrescue_map, devices); !begun) {
    return console.fail(options.ddrescue_map, begun.error());
  }

  if (auto refused = refuse_metadata_alone(devices, located->options.cache, drain_options); !refused) {
    return console.fail(devices.cache_path(), refused.error());
  }
  ProgressPrinter progress(console);
  const auto report = drain(devices.port(), devices.clock(), drain_options, progress);
  progress.finish();
  if (!report) {
    const Error& error = report.error();
    if (error.code == ErrorCode::damaged) return console.fail(devices.cache_path(), error, kExitRemaining);
    return console.fail(devices.cache_path(), error);
  }
  if (options.common.json) {
    print_json(console, *report);
  } else {
    print_text(console, options, devices, *report);
  }
  const MapDomain domain{devices.origin_path(), bytes_of_sectors(located->options.origin->start_sector),
                         devices.port().info(DeviceId::origin).size_bytes, drain_options.range};
  const auto saved = map_file.save(console, *report, domain);
  print_failures(console, devices, *report);
  if (report->cancelled) {
    console.error(devices.cache_path(), "stopped by a signal; what was written is safe (run it again to go on)");
  }
  const int status = exit_status(options, *report);
  return saved ? status : status | console.fail(options.ddrescue_map, saved.error());
}

}  // namespace

int wc_flush_main(Arguments arguments, Environment& environment) {
  FlushCommandOptions options;
  CommandLine line("wc-flush", "Writes the dirty blocks of a dm-writecache cache to its origin, then frees them.",
                   options.common);
  add_flush_options(line, options);
  return run_command(line, arguments, environment, [&](Console& console) { return run_flush(console, options); });
}

}  // namespace wc::tools
