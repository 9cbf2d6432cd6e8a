// SPDX-License-Identifier: LGPL-2.1-or-later
// wc-check: opens, calls the library, reports, and works out the exit status.
#include "wc-check/command.hpp"

#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/command.hpp"
#include "common/device_options.hpp"
#include "common/files.hpp"
#include "common/progress.hpp"
#include "common/text.hpp"
#include "wc-check/conclusion.hpp"
#include "wc-check/explain.hpp"
#include "wc-check/options.hpp"
#include "wc-check/report.hpp"

namespace wc::tools {
namespace {

/// The largest block the driver of this machine takes.
std::uint32_t page_bytes() {
  const long bytes = ::sysconf(_SC_PAGESIZE);
  return static_cast<std::uint32_t>(std::clamp(bytes, 4096L, static_cast<long>(kMaxBlockBytes)));
}

/// The undo file of a repair. A new one that holds nothing to put back does not stay behind.
class UndoFile {
 public:
  UndoFile() = default;
  ~UndoFile() {
    if (!log_) return;
    const auto size = log_->size_bytes();
    const bool is_empty = size && *size == 0;
    log_.reset();
    if (is_new_ && (is_empty || is_unused_)) ::unlink(path_.c_str());
  }
  UndoFile(const UndoFile&) = delete;
  UndoFile& operator=(const UndoFile&) = delete;

  /// Refuses a file that is one of the devices.
  Result<void> open(Environment& environment, const std::string& path, UndoFileMode mode, const Devices& devices) {
    for (const std::string* device : {&devices.cache_path(), &devices.origin_path()}) {
      if (!device->empty() && is_same_file(path, *device)) {
        return Error{ErrorCode::invalid_argument, 0, 0, "is the device itself (name another file for --undo)"};
      }
    }
    path_ = path;
    is_new_ = !exists(path);
    auto log = environment.open_undo_file(path, mode);
    if (!log) return log.error();
    log_ = std::move(*log);
    return {};
  }

  UndoLog* log() noexcept { return log_.get(); }

  /// The repair is over and has changed nothing.
  void set_unused() noexcept { is_unused_ = true; }

 private:
  std::string path_;
  bool is_new_ = false;
  bool is_unused_ = false;
  std::unique_ptr<UndoLog> log_;
};

int apply(Console& console, const CheckCommandOptions& options, Devices& devices) {
  UndoFile undo;
  const auto opened = undo.open(console.environment(), options.apply_undo, UndoFileMode::read, devices);
  if (!opened) return console.fail(options.apply_undo, opened.error());
  ProgressPrinter progress(console);
  const auto restored = apply_undo(devices.port(), *undo.log(), progress);
  progress.finish();
  if (!restored) {
    // What cannot be right is the undo file; what fails is the device.
    const bool is_about_file = restored.error().code == ErrorCode::invalid_argument;
    return console.fail(is_about_file ? options.apply_undo : devices.cache_path(), restored.error());
  }
  if (options.common.json) {
    console.print_json({{"restored_bytes", *restored}});
  } else if (*restored == 0) {
    console.text("{}: {} holds nothing to put back\n", printable(devices.cache_path()), printable(options.apply_undo));
  } else {
    console.text("{}: put back {} bytes from {}\n", printable(devices.cache_path()), *restored,
                 printable(options.apply_undo));
  }
  console.text("{}\n", conclusion_of_undo(options, *restored));
  return *restored == 0 ? kExitFine : kExitCorrected;
}

int exit_status(const CheckCommandOptions& options, const CheckReport& report) {
  int status = kExitFine;
  if (report.corrected != 0) status |= kExitCorrected;
  const bool has_problems =
      options.mode() == RepairMode::repair ? has_errors(report.remaining) : has_errors(report.findings);
  if (has_problems) status |= kExitRemaining;
  return status;
}

int check_or_repair(Console& console, const CheckCommandOptions& options, Devices& devices,
                    std::optional<std::uint32_t> table_block_bytes) {
  UndoFile undo;
  if (!options.undo.empty()) {
    const auto opened = undo.open(console.environment(), options.undo, UndoFileMode::save, devices);
    if (!opened) return console.fail(options.undo, opened.error());
  }
  CheckOptions check_options;
  check_options.mode = options.mode();
  check_options.future = options.future;
  check_options.superblock_only = options.superblock_only;
  check_options.rebuild_superblock = options.rebuild_superblock;
  check_options.table_block_bytes = options.block_bytes ? options.block_bytes : table_block_bytes;
  check_options.rebuild_n_blocks = options.n_blocks;
  check_options.rebuild_seq_count = options.seq_count;
  check_options.memory_bytes = options.memory_bytes;
  check_options.page_bytes = page_bytes();
  check_options.undo = undo.log();

  ProgressPrinter progress(console);
  const auto report = check(devices.port(), check_options, progress);
  progress.finish();
  if (!report) {
    const int status = console.fail(devices.cache_path(), report.error());
    if (options.mode() != RepairMode::none) {
      console.error(devices.cache_path(), "the repair may be unfinished (run the same command again)");
    }
    return status;
  }
  if (report->corrected == 0) undo.set_unused();
  if (options.common.json) {
    print_json(console, *report);
  } else {
    print_text(console, options, {devices.cache_path(), devices.port().info(DeviceId::cache).size_bytes}, *report);
  }
  return exit_status(options, *report);
}

int run_check(Console& console, const CheckCommandOptions& options) {
  validate(options);
  if (options.explain) return run_explain(console, *options.explain);
  const bool writes = options.mode() != RepairMode::none || !options.apply_undo.empty();
  DeviceUse use;
  use.cache = writes ? Access::write_exclusive : Access::read_shared;
  const auto located = locate_devices(console, use);
  if (!located) return console.fail(options.common.cache_name(), located.error());
  const auto devices = open_located(console, *located);
  if (!devices) return console.fail(located->name, devices.error());
  if (!options.apply_undo.empty()) return apply(console, options, **devices);
  return check_or_repair(console, options, **devices, located->block_bytes);
}

}  // namespace

int wc_check_main(Arguments arguments, Environment& environment) {
  CheckCommandOptions options;
  CommandLine line("wc-check", "Checks and repairs a dm-writecache cache device, and tells what activation would do.",
                   options.common);
  add_check_options(line, options);
  return run_command(line, arguments, environment, [&](Console& console) { return run_check(console, options); });
}

}  // namespace wc::tools
