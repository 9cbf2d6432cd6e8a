// SPDX-License-Identifier: LGPL-2.1-or-later
// Words and numbers for humans.
#include "common/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace wc::tools {

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr std::array<const char*, 6> kUnits{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_percent(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "0 %";
  const double share = 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  if (part != 0 && share < 1) return "under 1 %";
  if (part < whole && share > 99) return "over 99 %";
  return fmt::format("{:.0f} %", share);
}

std::string human_seconds(double seconds) {
  constexpr double kMax = 359'999'999;  // beyond that the exact number says nothing
  const auto whole = static_cast<std::uint64_t>(std::clamp(seconds, 0.0, kMax) + 0.5);
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string counted(std::uint64_t count, std::string_view singular, std::string_view plural) {
  return fmt::format("{} {}", count, count == 1 ? singular : plural);
}

std::string printable(std::string_view text) {
  std::string result;
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte < 0x20 || byte == 0x7f) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += character;
    }
  }
  return result;
}

std::string shell_word(const std::string& text) {
  if (text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./=:,+@%-") ==
      std::string::npos) {
    return text;
  }
  std::string quoted = "'";
  for (const char character : text)
    quoted += character == '\'' ? std::string("'\\''") : std::string(1, character);
  return quoted + "'";
}

std::vector<std::string> split_words(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  for (const char character : line) {
    if (std::isspace(static_cast<unsigned char>(character)) == 0) {
      word += character;
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

namespace {

/// The words of a text; what stands between two backquotes is one, so that a command can be pasted.
std::vector<std::string> unbroken_words(std::string_view text) {
  std::vector<std::string> result;
  bool is_inside = false;
  for (const std::string& word : split_words(text)) {
    if (is_inside) {
      result.back() += " " + word;
    } else {
      result.push_back(word);
    }
    if (std::count(word.begin(), word.end(), '`') % 2 != 0) is_inside = !is_inside;
  }
  return result;
}

}  // namespace

std::string wrapped(std::string_view text, std::size_t indent, std::size_t used_columns) {
  constexpr std::size_t kColumns = 80;
  std::string result;
  std::size_t column = used_columns;
  bool begins_line = true;
  for (const std::string& word : unbroken_words(text)) {
    if (!begins_line && column + 1 + word.size() > kColumns) {
      result += "\n" + std::string(indent, ' ');
      column = indent;
      begins_line = true;
    }
    if (!begins_line) {
      result += ' ';
      ++column;
    }
    result += word;
    column += word.size();
    begins_line = false;
  }
  return result + "\n";
}

std::string text_rows(std::span<const TextRow> rows) {
  constexpr std::size_t kValueColumnsMax = 20;  // a longer value moves only its own meaning
  std::size_t name_columns = 0;
  std::size_t value_columns = 0;
  for (const TextRow& row : rows) {
    name_columns = std::max(name_columns, row.name.size());
    if (row.value.size() <= kValueColumnsMax) value_columns = std::max(value_columns, row.value.size());
  }
  const std::size_t indent = 2 + name_columns + 2 + value_columns + 2;
  std::string text;
  for (const TextRow& row : rows) {
    const bool is_number = !row.value.empty() && row.value.find_first_not_of("0123456789") == std::string::npos;
    std::string line = fmt::format("  {:<{}}  ", row.name, name_columns);
    line += is_number ? fmt::format("{:>{}}  ", row.value, value_columns)
                      : fmt::format("{:<{}}  ", row.value, value_columns);
    if (row.meaning.empty()) line.erase(line.find_last_not_of(' ') + 1);
    text += line + wrapped(row.meaning, indent, line.size());
  }
  return text;
}

}  // namespace wc::tools
