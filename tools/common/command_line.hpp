// SPDX-License-Identifier: LGPL-2.1-or-later
// CommandLine: a CLI11 app with the options that all commands share, and their values.
//
// Shape: a command has `struct Options { CommonOptions common; ... }`, makes a
// `CommandLine line("wc-NAME", "summary", options.common)`, adds its own options through `line.app()`
// or the add_* helpers, and hands both to `run_command` (command.hpp). What cannot be said with
// CLI11's needs/excludes is thrown as UsageError, before anything is opened.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/environment.hpp"
#include "common/lvm_report.hpp"
#include "common/numbers.hpp"
#include "writecache/device.hpp"

namespace wc::tools {

/// The command line makes no sense: exit status 16 with a hint to --help.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The command cannot even begin, and its line is not to blame: exit status 8.
class Failure : public std::runtime_error {
 public:
  explicit Failure(Error error) : std::runtime_error(error.message()), error_(std::move(error)) {}
  const Error& error() const noexcept { return error_; }

 private:
  Error error_;
};

enum class ProgressMode : std::uint8_t {
  automatic,  ///< a bar on a terminal, unless --quiet
  always,     ///< a bar on a terminal, lines elsewhere
  never,
  json,  ///< one object a line
};

/// Values of the options that all commands share.
struct CommonOptions {
  std::string cache;  ///< as the user wrote it
  Sector start_sector = 0;
  std::optional<std::string> origin;  ///< as the user wrote it
  Sector origin_start_sector = 0;
  std::optional<LvmName> lvm;  ///< --lvm: stands for the four above
  bool quiet = false;
  unsigned verbosity = 0;
  bool json = false;
  ProgressMode progress = ProgressMode::automatic;

  /// The cache for messages: as the user wrote it.
  std::string cache_name() const { return lvm ? lvm->group + "/" + lvm->volume : cache; }
  /// The same for a command line.
  std::string cache_words() const { return (lvm ? "--lvm " : "") + cache_name(); }
  DeviceSpec cache_spec(Access access) const { return {cache, start_sector, access}; }
  /// Nothing where no origin was given.
  std::optional<DeviceSpec> origin_spec(Access access) const {
    if (!origin) return std::nullopt;
    return DeviceSpec{*origin, origin_start_sector, access};
  }
};

class CommandLine {
 public:
  /// `common` must outlive the command line.
  CommandLine(std::string name, const std::string& summary, CommonOptions& common);
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  CLI::App& app() noexcept { return app_; }
  const std::string& name() const noexcept { return name_; }
  const CommonOptions& common() const noexcept { return common_; }

  /// --origin and --origin-start-sector.
  CLI::Option* add_origin(const std::string& description);
  /// --lvm, which takes the place of CACHE and --origin. Call it after add_origin.
  void add_lvm();
  void add_progress();

  /// An option whose text `parse_text` turns into T, or into nothing for a usage error that names
  /// `expected` ("a size such as 64M").
  template <class Target, class Parse>
  CLI::Option* add_parsed(const std::string& names, Target& target, Parse parse_text, const char* type_name,
                          const std::string& expected, const std::string& description) {
    return app_
        .add_option_function<std::string>(
            names,
            [&target, parse_text, expected, names](const std::string& text) {
              const auto value = parse_text(text);
              if (!value) throw UsageError("`" + text + "` is not " + expected + " (" + names + ")");
              target = *value;
            },
            description)
        ->type_name(type_name);
  }
  template <class Target>
  CLI::Option* add_bytes(const std::string& names, Target& target, const std::string& description) {
    return add_parsed(names, target, parse_bytes, "SIZE", "a size such as 4096, 64M or 8s", description);
  }
  template <class Target>
  CLI::Option* add_sectors(const std::string& names, Target& target, const std::string& description) {
    return add_parsed(names, target, parse_sectors, "N", "a number of sectors below 2^54", description);
  }
  template <class Target>
  CLI::Option* add_count(const std::string& names, Target& target, const std::string& description) {
    return add_parsed(names, target, parse_count, "N", "a whole number", description);
  }
  /// A block size of the format: power of two from 512 to 65536 bytes.
  CLI::Option* add_block_size(const std::string& names, std::optional<std::uint32_t>& target,
                              const std::string& description);

  /// `--name` alone then means `--name=value`: CLI11 would otherwise take the next word, the cache.
  /// Call it for a long option whose value is optional.
  void set_value_if_alone(const std::string& long_option, const std::string& value);

  /// For a command that may learn the cache from elsewhere; it checks that itself.
  void make_cache_optional();

  /// Changes the words of the command line before anything looks at them.
  using Rewriter = std::function<std::vector<std::string>(std::vector<std::string>)>;
  void set_rewriter(Rewriter rewriter) { rewriter_ = std::move(rewriter); }

  /// Throws CLI::Error or UsageError.
  void parse(Arguments arguments);

 private:
  void refuse_odd_switch(const std::string& word) const;

  std::string name_;
  CommonOptions& common_;
  CLI::App app_;
  std::map<std::string, std::string> value_if_alone_;
  bool requires_cache_ = true;
  Rewriter rewriter_;
};

}  // namespace wc::tools
