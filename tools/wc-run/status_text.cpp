// SPDX-License-Identifier: LGPL-2.1-or-later
// The states of a live cache as text.
#include "wc-run/status_text.hpp"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "common/text.hpp"

namespace wc::tools {
namespace {

struct Number {
  const char* name;
  const char* help;
  bool is_counter;
  std::uint64_t EngineStatus::*member;
};

/// In the order of the driver's status line.
constexpr std::array<Number, 14> kNumbers{{
    {"error", "1 after an I/O error, for good", false, &EngineStatus::error},
    {"n_blocks", "Blocks of the cache", false, &EngineStatus::n_blocks},
    {"free", "Free blocks", false, &EngineStatus::free},
    {"writeback", "Blocks being written back", false, &EngineStatus::writeback},
    {"reads", "Blocks read", true, &EngineStatus::reads},
    {"read_hits", "Blocks read from the cache", true, &EngineStatus::read_hits},
    {"writes", "Blocks written", true, &EngineStatus::writes},
    {"write_hits_uncommitted", "Writes to an uncommitted block", true, &EngineStatus::write_hits_uncommitted},
    {"write_hits_committed", "Writes to a committed block", true, &EngineStatus::write_hits_committed},
    {"writes_around", "Blocks written around the cache", true, &EngineStatus::writes_around},
    {"writes_allocated", "Blocks written to a new place in the cache", true, &EngineStatus::writes_allocated},
    {"writes_blocked_on_freelist", "Writes that waited for a free block", true,
     &EngineStatus::writes_blocked_on_freelist},
    {"flushes", "Flush requests", true, &EngineStatus::flushes},
    {"discards", "Blocks discarded", true, &EngineStatus::discards},
}};

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
  for (const Number& number : kNumbers)
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
  for (const Number& number : kNumbers)
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
  for (const Number& number : kNumbers) {
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
  const EngineDetails details = live.engine->details();
  const std::uint64_t used = status.n_blocks - status.free;
  const auto percent = [](std::uint64_t part, std::uint64_t whole) { return whole == 0 ? 0 : part * 100 / whole; };
  std::string text =
      fmt::format("{}: {} in front of {}, type {}, {}\n", printable(live.settings.name), printable(live.settings.cache),
                  printable(live.settings.origin), type_letter(*live.settings.type), human_bytes(live.size_bytes));
  text += fmt::format("used     {} of {} blocks ({} %), {} uncommitted, {} being written back\n", used, status.n_blocks,
                      percent(used, status.n_blocks), details.uncommitted, status.writeback);
  text +=
      fmt::format("reads    {} blocks, {} % from the cache\n", status.reads, percent(status.read_hits, status.reads));
  text += fmt::format("writes   {} blocks, {} around the cache, {} waited for a free block\n", status.writes,
                      status.writes_around, status.writes_blocked_on_freelist);
  text += fmt::format("flushes  {}, discarded {} blocks\n", status.flushes, status.discards);
  std::string state = details.is_suspended ? "suspended" : details.is_draining ? "writing back" : "running";
  if (live.settings.read_only) state += ", read-only";
  if (details.is_cleaner) state += ", cleaner";
  if (details.first_error) state += ", failed: " + printable(details.first_error->message());
  return text + "state    " + state + "\n";
}

}  // namespace wc::tools
