// SPDX-License-Identifier: LGPL-2.1-or-later
// The command line of wc-format.
#include "wc-format/options.hpp"

#include "writecache/superblock.hpp"

namespace wc::tools {

void add_format_options(CommandLine& line, FormatCommandOptions& options) {
  CLI::App& app = line.app();
  line.add_block_size("--block-size", options.block_bytes,
                      "Block size in bytes (default 4096, or smaller if the origin's file system needs it)");
  auto* const n_blocks = line.add_parsed(
      "--blocks", options.n_blocks,
      [](const std::string& text) -> std::optional<std::uint64_t> {
        const auto count = parse_count(text);
        if (!count || *count == 0 || *count >= kMaxBlocks) return std::nullopt;
        return count;
      },
      "N", "a number of blocks below 2^47", "Number of blocks (default: as many as fit)");
  auto* const force =
      app.add_flag("--force", options.force, "Overwrite a foreign signature or a writecache without dirty blocks");
  app.add_flag("--discard-dirty", options.discard_dirty,
               "With --force: also a writecache with dirty blocks, which are LOST")
      ->needs(force);
  auto* const wipe =
      app.add_flag("--wipe", options.wipe, "Zero the first 4 KiB instead: the driver formats at its first activation")
          ->excludes(n_blocks);
  app.add_flag("--dry-run", options.dry_run, "Make all checks, write nothing");
  app.add_option("--from-dump", options.from_dump,
                 "Restore the entries from this output of `wc-dump --json --entries=all`")
      ->type_name("FILE")
      ->excludes(wipe);
  line.add_origin("Choose or verify the block size for the file system on this device");
  line.add_progress();
}

}  // namespace wc::tools
