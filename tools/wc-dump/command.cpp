// SPDX-License-Identifier: LGPL-2.1-or-later
// wc-dump: opens read-only, asks the library, prints.
#include "wc-dump/command.hpp"

#include <fmt/format.h>
#include <langinfo.h>
#include <locale.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/command.hpp"
#include "common/device_options.hpp"
#include "common/output_file.hpp"
#include "common/progress.hpp"
#include "common/text.hpp"
#include "wc-dump/entry_lines.hpp"
#include "wc-dump/map_picture.hpp"
#include "wc-dump/options.hpp"
#include "wc-dump/report.hpp"
#include "writecache/check.hpp"
#include "writecache/dump.hpp"

namespace wc::tools {
namespace {

/// Shows no progress, but stops when told to.
class Silent final : public Observer {
 public:
  explicit Silent(Environment& environment) : environment_(environment) {}
  bool is_cancelled() const noexcept override { return environment_.is_cancelled(); }

 private:
  Environment& environment_;
};

/// Standard output, or the file of -o.
class Output {
 public:
  explicit Output(Console& console) : console_(console) {}

  Result<void> open(const std::string& path, std::span<const std::string> sources) {
    auto file = OutputFile::create(path, sources);
    if (!file) return file.error();
    file_ = std::move(*file);
    return {};
  }
  bool is_file() const noexcept { return file_ != nullptr; }

  Result<void> write(std::string_view text) {
    if (file_) return file_->write(text);
    console_.environment().out.write(text.data(), static_cast<std::streamsize>(text.size()));
    return console_.output_state();
  }
  Result<void> commit() { return file_ ? file_->commit() : Result<void>{}; }

 private:
  Console& console_;
  std::unique_ptr<OutputFile> file_;
};

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_damaged(const CheckReport& report) noexcept {
  return std::any_of(report.findings.begin(), report.findings.end(),
                     [](const Finding& finding) { return finding.severity == Severity::error; });
}

bool is_damaged(const EntryCounts& counts) noexcept {
  return counts.future != 0 || counts.identical != 0 || counts.misaligned != 0 || counts.out_of_range != 0 ||
         counts.beyond_origin != 0;
}

MapShades shades_of_locale() {
  const locale_t locale = ::newlocale(LC_CTYPE_MASK, "", locale_t{});
  if (locale == locale_t{}) return MapShades::ascii;
  const bool is_utf8 = std::string_view(::nl_langinfo_l(CODESET, locale)) == "UTF-8";
  ::freelocale(locale);
  return is_utf8 ? MapShades::blocks : MapShades::ascii;
}

/// One run of the command on an open device.
class DumpCommand {
 public:
  DumpCommand(Console& console, const DumpCommandOptions& options, Devices& devices)
      : console_(console), options_(options), devices_(devices), port_(devices.port()), output_(console) {}

  int run();

 private:
  enum class Depth : std::uint8_t { superblock, entries };

  Result<void> open_output();
  Result<CheckReport> examine(Depth depth);
  Result<void> show(const CheckReport& report);
  Result<void> show_summary(const CheckReport& report);
  Result<void> show_json(const CheckReport& report);
  Result<void> show_lines(const CheckReport& report);
  Result<void> show_block();
  Result<void> show_merged(const CheckReport& report);
  Result<void> show_map(const CheckReport& report);
  Result<void> write_image();
  void tell_findings(const CheckReport& report);
  int fail(const Error& error);

  bool needs_entries() const noexcept { return !options_.lists_entries() && !options_.block; }
  ByteSink raw_output() {
    return [this](std::span<const std::byte> data) { return output_.write(text_of(data)); };
  }

