// SPDX-License-Identifier: LGPL-2.1-or-later
// The command line of wc-flush.
#include "wc-flush/options.hpp"

#include <utility>

#include "wc-flush/config_file.hpp"

namespace wc::tools {

void add_flush_options(CommandLine& line, FlushCommandOptions& options) {
  CLI::App& app = line.app();
  DrainOptions& drain = options.drain;
  line.make_cache_optional();
  line.set_rewriter([&options](const std::vector<std::string>& typed) {
    ConfiguredWords configured = words_with_config(typed);
    options.configured_cache = std::move(configured.cache);
    return std::move(configured.words);
  });
  line.add_origin("Device that the dirty blocks belong on (required, here or in the file)");
  app.add_option("--config", options.config_file, "Read from wc-run's configuration file where cache and origin are")
      ->type_name("FILE");
  line.add_lvm();
  auto* const dry_run = app.add_flag("--dry-run", drain.dry_run, "Count only; both devices are opened read-only");
  app.add_flag("--keep", drain.keep, "Write the blocks but leave the cache as it is");
  app.add_flag("--verify", drain.verify, "Read every block back from the origin before its entry is freed");
  line.add_parsed(
      "--uncommitted", drain.uncommitted,
      [](const std::string& text) -> std::optional<UncommittedPolicy> {
        if (text == "drop") return UncommittedPolicy::drop;
        if (text == "flush") return UncommittedPolicy::flush;
        return std::nullopt;
      },
      "POLICY", "one of drop, flush",
      "Blocks of the last, unfinished commit: drop (default, as the driver does) or flush");
  line.add_parsed(
      "--beyond-end", drain.beyond_end,
      [](const std::string& text) -> std::optional<BeyondEndPolicy> {
        if (text == "fail") return BeyondEndPolicy::fail;
        if (text == "skip") return BeyondEndPolicy::skip;
        return std::nullopt;
      },
      "POLICY", "one of fail, skip",
      "Blocks beyond the end of the origin: fail (default: nothing is written) or skip them");
  line.add_parsed(
      "--rate", drain.rate_bytes_per_second,
      [](const std::string& text) -> std::optional<std::uint64_t> {
        const auto bytes = parse_bytes(text);
        if (!bytes || *bytes == 0) return std::nullopt;
        return bytes;
      },
      "BYTES", "a size of at least 1", "Write at most this much to the origin per second, such as 50M");
  line.add_parsed(
      "--queue-depth", drain.queue_depth,
      [](const std::string& text) -> std::optional<unsigned> {
        const auto count = parse_count(text);
        if (!count || *count == 0 || *count > 1024) return std::nullopt;
        return static_cast<unsigned>(*count);
      },
      "N", "a number from 1 to 1024", "Writes in flight (default 64)");
  line.add_parsed(
      "--range", drain.range, [](const std::string& text) { return parse_range(text); }, "SECTOR+COUNT",
      "SECTOR+COUNT with a count of at least 1", "Only blocks that touch these sectors of the origin");
  app.add_option("--ddrescue-map", options.ddrescue_map,
                 "Write a mapfile of GNU ddrescue to FILE: which parts of the origin are up to date (+),\n"
                 "which are not (-), which were not tried (?)")
      ->type_name("FILE")
      ->excludes(dry_run);
  app.add_flag("--skip-check", drain.skip_check, "Go on although wc-check would report errors");
  line.add_progress();
}

void complete_flush_options(FlushCommandOptions& options) {
  CommonOptions& common = options.common;
  if (common.lvm) return;
  if (common.cache.empty()) common.cache = options.configured_cache;
  if (common.cache.empty()) throw UsageError("CACHE is required");
  if (!common.origin || common.origin->empty()) throw UsageError("--origin is required");
}

}  // namespace wc::tools
