// SPDX-License-Identifier: LGPL-2.1-or-later
// Words and numbers for humans.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wc::tools {

/// "512 B", "4.0 KiB", "1.5 TiB".
std::string human_bytes(std::uint64_t bytes);

/// "38 %"; only none is "0 %" and only all is "100 %".
std::string human_percent(std::uint64_t part, std::uint64_t whole);

/// "0:07", "12:30", "3:02:11".
std::string human_seconds(double seconds);

/// "1 block", "2 blocks".
std::string counted(std::uint64_t count, std::string_view singular, std::string_view plural);

/// Text from a device or file name for a terminal: control characters become \xNN.
std::string printable(std::string_view text);

/// `text` as a word for the shell, quoted where it must be.
std::string shell_word(const std::string& text);

/// The words between blanks.
std::vector<std::string> split_words(std::string_view line);

/// `text` for a terminal of 80 columns, `used_columns` of which are taken on the first line; the lines that follow
/// begin with `indent` blanks. What stands between backquotes is not broken. Ends with a newline.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t used_columns);

/// A name, its value and what it says, as one row of a table for people.
struct TextRow {
  std::string name;
  std::string value;
  std::string meaning;
};
/// The rows in columns that are as wide as they must be, the meanings wrapped. Numbers stand to the right.
std::string text_rows(std::span<const TextRow> rows);

}  // namespace wc::tools
