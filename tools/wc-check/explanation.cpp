// SPDX-License-Identifier: LGPL-2.1-or-later
// Which kind of line a pasted one is.
#include "wc-check/explanation.hpp"

#include <algorithm>
#include <cctype>

#include "common/numbers.hpp"

namespace wc::tools {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return result;
}

/// Which line of dmsetup it is: "[NAME:] START LENGTH writecache ...".
LineKind kind_of_dmsetup_line(std::string_view line) {
  std::vector<std::string> words = split_words(line);
  if (!words.empty() && words[0].ends_with(':')) words.erase(words.begin());
  if (words.size() < 3 || lower(words[2]) != "writecache" || !parse_count(words[0]) || !parse_count(words[1])) {
    return LineKind::unknown;
  }
  const bool has_number = words.size() > 3 && words[3].find_first_not_of("-0123456789") == std::string::npos;
  return has_number || words.size() == 3 ? LineKind::status : LineKind::table;
}

}  // namespace

const char* to_string(LineKind kind) noexcept {
  switch (kind) {
    case LineKind::message:
      return "message";
    case LineKind::status:
      return "status";
    case LineKind::table:
      return "table";
    case LineKind::unknown:
      break;
  }
  return "unknown";
}

std::optional<Explanation> explain_line(std::string_view line) {
  if (const LineKind kind = kind_of_dmsetup_line(line); kind != LineKind::unknown) {
    return kind == LineKind::status ? explain_status_line(line) : explain_table_line(line);
  }
  if (auto message = explain_message(line)) return message;
  if (lower(line).find("writecache") == std::string::npos) return std::nullopt;
  return Explanation{
      LineKind::unknown, "", "This line speaks of a writecache, but is none that is known here.", {}, ""};
}

}  // namespace wc::tools
