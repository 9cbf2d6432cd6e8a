// SPDX-License-Identifier: LGPL-2.1-or-later
// Messages of the driver, of LVM and of dmsetup: found behind their prefixes, taken apart into their fields.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <system_error>

#include "common/numbers.hpp"
#include "wc-check/explanation.hpp"
#include "wc-check/known_messages.hpp"

namespace wc::tools {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto is_blank = [](char letter) { return std::isspace(static_cast<unsigned char>(letter)) != 0; };
  while (!text.empty() && is_blank(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back()))
    text.remove_suffix(1);
  return text;
}

/// Without `<3>` and `[   12.345678]`, which a message may have in front of everything.
std::string_view without_stamps(std::string_view line) {
  line = trimmed(line);
  for (const auto& [open, close] : {std::pair{'<', '>'}, std::pair{'[', ']'}}) {
    const std::size_t end = line.find(close);
    if (line.starts_with(open) && end != std::string_view::npos) line = trimmed(line.substr(end + 1));
  }
  return line;
}

/// The kernel ends messages about a table with ` (-EINVAL)`; takes it off.
std::string take_error_suffix(std::string_view& line) {
  const std::size_t begin = line.rfind(" (-E");
  if (begin == std::string_view::npos || !line.ends_with(')')) return {};
  const std::string_view name = line.substr(begin + 3, line.size() - begin - 4);
  const bool is_name =
      std::all_of(name.begin(), name.end(), [](char letter) { return letter >= 'A' && letter <= 'Z'; });
  if (!is_name) return {};
  line = line.substr(0, begin);
  return std::string(name);
}

/// The texts of the fields if the message is `text` from its beginning on, nothing otherwise.
std::optional<std::vector<std::string_view>> match(std::string_view pattern, std::string_view text) {
  std::vector<std::string_view> fields;
  for (;;) {
    const std::size_t mark = pattern.find('%');
    const std::string_view literal = pattern.substr(0, mark);
    if (!text.starts_with(literal)) return std::nullopt;
    text.remove_prefix(literal.size());
    if (mark == std::string_view::npos) break;
    pattern.remove_prefix(mark + 1);
    const std::string_view next = pattern.substr(0, pattern.find('%'));
    const bool is_last = next.size() == pattern.size();  // names may hold what ends the message, such as a dot
    const std::size_t end = next.empty() ? text.size() : is_last ? text.rfind(next) : text.find(next);
    if (end == std::string_view::npos || end == 0) return std::nullopt;
    fields.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  // "...", " [y/n]: " and the like may follow, but no more words.
  const bool ends_there = text.empty() || std::isalnum(static_cast<unsigned char>(text.front())) == 0;
  return ends_there ? std::optional(fields) : std::nullopt;
}

std::string joined(const std::string& meaning, const std::string& more) {
  return meaning.empty() ? more : meaning + ": " + more;
}

/// A field as a row, or nothing where it is not of its kind.
std::optional<TextRow> row_of(const MessageField& field, std::string_view text) {
  TextRow row{field.name, std::string(text), field.meaning};
  if (field.kind == FieldKind::text) return row;
  if (field.kind == FieldKind::error) {
    const auto number = parse_count(text.starts_with('-') ? text.substr(1) : text);
    if (!number) return row;
    const bool is_errno = *number > 0 && *number < 4096;
    row.meaning = is_errno ? std::generic_category().message(static_cast<int>(*number)) : "no error number";
    return row;
  }
  const auto number = parse_count(text);
  if (!number) return std::nullopt;
  if (field.kind == FieldKind::bytes) row.meaning = joined(row.meaning, human_bytes(*number));
  if (field.kind == FieldKind::sector) {
    row.meaning = *number < kSectorLimit ? joined(row.meaning, fmt::format("byte {} ({})", bytes_of_sectors(*number),
                                                                           human_bytes(bytes_of_sectors(*number))))
                                         : joined(row.meaning, "beyond any device");
  }
  return row;
}

std::optional<Explanation> explained(const KnownMessage& known, std::string_view text) {
  const auto fields = match(known.text, text);
  if (!fields) return std::nullopt;
  Explanation explanation{LineKind::message, known.source, known.meaning, {}, known.action};
  for (std::size_t i = 0; i < fields->size(); ++i) {
    auto row = row_of(known.fields.at(i), (*fields)[i]);
    if (!row) return std::nullopt;
    explanation.parts.push_back(std::move(*row));
  }
  return explanation;
}

/// The kernel's short messages mean something only where device-mapper said them, or where they stand alone.
bool may_say(const KnownMessage& known, std::string_view prefix) {
  if (std::string_view(known.source) != "kernel") return true;
  return prefix.empty() || prefix.find("writecache") != std::string_view::npos ||
         prefix.find("device-mapper") != std::string_view::npos;
}

/// "253:3" of "device-mapper: table: 253:3: writecache: ".
std::string device_of(std::string_view prefix) {
  constexpr std::string_view kTable = "table: ";
  const std::size_t at = prefix.find(kTable);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = prefix.substr(at + kTable.size());
  return std::string(rest.substr(0, rest.find(": ")));
}

}  // namespace

std::optional<Explanation> explain_message(std::string_view line) {
  line = without_stamps(line);
  const std::string error = take_error_suffix(line);
  for (std::size_t begin = 0; begin != std::string_view::npos;) {
    const std::string_view prefix = line.substr(0, begin);
    for (const KnownMessage& known : known_messages()) {
      auto explanation = may_say(known, prefix) ? explained(known, line.substr(begin)) : std::nullopt;
      if (!explanation) continue;
      if (const std::string device = device_of(prefix); !device.empty()) {
        explanation->parts.push_back(
            {"device", device, "major and minor number of the volume; `lsblk` tells its name"});
      }
      if (!error.empty()) explanation->parts.push_back({"error", error, "what the program that loaded the table got"});
      return explanation;
    }
    const std::size_t colon = line.find(": ", begin);
    begin = colon == std::string_view::npos ? colon : colon + 2;
  }
  return std::nullopt;
}

}  // namespace wc::tools
