// SPDX-License-Identifier: LGPL-2.1-or-later
// The command line of wc-check.
#include "wc-check/options.hpp"

namespace wc::tools {

void add_check_options(CommandLine& line, CheckCommandOptions& options) {
  CLI::App& app = line.app();
  auto* const no_modify =
      app.add_flag("-n,--no-modify", options.no_modify, "Only look; the device is opened read-only (default)");
  auto* const preen =
      app.add_flag("-p,--preen", options.preen, "Repair what loses nothing: free uncommitted and stale entries");
  auto* const repair = app.add_flag("-y,--repair", options.repair, "Repair everything; needs --undo FILE or --no-undo");
  no_modify->excludes(preen, repair);
  preen->excludes(repair);

  line.add_origin("Also check the entries against the size of this device");
  line.add_lvm();
  line.add_block_size("--block-size", options.block_bytes,
                      "Block size that the table line will say, or of the superblock to rebuild");
  auto* const superblock_only =
      app.add_flag("--superblock-only", options.superblock_only, "Do not read the entries")->excludes(preen, repair);

  auto* const undo = app.add_option("--undo", options.undo, "Save every byte to FILE before it is overwritten")
                         ->type_name("FILE")
                         ->excludes(no_modify);
  auto* const no_undo =
      app.add_flag("--no-undo", options.no_undo, "Repair without a way back")->excludes(undo, no_modify);
  auto* const apply_undo =
      app.add_option("--apply-undo", options.apply_undo, "Put back what a repair saved in FILE")->type_name("FILE");

  auto* const rebuild = app.add_flag("--rebuild-superblock", options.rebuild_superblock,
                                     "Work out the superblock from the entries: with -y write it, else show what fits")
                            ->excludes(preen, superblock_only);
  auto* const n_blocks = line.add_parsed(
      "--blocks", options.n_blocks,
      [](const std::string& text) -> std::optional<std::uint64_t> {
        const auto count = parse_count(text);
        if (!count || *count == 0 || *count >= kMaxBlocks) return std::nullopt;
        return count;
      },
      "N", "a number of blocks below 2^47",
      "Number of blocks of the superblock to rebuild, where the device's size cannot tell");
  auto* const seq_count = line.add_parsed(
      "--seq-count", options.seq_count,
      [](const std::string& text) -> std::optional<Sequence> {
        const auto count = parse_count(text);
        if (!count || *count == kFreeSequence) return std::nullopt;
        return count;
      },
      "N", "a sequence below 2^64-1", "Sequence of the superblock to rebuild (default: one above the highest entry)");
  n_blocks->needs(rebuild);
  seq_count->needs(rebuild);

  line.add_parsed(
      "--future", options.future,
      [](const std::string& text) -> std::optional<FuturePolicy> {
        if (text == "drop") return FuturePolicy::drop;
        if (text == "commit") return FuturePolicy::commit;
        return std::nullopt;
      },
      "POLICY", "one of drop, commit",
      "What -y does with entries above the superblock's sequence: drop (default) frees them as an\n"
      "activation would, commit raises the sequence above them");
  line.add_parsed(
      "--memory", options.memory_bytes,
      [](const std::string& text) -> std::optional<std::uint64_t> {
        const auto bytes = parse_bytes(text);
        if (!bytes || *bytes < kMemoryBytesMin) return std::nullopt;
        return bytes;
      },
      "SIZE", "a size of at least 8M", "Memory to use at most, from 8M up (default 64M)");
  line.add_progress();
  auto* const explain = app.add_option("--explain", options.explain,
                                       "Say what LINE means: a kernel or LVM message, or a line of dmsetup status or\n"
                                       "dmsetup table; - reads lines from standard input. Without CACHE")
                            ->type_name("LINE");
  line.make_cache_optional();

  for (auto* const other : {no_modify, preen, repair, superblock_only, undo, no_undo, rebuild}) {
    apply_undo->excludes(other);
    explain->excludes(other);
  }
  explain->excludes(apply_undo);
}

void validate(const CheckCommandOptions& options) {
  if (options.explain) {
    if (!options.common.cache.empty() || options.common.lvm) throw UsageError("--explain takes a line, and no CACHE");
    if (options.explain->empty()) throw UsageError("--explain has an empty line");
    return;
  }
  if (options.common.cache.empty() && !options.common.lvm) throw UsageError("CACHE is required");
  if (options.repair && options.undo.empty() && !options.no_undo) {
    throw UsageError("-y needs --undo FILE, to be able to take the repair back, or --no-undo");
  }
  if ((!options.undo.empty() || options.no_undo) && options.mode() == RepairMode::none) {
    throw UsageError("--undo and --no-undo go with -y or -p");
  }
}

}  // namespace wc::tools
