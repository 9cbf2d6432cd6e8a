// SPDX-License-Identifier: LGPL-2.1-or-later
// wc-format: opens, asks libblkid what is there, calls the library, reports.
#include "wc-format/command.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/command.hpp"
#include "common/device_options.hpp"
#include "common/files.hpp"
#include "common/progress.hpp"
#include "common/text.hpp"
#include "wc-format/dump_reader.hpp"
#include "wc-format/options.hpp"
#include "writecache/format.hpp"

namespace wc::tools {
namespace {

constexpr std::uint32_t kDefaultBlockBytes = 4096;

Error refusal(ErrorCode code, std::string text) { return Error{code, 0, 0, std::move(text)}; }

/// What the device is going to hold, from options, dump and origin.
struct Plan {
  std::uint32_t block_bytes = kDefaultBlockBytes;
  std::optional<std::uint64_t> n_blocks;
  Sequence seq_count = 0;
};

/// The numbers of the dump, unless options replace them.
Result<void> use_dump(const FormatCommandOptions& options, const DumpSummary& dump, Plan& plan) {
  const bool takes_size = !options.block_bytes;
  const bool takes_blocks = !options.n_blocks;
  if (takes_size && !is_valid_block_size(dump.block_bytes)) {
    return refusal(ErrorCode::invalid_argument, "its superblock has a bad block size (give --block-size)");
  }
  if (takes_blocks && (dump.n_blocks == 0 || dump.n_blocks >= kMaxBlocks)) {
    return refusal(ErrorCode::invalid_argument, "its superblock has a bad number of blocks (give --blocks)");
  }
  if (dump.seq_count == kFreeSequence) {
    return refusal(ErrorCode::invalid_argument, "its superblock has a sequence that no cache can have");
  }
  if (takes_size) plan.block_bytes = dump.block_bytes;
  if (takes_blocks) plan.n_blocks = dump.n_blocks;
  plan.seq_count = dump.seq_count;
  if (dump.last_index && *dump.last_index >= *plan.n_blocks) {
    return refusal(ErrorCode::invalid_argument,
                   fmt::format("lists entry {}, but the cache is to have {} (give a larger --blocks)", *dump.last_index,
                               counted(*plan.n_blocks, "block", "blocks")));
  }
  return {};
}

/// A file system cannot be used through a cache whose blocks are larger than its own sectors.
Result<void> use_origin(Console& console, const FormatCommandOptions& options, bool is_chosen, Plan& plan) {
  const auto signature = console.environment().probe_signature(*options.common.origin_spec(Access::read_shared));
  if (!signature) return signature.error();
  if (!*signature || !is_valid_block_size((*signature)->sector_bytes)) return {};
  const Signature& found = **signature;
  if (!is_chosen) {
    plan.block_bytes = std::min(kDefaultBlockBytes, found.sector_bytes);
    return {};
  }
  if (plan.block_bytes > found.sector_bytes && !options.force) {
    return refusal(ErrorCode::invalid_argument,
                   fmt::format("holds {}, which uses sectors of {} bytes: blocks of {} are too large for it (give "
                               "--block-size {}, or --force)",
                               describe(found), found.sector_bytes, plan.block_bytes, found.sector_bytes));
  }
  return {};
}

/// What the driver or another program would complain about.
Result<void> check_device(Console& console, const FormatCommandOptions& options, Devices& devices, const Plan& plan) {
  const auto page_bytes = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PAGESIZE), 4096L));
  if (plan.block_bytes > page_bytes && !options.force) {
    return refusal(
        ErrorCode::invalid_argument,
        fmt::format("the driver of this machine takes blocks up to its page size, {} bytes, not {} (--force if "
                    "the cache is for another machine)",
                    page_bytes, plan.block_bytes));
  }
  const std::uint32_t logical = devices.port().info(DeviceId::cache).logical_block_bytes;
  if (is_block_device(devices.cache_path()) && plan.block_bytes < logical) {
    return refusal(
        ErrorCode::invalid_argument,
        fmt::format("its logical blocks have {} bytes: the driver refuses blocks of {} (give --block-size {})", logical,
                    plan.block_bytes, logical));
  }
  const auto signature = console.environment().probe_signature(options.common.cache_spec(Access::read_shared));
  if (!signature) return signature.error();
  if (*signature && !options.force) {
    return refusal(ErrorCode::busy,
                   fmt::format("holds {}, which would be lost (--force overwrites it)", describe(**signature)));
  }
  return {};
}

/// Adds what the administrator can do to the library's refusals.
Error with_advice(Error error) {
  if (error.code == ErrorCode::dirty) error.context += "; --force --discard-dirty gives them up";
  if (error.code == ErrorCode::busy) error.context += " (--force formats it again)";
  return error;
}

