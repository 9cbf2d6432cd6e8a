// SPDX-License-Identifier: LGPL-2.1-or-later
// CommandLine: the options that all commands share.
#include "common/command_line.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "common/numbers.hpp"
#include "writecache/superblock.hpp"
#include "writecache/version.hpp"

namespace wc::tools {
namespace {

/// Shows what an option takes, but not which others it excludes: the manual page tells that.
class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string type = option->get_type_size() == 0 ? std::string() : option->get_type_name();
    return type.empty() ? type : " " + type;
  }
};

}  // namespace

CommandLine::CommandLine(std::string name, const std::string& summary, CommonOptions& common)
    : name_(std::move(name)), common_(common), app_(summary, name_) {
  app_.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  auto formatter = std::make_shared<HelpFormatter>();
  formatter->column_width(34);
  app_.formatter(formatter);
  app_.set_help_flag("-h,--help", "Print this text and exit");
  app_.set_version_flag("--version",
                        name_ + " (writecache-tools) " WC_TOOLS_VERSION ", libwritecache " + std::string(version()),
                        "Print the version and exit");
  app_.footer(
      "Exit status, a sum: 0 fine, 1 problems were corrected, 4 problems remain, 8 the command could\n"
      "not do its work, 16 usage, 32 stopped by a signal. `man " +
      name_ + "` tells the whole story.");
  app_.add_option("CACHE", common_.cache, "Cache device, image, DAX file, or UUID=, PARTUUID=, LABEL=, PARTLABEL=")
      ->required()
      ->type_name("");
  add_sectors("--start-sector", common_.start_sector,
              "The cache begins at this 512-byte sector of CACHE, as in the table line (default 0)");
  app_.add_flag("-q,--quiet", common_.quiet, "No text on standard output; errors are still told");
  app_.add_flag("-v,--verbose", common_.verbosity, "Tell more");
  app_.add_flag("--json", common_.json, "One JSON object on standard output instead of text");
}

CLI::Option* CommandLine::add_origin(const std::string& description) {
  CLI::Option* const origin = app_.add_option("--origin", common_.origin, description)->type_name("ORIGIN");
  add_sectors("--origin-start-sector", common_.origin_start_sector,
              "The origin begins at this 512-byte sector of ORIGIN (default 0)")
      ->needs(origin);
  return origin;
}

void CommandLine::add_lvm() {
  CLI::Option* const lvm = add_parsed("--lvm", common_.lvm, parse_lvm_name, "VG/LV", "a logical volume as VG/LV",
                                      "Find cache and origin of this inactive logical volume in LVM's report,\n"
                                      "instead of CACHE and --origin");
  for (const char* const other : {"CACHE", "--origin", "--start-sector", "--origin-start-sector"})
    lvm->excludes(app_.get_option(other)->required(false));
}

void CommandLine::add_progress() {
  const std::map<std::string, ProgressMode> modes{{"auto", ProgressMode::automatic},
                                                  {"always", ProgressMode::always},
                                                  {"never", ProgressMode::never},
                                                  {"json", ProgressMode::json}};
  add_parsed(
      "--progress", common_.progress,
      [modes](const std::string& text) -> std::optional<ProgressMode> {
        const auto found = modes.find(text);
        if (found == modes.end()) return std::nullopt;
        return found->second;
      },
      "WHEN", "one of auto, always, never, json",
      "Show progress on standard error: auto (default: on a terminal), always, never, or json");
}

CLI::Option* CommandLine::add_block_size(const std::string& names, std::optional<std::uint32_t>& target,
                                         const std::string& description) {
  return add_parsed(
      names, target,
      [](const std::string& text) -> std::optional<std::uint32_t> {
        const auto bytes = parse_bytes(text);
        if (!bytes || !is_valid_block_size(*bytes)) return std::nullopt;
        return static_cast<std::uint32_t>(*bytes);
      },
      "N", "a block size: a power of two from 512 to 65536 bytes", description);
}

void CommandLine::set_value_if_alone(const std::string& long_option, const std::string& value) {
  value_if_alone_[long_option] = value;
}

void CommandLine::make_cache_optional() {
  requires_cache_ = false;
  app_.get_option("CACHE")->required(false);
}

/// CLI11 takes numbers for switches too, and fails on other words without naming the switch.
void CommandLine::refuse_odd_switch(const std::string& word) const {
  constexpr std::array<std::string_view, 6> kValues{"true", "false", "yes", "no", "on", "off"};
  const std::size_t end = word.find('=');
  if (end == std::string::npos) return;
  const CLI::Option* const option = app_.get_option_no_throw(word.substr(0, end));
  if (option == nullptr || (option->get_type_size() != 0 && option->get_expected_max() != 0)) return;
  const std::string value = word.substr(end + 1);
  if (parse_count(value)) return;  // how often it is given
  if (std::find(kValues.begin(), kValues.end(), value) != kValues.end()) return;
  throw UsageError("`" + value + "` is not one of true, false (" + word.substr(0, end) + ")");
}

void CommandLine::parse(Arguments arguments) {
  std::vector<std::string> given(arguments.begin(), arguments.end());
  if (rewriter_) given = rewriter_(std::move(given));
  std::vector<std::string> words;
  bool options_ended = false;
  for (std::string& word : given) {
    options_ended = options_ended || word == "--";
    if (!options_ended && word.starts_with("--")) {
      // CLI11 would take the next word as the value of `--name=`.
      if (word.ends_with('=') && word.find('=') == word.size() - 1) {
        throw UsageError(word.substr(0, word.size() - 1) + " has an empty value");
      }
      refuse_odd_switch(word);
      const auto found = value_if_alone_.find(word);
      if (found != value_if_alone_.end()) word += "=" + found->second;
    }
    words.push_back(std::move(word));
  }
  std::reverse(words.begin(), words.end());  // CLI11 wants the last word first
  app_.parse(std::move(words));
  if (common_.lvm) return;
  if (requires_cache_ && app_.count("CACHE") == 0) throw UsageError("CACHE is required");
  if (requires_cache_ && common_.cache.empty()) throw UsageError("CACHE is empty");
}

}  // namespace wc::tools
