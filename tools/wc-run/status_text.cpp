// SPDX-License-Identifier: LGPL-2.1-or-later
// The states of a live cache as text.
#include "wc-run/status_text.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "common/status_numbers.hpp"
#include "common/status_words.hpp"
#include "common/text.hpp"

namespace wc::tools {
namespace {

std::string target(const LiveCache& live) { return fmt::format("0 {} writecache", sectors_of_bytes(live.size_bytes)); }

std::string label(const std::string& text) {
  std::string escaped;
  for (const char character : text) {
    if (character == '\\' || character == '"') escaped += '\\';
    escaped += character;
  }
  return printable(escaped);
}

}  // namespace

std::string status_line(const LiveCache& live) {
  const EngineStatus status = live.engine->status();
  std::string line = target(live);
  for (const StatusNumber& number : status_numbers())
    line += fmt::format(" {}", status.*number.member);
  return line + "\n";
}

std::string table_line(const LiveCache& live) {
  ServerSettings settings = live.settings;
  if (live.engine->details().is_cleaner) settings.optionals["cleaner"] = 1;
  const auto optionals = settings.optional_words();
  return fmt::format("{} {} {} {} {} {}{}\n", target(live), type_letter(*settings.type),
                     printable(live.settings.origin), printable(live.settings.cache), *settings.block_bytes,
                     optionals.count, optionals.text);
}

std::string status_json(const LiveCache& live) {
  const EngineStatus status = live.engine->status();
  const EngineDetails details = live.engine->details();
  nlohmann::ordered_json numbers;
  for (const StatusNumber& number : status_numbers())
    numbers[number.name] = status.*number.member;
  nlohmann::ordered_json object{{"schema", "writecache.run-status/1"},
                                {"name", live.settings.name},
                                {"cache", live.settings.cache},
                                {"origin", live.settings.origin},
                                {"uri", live.settings.uri},
                                {"type", type_letter(*live.settings.type)},
                                {"block_size", *live.settings.block_bytes},
                                {"size_bytes", live.size_bytes},
                                {"read_only", live.settings.read_only},
                                {"status", numbers},
                                {"uncommitted", details.uncommitted},
                                {"seq_count", details.seq_count},
                                {"cleaner", details.is_cleaner},
                                {"suspended", details.is_suspended},
                                {"draining", details.is_draining}};
  object["first_error"] = details.first_error ? nlohmann::ordered_json(details.first_error->message()) : nullptr;
  return object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string status_prometheus(const LiveCache& live) {
  const EngineStatus status = live.engine->status();
  const EngineDetails details = live.engine->details();
  const std::string name = label(live.settings.name);
  std::string text;
  const auto add = [&](const std::string& metric, const char* help, const char* kind, std::uint64_t value) {
    text += fmt::format("# HELP writecache_{0} {1}\n# TYPE writecache_{0} {2}\nwritecache_{0}{{name=\"{3}\"}} {4}\n",
                        metric, help, kind, name, value);
  };
  for (const StatusNumber& number : status_numbers()) {
    const std::string metric = std::string(number.name) + (number.is_counter ? "_total" : "");
    add(metric, number.help, number.is_counter ? "counter" : "gauge", status.*number.member);
  }
  add("uncommitted", "Blocks that the next commit makes durable", "gauge", details.uncommitted);
  add("block_size_bytes", "Bytes of a block", "gauge", *live.settings.block_bytes);
  add("size_bytes", "Bytes of the served device", "gauge", live.size_bytes);
  add("suspended", "1 while requests wait for a resume", "gauge", details.is_suspended ? 1 : 0);
  return text;
}

std::string status_human(const LiveCache& live) {
  const EngineStatus status = live.engine->status();
  const EngineOptions& options = live.engine->options();
  const EngineDetails details = live.engine->details();
  StatusContext context;
  context.block_bytes = options.block_bytes;
  context.high_watermark_percent = options.high_watermark_percent;
  context.low_watermark_percent = options.low_watermark_percent;
  context.type = options.type;
  context.details = details;
  context.is_read_only = options.read_only;
  const StatusState state = state_of_status(status, context);
  std::string text =
      fmt::format("{}: {} in front of {}, type {}, {}\n", printable(live.settings.name), printable(live.settings.cache),
                  printable(live.settings.origin), type_letter(options.type), human_bytes(live.size_bytes));
  text += "state    " + state.name + "\n  " + wrapped(state.meaning + " " + state.action, 2, 2);
  std::vector<TextRow> rows;
  for (const StatusWord& word : words_of_status(status, context))
    rows.push_back({word.name, std::to_string(word.value), word.meaning});
  rows.push_back({"uncommitted", std::to_string(details.uncommitted),
                  human_bytes(details.uncommitted * options.block_bytes) + " that a power cut now would lose; the next "
                                                                           "commit or flush makes them durable"});
  rows.push_back({"seq_count", std::to_string(details.seq_count), "number of the commit that is being filled"});
  return text + text_rows(rows);
}

}  // namespace wc::tools