void print_report(Console& console, const FormatCommandOptions& options, const std::string& path, const Plan& plan,
                  const FormatReport& report) {
  const std::string verb = options.dry_run ? "would be" : "is";
  if (options.wipe) {
    console.text("{}: the first 4 KiB {} zero: the driver formats it at its first activation\n", printable(path), verb);
    return;
  }
  const Geometry& geometry = report.geometry;
  console.text("{}: {} a writecache of {} of {} bytes ({}), data at byte {}, seq_count {}\n", printable(path),
               options.dry_run ? "would become" : "is", counted(geometry.n_blocks, "block", "blocks"),
               geometry.block_bytes, human_bytes(geometry.n_blocks * geometry.block_bytes), geometry.data_offset_bytes,
               report.seq_count);
  if (!options.from_dump.empty()) {
    console.text("  entries {} restored from {}; the data blocks stay as they are (run wc-check)\n",
                 options.dry_run ? "would be" : "are", printable(options.from_dump));
  }
  if (report.destroyed_live != 0) {
    console.text("  {} of the old cache {} lost\n", counted(report.destroyed_live, "dirty block", "dirty blocks"),
                 options.dry_run ? "would be" : "are");
  }
  if (console.is_verbose()) {
    console.text(
        "  table line: 0 LENGTH writecache s ORIGIN {} {} {}\n", printable(path), plan.block_bytes,
        options.common.start_sector == 0 ? "0" : fmt::format("2 start_sector {}", options.common.start_sector));
  }
}

void print_json(Console& console, const FormatCommandOptions& options, const Plan& plan, const FormatReport& report) {
  Geometry geometry = report.geometry;
  if (options.wipe) {  // what the driver is going to make of it
    geometry = Geometry{plan.block_bytes, 0, 0};
    const auto blocks = capacity_blocks(report.device_bytes, plan.block_bytes);
    if (blocks) {
      const auto made = make_geometry(report.device_bytes, plan.block_bytes, *blocks);
      if (made) geometry = *made;
    }
  }
  console.print_json({{"block_size", geometry.block_bytes},
                      {"n_blocks", geometry.n_blocks},
                      {"metadata_bytes", geometry.n_blocks == 0 ? 0 : geometry.metadata_bytes()},
                      {"data_offset", geometry.data_offset_bytes},
                      {"device_bytes", report.device_bytes},
                      {"start_sector", options.common.start_sector},
                      {"seq_count", report.seq_count}});
}

int run_format(Console& console, const FormatCommandOptions& options) {
  Plan plan;
  plan.n_blocks = options.n_blocks;
  if (options.block_bytes) plan.block_bytes = *options.block_bytes;

  std::unique_ptr<DumpReader> entries;
  if (!options.from_dump.empty()) {
    const auto summary = DumpReader::check_file(options.from_dump);
    if (!summary) return console.fail(options.from_dump, summary.error());
    const auto usable = use_dump(options, *summary, plan);
    if (!usable) return console.fail(options.from_dump, usable.error());
    auto reader = DumpReader::open(options.from_dump);
    if (!reader) return console.fail(options.from_dump, reader.error());
    entries = std::move(*reader);
  }

  OpenOptions open_options;
  open_options.cache = options.common.cache_spec(options.dry_run ? Access::read_shared : Access::write_exclusive);
  // What is written is not read again soon: the page cache would only be filled with it. Past it an image has the
  // logical block of the disk below, which small blocks may not fit.
  constexpr std::uint32_t kLargestLogicalBlock = 4096;
  if (plan.block_bytes >= kLargestLogicalBlock && !options.common.origin) {
    open_options.cache.direct = DirectIo::always;
  }
  open_options.origin = options.common.origin_spec(Access::read_shared);
  const auto opened = console.environment().open_devices(open_options);
  if (!opened) return console.fail(options.common.cache, opened.error());
  Devices& devices = **opened;
  if (options.common.origin) {
    const bool is_chosen = options.block_bytes || entries != nullptr;
    const auto fits = use_origin(console, options, is_chosen, plan);
    if (!fits) return console.fail(devices.origin_path(), fits.error());
  }
  const auto checked = check_device(console, options, devices, plan);
  if (!checked) return console.fail(devices.cache_path(), checked.error());

  FormatOptions format_options;
  format_options.block_bytes = plan.block_bytes;
  format_options.n_blocks = plan.n_blocks;
  format_options.overwrite = !options.force          ? Overwrite::nothing
                             : options.discard_dirty ? Overwrite::dirty_cache
                                                     : Overwrite::clean_cache;
  format_options.wipe = options.wipe;
  format_options.dry_run = options.dry_run;
  format_options.entries = entries.get();
  format_options.seq_count = plan.seq_count;

  ProgressPrinter progress(console);
  const auto report = format(devices.port(), format_options, progress);
  progress.finish();
  if (!report) return console.fail(devices.cache_path(), with_advice(report.error()));
  if (options.common.json) {
    print_json(console, options, plan, *report);
  } else {
    print_report(console, options, devices.cache_path(), plan, *report);
  }
  return kExitFine;
}

}  // namespace

int wc_format_main(Arguments arguments, Environment& environment) {
  FormatCommandOptions options;
  CommandLine line("wc-format", "Makes an empty dm-writecache cache, or one with the entries of a dump.",
                   options.common);
  add_format_options(line, options);
  return run_command(line, arguments, environment, [&](Console& console) { return run_format(console, options); });
}

}  // namespace wc::tools