  Console& console_;
  const DumpCommandOptions& options_;
  Devices& devices_;
  IoPort& port_;
  Output output_;
  std::unique_ptr<Observer> observer_;
  std::string failed_path_;  ///< where it is not the cache
  std::optional<CheckReport> second_look_;
  bool json_has_begun_ = false;
};

Result<void> DumpCommand::open_output() {
  if (options_.output.empty()) return {};
  const std::array sources{devices_.cache_path(), devices_.origin_path()};
  auto opened = output_.open(options_.output, sources);
  if (!opened) failed_path_ = options_.output;
  return opened;
}

Result<CheckReport> DumpCommand::examine(Depth depth) {
  CheckOptions check_options;
  check_options.memory_bytes = options_.memory_bytes;
  check_options.superblock_only = depth == Depth::superblock;
  return check(port_, check_options, *observer_);
}

Result<void> DumpCommand::show_summary(const CheckReport& report) {
  if (console_.options().quiet) return {};
  return output_.write(summary_text(report, devices_.cache_path(), port_.info(DeviceId::cache).size_bytes));
}

Result<void> DumpCommand::show_json(const CheckReport& report) {
  json_has_begun_ = true;
  if (auto written = output_.write(summary_json(report, console_.schema())); !written) return written;
  if (options_.lists_entries() && is_readable(report)) {
    if (auto written = output_.write(",\n  \"entries\": ["); !written) return written;
    EntryLines lines(LineFormat::json, [&](std::string_view text) { return output_.write(text); });
    auto listed = list_entries(
        port_, options_.list_options(), [&](std::span<const ListedEntry> batch) { return lines.add(batch); },
        *observer_);
    if (!listed) return listed.error();
    if (auto written = lines.finish(); !written) return written;
    if (auto written = output_.write("\n  ]"); !written) return written;
  }
  return output_.write("\n}\n");
}

// The fast path: the listing's own counts say whether a closer look is worth another scan.
Result<void> DumpCommand::show_lines(const CheckReport& report) {
  if (!is_readable(report)) {
    if (!options_.csv) return show_summary(report);
    return Error{ErrorCode::not_a_cache, 0, 0, "the superblock does not tell where the entries are"};
  }
  EntryLines lines(options_.csv ? LineFormat::csv : LineFormat::text,
                   [&](std::string_view text) { return output_.write(text); });
  const auto listed = list_entries(
      port_, options_.list_options(), [&](std::span<const ListedEntry> batch) { return lines.add(batch); }, *observer_);
  if (!listed) return listed.error();
  if (auto written = lines.finish(); !written) return written;
  if (listed->counts && !is_damaged(*listed->counts)) return {};
  auto again = examine(Depth::entries);
  if (!again) return again.error();
  second_look_ = std::move(*again);
  return {};
}

Result<void> DumpCommand::show_block() { return read_block(port_, *options_.block, raw_output()); }

Result<void> DumpCommand::show_merged(const CheckReport& report) {
  SectorRange range = *options_.read;
  if (range.count == 0) {
    const Sector origin_sectors = sectors_of_bytes(port_.info(DeviceId::origin).size_bytes);
    const Sector left = origin_sectors - std::min(range.first, origin_sectors);
    const Sector per_block = report.geometry ? report.geometry->sectors_per_block() : 1;
    range.count = std::clamp<Sector>(left, 1, per_block);
  }
  return read_merged(port_, range.first, range.count, options_.memory_bytes, raw_output(), *observer_);
}

Result<void> DumpCommand::show_map(const CheckReport& report) {
  const bool is_svg = options_.map == MapStyle::svg;
  const auto map = dirty_map(port_, is_svg ? kSvgMapCells : kTextMapCells, options_.memory_bytes, *observer_);
  if (!map) return map.error();
  const MapFacts facts{report.geometry->block_bytes, port_.info(DeviceId::origin).present, report.geometry->n_blocks,
                       report.geometry->n_blocks - report.counts.free, report.superblock->seq_count};
  return output_.write(is_svg ? map_as_svg(*map, facts) : map_as_text(*map, facts, shades_of_locale()));
}

Result<void> DumpCommand::write_image() {
  const std::array sources{devices_.cache_path(), devices_.origin_path()};
  auto file = OutputFile::create(options_.image, sources);
  if (!file || !(*file)->is_seekable()) {
    failed_path_ = options_.image;
    if (!file) return file.error();
    return Error{ErrorCode::invalid_argument, 0, 0, "is not a regular file, which an image must be"};
  }
  std::uint64_t written_bytes = 0;
  const std::uint64_t device_bytes = port_.info(DeviceId::cache).size_bytes;
  const auto sink = [&](std::uint64_t offset_bytes, std::span<const std::byte> data) -> Result<void> {
    auto written = (*file)->write_at(offset_bytes, text_of(data));
    if (!written) failed_path_ = options_.image;
    written_bytes += data.size();
    return written;
  };
  if (auto dumped = dump_image(port_, sink, *observer_); !dumped) return dumped;
  auto done = (*file)->set_size(device_bytes);
  if (done) done = (*file)->commit();
  if (!done) {
    failed_path_ = options_.image;
    return done;
  }
  console_.text("{}: {} bytes of metadata in a sparse image of {} bytes\n", printable(options_.image), written_bytes,
                device_bytes);
  return {};
}

Result<void> DumpCommand::show(const CheckReport& report) {
  if (options_.block) return show_block();
  if (options_.read) return show_merged(report);
  if (options_.map && is_readable(report)) return show_map(report);
  if (!options_.image.empty() && (is_readable(report) || is_damaged(report))) return write_image();
  if (options_.map || !options_.image.empty()) {
    return Error{ErrorCode::not_a_cache, 0, 0, "the superblock does not tell where the entries are"};
  }
  if (console_.options().json) return show_json(report);
  return options_.lists_entries() ? show_lines(report) : show_summary(report);
}

void DumpCommand::tell_findings(const CheckReport& report) {
  for (const Finding& finding : report.findings) {
    if (finding.severity != Severity::error) continue;
    console_.error(devices_.cache_path(), fmt::format("{}: {}", to_string(finding.code), finding.message));
  }
}

int DumpCommand::fail(const Error& error) {
  const std::string path = failed_path_.empty() ? devices_.cache_path() : failed_path_;
  // A reader that went away has nobody to tell.
  if (!console_.environment().out.good() && !output_.is_file()) return kExitFailure;
  if (!json_has_begun_ || output_.is_file()) return console_.fail(path, error);
  console_.error(path, error.message());
  return error.code == ErrorCode::cancelled ? kExitCancelled : kExitFailure;
}

int DumpCommand::run() {
  if (auto opened = open_output(); !opened) return fail(opened.error());
  const bool mixes_with_progress = console_.environment().out_is_terminal && !output_.is_file();
  if (mixes_with_progress) {
    observer_ = std::make_unique<Silent>(console_.environment());
  } else {
    observer_ = std::make_unique<ProgressPrinter>(console_);
  }
  // A listing finds damaged entries by itself; JSON needs the counts before the entries.
  const bool looks_at_entries = needs_entries() || console_.options().json;
  const auto report = examine(looks_at_entries ? Depth::entries : Depth::superblock);
  if (!report) return fail(report.error());
  if (!is_writecache(*report)) {
    observer_.reset();
    if (!report->superblock) {
      return fail({ErrorCode::not_a_cache, 0, 0, "not a writecache: too small to hold a superblock"});
    }
    return fail({ErrorCode::not_a_cache, 0, 0, "not a writecache (is --start-sector right?)"});
  }
  auto shown = show(*report);
  if (shown) {
    shown = output_.commit();
    if (!shown) failed_path_ = options_.output;
  }
  observer_.reset();
  const CheckReport& last = second_look_ ? *second_look_ : *report;
  tell_findings(last);
  int status = has_errors(last.findings) ? kExitRemaining : kExitFine;
  if (!shown) status |= fail(shown.error());
  return status;
}

int run_dump(Console& console, const DumpCommandOptions& options) {
  validate(options);
  DeviceUse use;
  use.needs_origin = options.read.has_value();
  const auto located = locate_devices(console, use);
  if (!located) return console.fail(options.common.cache_name(), located.error());
  const auto opened = open_located(console, *located);
  if (!opened) return console.fail(located->name, opened.error());
  return DumpCommand(console, options, **opened).run();
}

}  // namespace

int wc_dump_main(Arguments arguments, Environment& environment) {
  DumpCommandOptions options;
  CommandLine line("wc-dump", "Shows what is in a dm-writecache cache, without changing it.", options.common);
  add_dump_options(line, options);
  return run_command(line, arguments, environment, [&](Console& console) { return run_dump(console, options); });
}

}  // namespace wc::tools
