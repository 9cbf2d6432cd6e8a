// SPDX-License-Identifier: LGPL-2.1-or-later
// Fuzz target: numbers, ranges and whole command lines of arbitrary words.
#include <string>
#include <vector>

#include "common/command_line.hpp"
#include "common/numbers.hpp"
#include "common/text.hpp"
#include "fuzz/fuzz_input.hpp"

namespace wc::fuzz {
namespace {

using namespace tools;

/// The decimal number that is all of `digits`, computed in the simplest way; nothing where 2^64 is not above it.
std::optional<std::uint64_t> plain_number(std::string_view digits) {
  if (digits.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return std::nullopt;
    if (__builtin_mul_overflow(value, std::uint64_t{10}, &value)) return std::nullopt;
    if (__builtin_add_overflow(value, static_cast<std::uint64_t>(digit - '0'), &value)) return std::nullopt;
  }
  return value;
}

void check_numbers(const std::string& text) {
  require(parse_count(text) == plain_number(text), "parse_count and the reference disagree");

  static constexpr std::string_view kUnits = "KkMmGgTts";
  static constexpr unsigned kShifts[] = {10, 10, 20, 20, 30, 30, 40, 40, 9};
  std::optional<std::uint64_t> bytes = plain_number(text);
  const std::size_t unit = text.empty() ? std::string_view::npos : kUnits.find(text.back());
  if (unit != std::string_view::npos) {
    bytes = plain_number(std::string_view(text).substr(0, text.size() - 1));
    if (bytes && (*bytes << kShifts[unit]) >> kShifts[unit] != *bytes) bytes.reset();
    if (bytes) *bytes <<= kShifts[unit];
  }
  require(parse_bytes(text) == bytes, "parse_bytes and the reference disagree");

  if (const auto sectors = parse_sectors(text)) {
    require(*sectors < kSectorLimit, "parse_sectors takes a sector that no device has");
    if (unit != std::string_view::npos) {
      require(bytes == *sectors * kSectorBytes, "parse_sectors takes another length than parse_bytes");
    }
  }
  for (const std::optional<Sector> default_count : {std::optional<Sector>(), std::optional<Sector>(8)}) {
    if (const auto range = parse_range(text, default_count)) {
      require(range->count != 0 && range->first + range->count <= kSectorLimit, "parse_range takes an impossible range");
    }
  }
  for (const char shown : printable(text)) {
    require(static_cast<unsigned char>(shown) >= 0x20 && shown != 0x7f, "a control character reaches the terminal");
  }
}

void check_command_line(const std::vector<std::string>& words) {
  CommonOptions common;
  std::optional<std::uint32_t> block_bytes;
  std::uint64_t memory_bytes = 0;
  std::uint64_t count = 0;
  std::string entries;
  CommandLine line("wc-fuzz", "Takes anything", common);
  line.add_origin("The origin");
  line.add_progress();
  line.add_block_size("--block-size", block_bytes, "Of the table line");
  line.add_bytes("--memory", memory_bytes, "Bound");
  line.add_count("--count", count, "How many");
  line.app().add_option("--entries", entries, "Which");
  line.set_value_if_alone("--entries", "live");
  std::vector<const char*> arguments;
  for (const std::string& word : words) arguments.push_back(word.c_str());
  try {
    line.parse(arguments);
  } catch (const CLI::Error&) {
    return;
  } catch (const UsageError&) {
    return;
  }
  require(!common.cache.empty() || !words.empty(), "a command line without a cache was taken");
  require(!block_bytes || is_valid_block_size(*block_bytes), "a block size that does not exist was taken");
  require(common.start_sector < kSectorLimit, "a start sector that no device has was taken");
}

void run(FuzzInput input) {
  const std::string text = input.text();
  check_numbers(text);
  std::vector<std::string> words{""};
  for (const char character : text) {
    if (character == '\n' || character == '\0') {
      words.emplace_back();
    } else {
      words.back() += character;
    }
  }
  check_command_line(words);
}

}  // namespace
}  // namespace wc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wc::fuzz::run({data, size});
  return 0;
}
