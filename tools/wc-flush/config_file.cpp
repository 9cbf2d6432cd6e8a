// SPDX-License-Identifier: LGPL-2.1-or-later
// The devices of a configuration file that was made for wc-run.
#include "wc-flush/config_file.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "common/command_line.hpp"
#include "common/setting_sources.hpp"

namespace wc::tools {
namespace {

constexpr std::array<std::string_view, 3> kWhere{"start-sector", "origin", "origin-start-sector"};

/// How a cache is served. A test compares the list with what wc-run knows.
constexpr std::array<std::string_view, 29> kServing{"nbd",
                                                    "nbdkit-option",
                                                    "ublk",
                                                    "ublk-queues",
                                                    "ublk-depth",
                                                    "name",
                                                    "type",
                                                    "block-size",
                                                    "length",
                                                    "high-watermark",
                                                    "low-watermark",
                                                    "writeback-jobs",
                                                    "autocommit-time",
                                                    "max-age",
                                                    "cleaner",
                                                    "metadata-only",
                                                    "autocommit-blocks",
                                                    "fua",
                                                    "no-fua",
                                                    "nofua",
                                                    "no-overwrite",
                                                    "pause-writeback",
                                                    "format",
                                                    "quiet",
                                                    "verbose",
                                                    "json",
                                                    "progress"};

template <class Names>
bool contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

ConfiguredWords words_of_config(const std::string& path) {
  ConfiguredWords result;
  for (const std::string& word : words_of_file(path)) {
    const std::size_t end = word.find('=');
    const std::string name = word.substr(2, end - 2);
    if (contains(kWhere, name)) {
      result.words.push_back(word);
    } else if (name == "cache") {
      result.cache = word.substr(end + 1);
    } else if (name == "table") {
      throw UsageError(path + ": a table line is for wc-run only (give origin, cache and where they start)");
    } else if (name == "read-only") {
      throw UsageError(path + ": says read-only, but a drain writes (give --origin and CACHE instead of --config)");
    } else if (!contains(kServing, name)) {
      throw UsageError(path + ": `" + name + "` is no setting of wc-run");
    }
  }
  return result;
}

}  // namespace

ConfiguredWords words_with_config(const std::vector<std::string>& typed) {
  static constexpr std::string_view kOption = "--config";
  std::vector<std::string> others;
  std::string path;
  for (std::size_t i = 0; i < typed.size(); ++i) {
    if (typed[i] == "--") {
      others.insert(others.end(), typed.begin() + static_cast<std::ptrdiff_t>(i), typed.end());
      break;
    }
    if (typed[i] == kOption && i + 1 < typed.size()) {
      path = typed[++i];
    } else if (typed[i].starts_with(std::string(kOption) + "=")) {
      path = typed[i].substr(kOption.size() + 1);
    } else {
      others.push_back(typed[i]);
    }
  }
  ConfiguredWords result;
  if (!path.empty()) result = words_of_config(path);
  result.words.insert(result.words.end(), others.begin(), others.end());
  return result;
}

}  // namespace wc::tools
