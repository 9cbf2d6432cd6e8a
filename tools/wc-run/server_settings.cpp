// SPDX-License-Identifier: LGPL-2.1-or-later
// ServerSettings: the parser of every setting's text, and the way back to text.
#include "wc-run/server_settings.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <limits>

#include "common/numbers.hpp"

namespace wc::tools {
namespace {

std::string underscored(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::optional<bool> parse_switch(const std::string& text) {
  if (text == "true" || text == "1" || text == "yes" || text == "on") return true;
  if (text == "false" || text == "0" || text == "no" || text == "off") return false;
  return std::nullopt;
}

std::string wrong(const std::string& name, const std::string& text, const char* expected) {
  return "`" + text + "` is not " + expected + " (" + name + ")";
}

std::optional<std::string> set_switch(bool& target, const std::string& name, const std::string& text) {
  const auto value = parse_switch(text);
  if (!value) return wrong(name, text, "one of true, false");
  target = *value;
  return std::nullopt;
}

std::optional<std::string> set_sectors(std::optional<Sector>& target, const std::string& name,
                                       const std::string& text) {
  target = parse_sectors(text);
  return target ? std::nullopt : std::optional(wrong(name, text, "a number of sectors below 2^54"));
}

std::optional<std::string> set_optional(ServerSettings& settings, const OptionalArgument& argument,
                                        const std::string& text) {
  const std::string name = argument.name;
  if (!argument.is_flag) {
    const auto value = parse_optional_number(argument, text);
    if (!value) return value.error().message();
    settings.optionals[name] = *value;
    return std::nullopt;
  }
  const auto value = parse_switch(text);
  if (!value) return wrong(name, text, "one of true, false");
  settings.optionals.erase(name);
  if (name == "fua" || name == "nofua") {
    // One thing with two names: the last word counts.
    settings.optionals.erase("fua");
    settings.optionals.erase("nofua");
    settings.optionals[(name == "fua") == *value ? "fua" : "nofua"] = 1;
  } else if (*value) {
    settings.optionals[name] = 1;
  }
  return std::nullopt;
}

std::optional<std::string> set_type(ServerSettings& settings, const std::string& text) {
  if (text == "s" || text == "S") {
    settings.type = CacheType::ssd;
  } else if (text == "p" || text == "P") {
    settings.type = CacheType::pmem;
  } else {
    return std::string(kBadArguments) + ": the type is s or p, not `" + text + "`";
  }
  return std::nullopt;
}

std::optional<std::string> set_block_size(ServerSettings& settings, const std::string& text) {
  const auto bytes = parse_bytes(text);
  if (!bytes || !is_valid_block_size(*bytes)) {
    return std::string(kInvalidBlockSize) + ": `" + text + "` is not a power of two from 512 to 65536";
  }
  settings.block_bytes = static_cast<std::uint32_t>(*bytes);
  return std::nullopt;
}

std::optional<std::string> set_report_fd(ServerSettings& settings, const std::string& text) {
  const auto value = parse_count(text);
  if (!value || *value > static_cast<std::uint64_t>(std::numeric_limits<int>::max())) {
    return wrong("report_fd", text, "a file descriptor");
  }
  settings.report_fd = static_cast<int>(*value);
  return std::nullopt;
}

}  // namespace

std::optional<std::string> ServerSettings::set(const std::string& given_name, const std::string& text) {
  const std::string key = underscored(given_name);
  if (text.empty()) return key + " has an empty value";
  if (const OptionalArgument* argument = find_optional_argument(key)) return set_optional(*this, *argument, text);
  const std::map<std::string_view, std::string*> texts{{"cache", &cache}, {"origin", &origin},
                                                       {"name", &name},   {"control", &control},
                                                       {"uri", &uri},     {"pending", &pending}};
  if (const auto found = texts.find(key); found != texts.end()) {
    *found->second = text;
    return std::nullopt;
  }
  if (key == "type") return set_type(*this, text);
  if (key == "block_size") return set_block_size(*this, text);
  if (key == "no_overwrite") return set_switch(no_overwrite, key, text);
  if (key == "read_only") return set_switch(read_only, key, text);
  if (key == "format") return set_switch(format, key, text);
  if (key == "takes_over") return set_switch(takes_over, key, text);
  if (key == "length") return set_sectors(length, key, text);
  if (key == "report_fd") return set_report_fd(*this, text);
  if (key == "start_sector" || key == "origin_start_sector") {
    std::optional<Sector> sector;
    auto problem = set_sectors(sector, key, text);
    (key == "start_sector" ? start_sector : origin_start_sector) = sector.value_or(0);
    return problem;
  }
  return std::string(kInvalidOptional) + ": `" + given_name + "` is unknown";
}

std::vector<std::string> ServerSettings::words() const {
  std::vector<std::string> result;
  const auto add = [&](const std::string& key, const std::string& value) {
    if (!value.empty()) result.push_back(key + "=" + value);
  };
  add("cache", cache);
  add("origin", origin);
  add("start_sector", std::to_string(start_sector));
  add("origin_start_sector", std::to_string(origin_start_sector));
  if (type) add("type", type_letter(*type));
  if (block_bytes) add("block_size", std::to_string(*block_bytes));
  if (length) add("length", std::to_string(*length));
  for (const auto& [key, value] : optionals)
    add(key, find_optional_argument(key)->is_flag ? "true" : std::to_string(value));
  if (no_overwrite) add("no_overwrite", "true");
  if (read_only) add("read_only", "true");
  if (format) add("format", "true");
  add("name", name);
  add("control", control);
  add("uri", uri);
  add("pending", pending);
  if (takes_over) add("takes_over", "true");
  if (report_fd >= 0) add("report_fd", std::to_string(report_fd));
  return result;
}

std::optional<std::string> ServerSettings::contradiction(CacheType cache_type) const {
  if (auto problem = contradiction_of(optionals, cache_type)) return problem;
  if (cache_type == CacheType::pmem && no_overwrite)
    return "no_overwrite is for type s only: type p never overwrites a committed block";
  if (read_only && format) return "a read-only view cannot be formatted";
  return std::nullopt;
}

EngineOptions ServerSettings::engine_options(CacheType cache_type, std::uint32_t served_block_bytes) const {
  EngineOptions options;
  options.type = cache_type;
  options.block_bytes = served_block_bytes;
  const auto number = [&](const char* key) -> std::optional<std::uint32_t> {
    const auto found = optionals.find(key);
    if (found == optionals.end()) return std::nullopt;
    return static_cast<std::uint32_t>(found->second);  // each has a limit below 2^32
  };
  options.high_watermark_percent = number("high_watermark").value_or(options.high_watermark_percent);
  options.low_watermark_percent = number("low_watermark").value_or(options.low_watermark_percent);
  options.writeback_jobs = number("writeback_jobs").value_or(options.writeback_jobs);
  options.autocommit_blocks = number("autocommit_blocks");
  options.autocommit_ms = number("autocommit_time").value_or(options.autocommit_ms);
  options.max_age_ms = number("max_age");
  options.pause_writeback_ms = number("pause_writeback");
  options.cleaner = number("cleaner").has_value();
  options.metadata_only = number("metadata_only").has_value();
  if (number("fua")) options.fua = true;
  if (number("nofua")) options.fua = false;
  options.no_overwrite = no_overwrite;
  options.read_only = read_only;
  options.format_blank = format;
  return options;
}

ServerSettings::OptionalWords ServerSettings::optional_words() const {
  OptionalWords result;
  const auto add = [&](const std::string& word) {
    result.text += " " + word;
    ++result.count;
  };
  if (start_sector != 0) {
    add("start_sector");
    add(std::to_string(start_sector));
  }
  for (const OptionalArgument& argument : optional_arguments()) {
    const auto found = optionals.find(argument.name);
    if (found == optionals.end()) continue;
    add(argument.name);
    if (!argument.is_flag) add(std::to_string(found->second));
  }
  return result;
}

const char* type_letter(CacheType type) noexcept { return type == CacheType::pmem ? "p" : "s"; }

CacheType guess_type(const std::string& cache) {
  struct statx status {};
  if (::statx(AT_FDCWD, cache.c_str(), 0, STATX_TYPE, &status) != 0) return CacheType::ssd;
  if (S_ISCHR(status.stx_mode)) return CacheType::pmem;
  const bool is_dax = S_ISREG(status.stx_mode) && (status.stx_attributes & STATX_ATTR_DAX) != 0;
  return is_dax ? CacheType::pmem : CacheType::ssd;
}

}  // namespace wc::tools
