// SPDX-License-Identifier: LGPL-2.1-or-later
// The command line of wc-run.
#include "wc-run/options.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "common/numbers.hpp"
#include "common/setting_sources.hpp"
#include "common/table_line.hpp"

namespace wc::tools {
namespace {

constexpr const char* kEnvironmentPrefix = "WC_RUN_";
constexpr std::size_t kNameMax = 64;
constexpr const char* kAnyUblk = "any";
constexpr std::uint64_t kUblkNumberMax = (1U << 20) - 1;  // minor numbers of block devices
constexpr std::string_view kNameLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+@-";

using Words = std::vector<std::string>;

std::string dashed(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

/// An option whose text ServerSettings::set understands.
void add_setting(CommandLine& line, ServerSettings& settings, const std::string& name, const char* type_name,
                 const std::string& help) {
  const auto set = [&settings, name](const std::string& text) {
    if (auto problem = settings.set(name, text)) throw UsageError(*problem);
  };
  line.app().add_option_function<std::string>("--" + dashed(name), set, help)->type_name(type_name);
}

void add_switch(CommandLine& line, ServerSettings& settings, const std::string& name, const std::string& names,
                const std::string& help) {
  // CLI11 counts a flag; with TakeLast it is 1, or -1 where it was negated.
  const auto set = [&settings, name](std::int64_t count) {
    static_cast<void>(settings.set(name, count > 0 ? "true" : "false"));
  };
  line.app().add_flag_function(names, set, help);
}

void add_cache_options(CommandLine& line, ServerSettings& settings) {
  add_setting(line, settings, "type", "TYPE", "s, or p for a cache in mapped memory (default p for DAX, else s)");
  add_setting(line, settings, "block_size", "N", "Bytes of a block (default: what the cache says, else 4096)");
  for (const OptionalArgument& argument : optional_arguments()) {
    const std::string name = argument.name;
    if (name == "nofua") continue;
    if (name == "fua") {
      add_switch(line, settings, name, "--fua,!--no-fua", "Write back with FUA or with flushes (type p, default FUA)");
    } else if (argument.is_flag) {
      add_switch(line, settings, name, "--" + dashed(name), argument.help);
    } else {
      add_setting(line, settings, name, argument.type_name, argument.help);
    }
  }
  add_switch(line, settings, "no_overwrite", "--no-overwrite", "Never overwrite a committed block in place (type s)");
  add_switch(line, settings, "read_only", "--read-only", "Serve the merged view; nothing is written to either device");
  add_switch(line, settings, "format", "--format", "Format a blank cache");
  add_setting(line, settings, "length", "N", "Serve this many sectors of the origin (default: all)");
}

/// "any": the kernel chooses a number, or the device is taken over that a killed wc-run left behind.
std::optional<UblkOptions> parse_ublk(const std::string& text) {
  UblkOptions options;
  if (text == kAnyUblk) return options;
  const auto number = parse_count(text);
  if (!number || *number > kUblkNumberMax) return std::nullopt;
  options.number = static_cast<std::uint32_t>(*number);
  return options;
}

void add_ublk_options(CommandLine& line, RunOptions& options) {
  line.add_parsed("--ublk", options.ublk, parse_ublk, "[=N]", "the number of a block device, or any",
                  "Serve as the block device /dev/ublkbN (default: any free N)");
  line.set_value_if_alone("--ublk", kAnyUblk);
  line.app()
      .add_option("--ublk-queues", options.ublk_queues, "Queues of the block device, each with a thread (default 1)")
      ->type_name("N")
      ->check(CLI::Range(1, int{UblkOptions::kQueuesMax}, "N"));
  line.app()
      .add_option("--ublk-depth", options.ublk_depth, "Requests of a queue at once (default 64)")
      ->type_name("N")
      ->check(CLI::Range(1, int{UblkOptions::kDepthMax}, "N"));
}

Words words_of_table(const std::string& table) {
  const auto settings = parse_table_line(table);
  if (!settings) throw UsageError(settings.error().message() + " (--table)");
  Words words;
  for (const auto& [name, text] : *settings)
    words.push_back("--" + (name == "nofua" ? std::string("no-fua") : dashed(name)) + "=" + text);
  return words;
}

/// Calls `found` with the value of each `--name VALUE` or `--name=VALUE`, and `other` with every other word.
template <class Found, class Other>
void scan_words(const Words& words, const std::string& name, Found found, Other other) {
  bool options_ended = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    options_ended = options_ended || words[i] == "--";
    if (!options_ended && words[i] == name && i + 1 < words.size()) {
      found(words[++i]);
    } else if (!options_ended && words[i].starts_with(name + "=")) {
      found(words[i].substr(name.size() + 1));
    } else {
      other(words[i]);
    }
  }
}

Words with_tables_expanded(const Words& words) {
  Words result;
  scan_words(
      words, "--table",
      [&](const std::string& table) {
        const Words expanded = words_of_table(table);
        result.insert(result.end(), expanded.begin(), expanded.end());
      },
      [&](const std::string& word) { result.push_back(word); });
  return result;
}

/// File, then environment, then what was typed: the last word of an option wins.
Words gather_words(Words typed) {
  const Words environment = words_of_environment(kEnvironmentPrefix);
  std::string config;
  const auto ignore = [](const std::string&) {};
  const auto take = [&](const std::string& path) { config = path; };
  scan_words(environment, "--config", take, ignore);
  scan_words(typed, "--config", take, ignore);
  Words words;
  if (!config.empty()) words = words_of_file(config);
  words.insert(words.end(), environment.begin(), environment.end());
  words.insert(words.end(), typed.begin(), typed.end());
  return with_tables_expanded(words);
}

bool is_valid_name(const std::string& name) {
  return !name.empty() && name.size() <= kNameMax && name[0] != '.' && name[0] != '-' &&
         name.find_first_not_of(kNameLetters) == std::string::npos;
}

/// The cache's file name, as far as it can be a name.
std::string default_name(const std::string& cache) {
  std::string name = std::filesystem::path(cache).filename().string().substr(0, kNameMax);
  for (char& character : name)
    if (kNameLetters.find(character) == std::string_view::npos) character = '_';
  if (!is_valid_name(name)) name = "cache" + name;
  return name.substr(0, kNameMax);
}

}  // namespace

void add_run_options(CommandLine& line, RunOptions& options) {
  CLI::App& app = line.app();
  line.make_cache_optional();
  line.set_rewriter(gather_words);
  line.add_origin("Device behind the cache (required, here or in the table line)");
  add_setting(line, options.settings, "cache", "CACHE", "The same as the argument CACHE, for the configuration file");
  line.add_parsed("--nbd", options.nbd, parse_nbd_address, "ADDRESS", "unix:PATH or tcp:[HOST:]PORT",
                  "Serve at unix:PATH (default: in the runtime directory) or tcp:[HOST:]PORT (default host 127.0.0.1)");
  app.add_option("--nbdkit-option", options.nbdkit_options, "One more word for nbdkit, such as --tls=require")
      ->type_name("WORD")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_ublk_options(line, options);
  add_setting(line, options.settings, "name", "NAME", "Name for `wc-run ctl` (default: the cache's file name)");
  add_cache_options(line, options.settings);
  app.add_option("--table", options.table, "A table line of the target writecache, as dmsetup prints it")
      ->type_name("LINE");
  app.add_option("--config", options.config_file, "Read options from a file with lines `name = value`")
      ->type_name("FILE");
  app.footer(
      "An option wins over the environment (WC_RUN_HIGH_WATERMARK=60), that over the file.\n"
      "`wc-run ctl --help` tells how to talk to one that runs.\n\n" +
      app.get_footer());
}

void complete_run_options(RunOptions& options) {
  CommonOptions& common = options.common;
  ServerSettings& settings = options.settings;
  if (!common.cache.empty()) settings.cache = common.cache;
  common.cache = settings.cache;
  if (settings.cache.empty()) throw UsageError("CACHE is required");
  if (!common.origin || common.origin->empty()) throw UsageError("--origin is required");
  settings.origin = *common.origin;
  settings.start_sector = common.start_sector;
  settings.origin_start_sector = common.origin_start_sector;
  if (options.ublk && (options.nbd || !options.nbdkit_options.empty())) {
    throw UsageError("--ublk serves a block device: --nbd and --nbdkit-option do not go with it");
  }
  if (options.ublk) {
    options.ublk->queues = options.ublk_queues;
    options.ublk->depth = options.ublk_depth;
  }
  if (settings.name.empty()) settings.name = default_name(settings.cache);
  if (!is_valid_name(settings.name)) {
    throw UsageError("`" + settings.name + "` is not a name: letters, digits and ._+@- only, at most 64 (--name)");
  }
  const auto cache_path = resolve_tag(settings.cache);
  const CacheType type = settings.type.value_or(guess_type(cache_path ? *cache_path : settings.cache));
  if (auto problem = settings.contradiction(type)) throw UsageError(*problem);
  settings.type = type;
}

}  // namespace wc::tools
