// SPDX-License-Identifier: LGPL-2.1-or-later
// Lines of dmsetup: the status line with its numbers, the table line with its words.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/numbers.hpp"
#include "common/optional_arguments.hpp"
#include "common/status_numbers.hpp"
#include "common/status_words.hpp"
#include "common/table_line.hpp"
#include "wc-check/explanation.hpp"

namespace wc::tools {
namespace {

/// "name: " of a line that dmsetup printed for all devices; takes it off.
std::string take_name(std::vector<std::string>& words) {
  if (words.empty() || !words[0].ends_with(':')) return {};
  std::string name = words[0].substr(0, words[0].size() - 1);
  words.erase(words.begin());
  return name;
}

void add_place(Explanation& explanation, const std::string& name, const std::string& start, const std::string& length) {
  if (!name.empty()) explanation.parts.push_back({"name", name, "of the volume in /dev/mapper"});
  explanation.parts.push_back({"start", start, "sector of the volume where this target begins"});
  const auto sectors = parse_sectors(length);
  explanation.parts.push_back(
      {"length", length, sectors ? "sectors of the volume, " + human_bytes(bytes_of_sectors(*sectors)) : "sectors"});
}

Explanation refused(LineKind kind, const std::string& why, const char* action) {
  return {kind, "dmsetup", why, {}, action};
}

std::string device_meaning(const char* role, const std::string& given, const std::string& path) {
  return given == path ? role : fmt::format("{}: major and minor number of {}", role, path);
}

std::string optional_meaning(const std::string& name, const std::string& text) {
  if (name == "start_sector") return "The cache begins at this sector of its device";
  const OptionalArgument& argument = *find_optional_argument(name);
  const std::string help = argument.help;
  if (std::string_view(argument.type_name) == "MS") {
    return fmt::format("{}; this is {} s", help, static_cast<double>(*parse_count(text)) / 1000);
  }
  return help;
}

const char* type_meaning(const std::string& type) {
  return type == "p" ? "persistent memory: the cache is mapped into memory"
                     : "SSD: the cache is read and written as a block device";
}

/// The command that looks at the cache of a good table line.
std::string check_command(const std::vector<Setting>& settings) {
  std::string start;
  std::string origin;
  std::string cache;
  std::string block_size;
  for (const auto& [name, text] : settings) {
    if (name == "start_sector") start = " --start-sector " + text;
    if (name == "origin") origin = text;
    if (name == "cache") cache = text;
    if (name == "block-size") block_size = text;
  }
  return fmt::format("wc-check --origin {} --block-size {}{} {}", origin, block_size, start, cache);
}

}  // namespace

Explanation explain_status_line(std::string_view line) {
  const auto parsed = parse_status_line(line);
  if (!parsed) {
    return refused(LineKind::unknown, "This is not a status line of a writecache: " + parsed.error().message() + ".",
                   "Paste one whole line of `dmsetup status`.");
  }
  std::vector<std::string> words = split_words(line);
  const std::string name = take_name(words);
  StatusContext context;
  context.has_counters = parsed->count != kOldStatusNumbers;
  const StatusState state = state_of_status(parsed->status, context);
  Explanation explanation{LineKind::status, "dmsetup", state.name + ": " + state.meaning, {}, state.action};
  add_place(explanation, name, words[0], words[1]);
  for (StatusWord& word : words_of_status(parsed->status, context))
    explanation.parts.push_back({std::move(word.name), std::to_string(word.value), std::move(word.meaning)});
  return explanation;
}

Explanation explain_table_line(std::string_view line) {
  std::vector<std::string> words = split_words(line);
  const std::string name = take_name(words);
  // The target may begin anywhere in a volume; the parser is for those that are the whole volume.
  const std::string start = words.empty() ? "" : words[0];
  std::string whole = "0";
  for (std::size_t i = 1; i < words.size(); ++i)
    whole += " " + words[i];
  const auto settings = parse_table_line(whole);
  if (!settings || !parse_count(start)) {
    const std::string why = settings ? std::string(kBadArguments) : settings.error().message();
    return refused(LineKind::table, "The driver refuses this table line: " + why + ".",
                   "Correct the line; `man wc-run` lists the optional arguments with their limits.");
  }
  Explanation explanation{LineKind::table, "dmsetup", "", {}, ""};
  add_place(explanation, name, start, words[1]);
  for (const auto& [key, text] : *settings) {
    if (key == "length") continue;
    if (key == "type") {
      explanation.parts.push_back({"type", text, type_meaning(text)});
    } else if (key == "origin") {
      explanation.parts.push_back({key, words[4], device_meaning("the slow device", words[4], text)});
    } else if (key == "cache") {
      explanation.parts.push_back({key, words[5], device_meaning("the fast device", words[5], text)});
    } else if (key == "block-size") {
      explanation.parts.push_back({"block size", text, "bytes; the superblock of the cache must say the same"});
      explanation.parts.push_back({"words", words[7], "that follow"});
    } else {
      explanation.parts.push_back({key, text == "true" ? "" : text, optional_meaning(key, text)});
    }
  }
  explanation.meaning = fmt::format(
      "A writecache of type {} with {} in front of {}: the volume shows the origin with the cache's newer blocks "
      "over it.",
      (*settings)[1].second, (*settings)[3].second, (*settings)[2].second);
  explanation.action = fmt::format("Never use the origin alone while the cache holds data. Before activation: `{}`.",
                                   check_command(*settings));
  return explanation;
}

}  // namespace wc::tools
