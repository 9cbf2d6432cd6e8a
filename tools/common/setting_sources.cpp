// SPDX-License-Identifier: LGPL-2.1-or-later
// Settings from a file and from the environment, read by Boost.Program_options; only CLI11 validates them.
#include "common/setting_sources.hpp"

#include <algorithm>
#include <boost/program_options.hpp>
#include <cctype>
#include <cerrno>
#include <fstream>

#include "common/command_line.hpp"

namespace wc::tools {
namespace {

namespace po = boost::program_options;

std::string option_name(std::string key) {
  std::transform(key.begin(), key.end(), key.begin(), [](unsigned char character) {
    return character == '_' ? '-' : static_cast<char>(std::tolower(character));
  });
  return key;
}

/// A variable that is empty is one that is not set; an empty value in a file is kept, and refused later.
enum class Empty : bool { skip, keep };

std::vector<std::string> words_of(const po::parsed_options& parsed, Empty empty) {
  std::vector<std::string> words;
  for (const po::option& option : parsed.options)
    for (const std::string& value : option.value)
      if (!value.empty() || empty == Empty::keep) words.push_back("--" + option_name(option.string_key) + "=" + value);
  return words;
}

}  // namespace

std::vector<std::string> words_of_file(const std::string& path) {
  const auto unreadable = [&path] {
    const ErrorCode code = errno == ENOENT   ? ErrorCode::not_found
                           : errno == EACCES ? ErrorCode::permission
                                             : ErrorCode::io;
    return Failure({code, errno, 0, path + ": cannot be read"});
  };
  errno = 0;
  std::ifstream file(path);
  if (!file) throw unreadable();
  try {
    auto words = words_of(po::parse_config_file(file, po::options_description(), true), Empty::keep);
    if (file.bad()) throw unreadable();
    return words;
  } catch (const po::error& problem) {
    throw UsageError(path + ": " + problem.what());
  }
}

std::vector<std::string> words_of_environment(const std::string& prefix) {
  const auto name_of = [&](const std::string& variable) {
    return variable.starts_with(prefix) ? option_name(variable.substr(prefix.size())) : std::string();
  };
  return words_of(po::parse_environment(po::options_description(), name_of), Empty::skip);
}

}  // namespace wc::tools
