// SPDX-License-Identifier: LGPL-2.1-or-later
// The table line of the device mapper as settings.
#include "common/table_line.hpp"

#include <algorithm>
#include <cctype>

#include "common/numbers.hpp"
#include "common/optional_arguments.hpp"
#include "common/text.hpp"
#include "writecache/superblock.hpp"

namespace wc::tools {
namespace {

constexpr std::uint64_t kOptionalWordsMax = 18;
constexpr std::size_t kFixedWords = 8;

Error refuse(const char* driver_words, const std::string& why) {
  return Error{ErrorCode::invalid_argument, 0, 0, std::string(driver_words) + ": " + why};
}

std::string lower(std::string word) {
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char character) { return static_cast<char>(std::tolower(character)); });
  return word;
}

/// dmsetup prints devices as MAJOR:MINOR.
std::string device_path(const std::string& word) {
  const std::size_t colon = word.find(':');
  if (colon == std::string::npos) return word;
  const std::string_view text = word;
  if (!parse_count(text.substr(0, colon)) || !parse_count(text.substr(colon + 1))) return word;
  return "/dev/block/" + word;
}

/// The optional arguments, from `words[first]` on.
Result<std::vector<Setting>> parse_optionals(const std::vector<std::string>& words, std::size_t first) {
  std::vector<Setting> settings;
  for (std::size_t i = first; i < words.size(); ++i) {
    const std::string name = lower(words[i]);
    const OptionalArgument* argument = find_optional_argument(name);
    if (argument == nullptr && name != "start_sector") return refuse(kInvalidOptional, "`" + words[i] + "` is unknown");
    if (argument != nullptr && argument->is_flag) {
      settings.emplace_back(name, "true");
      continue;
    }
    if (++i == words.size()) return refuse(kInvalidOptional, name + " needs a number");
    // The driver takes plain decimal numbers only.
    if (!parse_count(words[i])) return refuse(kInvalidOptional, name + " needs a number, not `" + words[i] + "`");
    if (argument == nullptr) {
      if (!parse_sectors(words[i])) return refuse(kInvalidOptional, name + " takes a number of sectors below 2^54");
    } else if (auto number = parse_optional_number(*argument, words[i]); !number) {
      return number.error();
    }
    settings.emplace_back(name, words[i]);
  }
  return settings;
}

/// As the driver keeps them: the last word counts, also of the two that are one thing.
OptionalArguments numbers_of(const std::vector<Setting>& optionals) {
  OptionalArguments numbers;
  for (const auto& [name, text] : optionals) {
    if (name == "fua") numbers.erase("nofua");
    if (name == "nofua") numbers.erase("fua");
    numbers[name] = text == "true" ? 1 : *parse_count(text);
  }
  return numbers;
}

std::optional<Error> refuse_fixed(const std::vector<std::string>& words) {
  if (words.size() < kFixedWords) {
    return refuse(kBadArguments, "a table line has 0 LENGTH writecache TYPE ORIGIN CACHE BLOCK_SIZE N_OPTIONAL");
  }
  const auto length = parse_count(words[1]);
  if (words[0] != "0" || !length || *length == 0 || *length >= kSectorLimit) {
    return refuse(kBadArguments, "a table line begins with 0 and the number of sectors");
  }
  if (lower(words[2]) != "writecache") return refuse(kBadArguments, "`" + words[2] + "` is not the target writecache");
  const std::string type = lower(words[3]);
  if (type != "s" && type != "p") return refuse(kBadArguments, "the type is s or p, not `" + words[3] + "`");
  const auto block_bytes = parse_count(words[6]);
  if (!block_bytes || !is_valid_block_size(*block_bytes)) {
    return refuse(kInvalidBlockSize, "`" + words[6] + "` is not a power of two from 512 to 65536");
  }
  const auto count = parse_count(words[7]);
  if (!count || *count > kOptionalWordsMax || *count != words.size() - kFixedWords) {
    return refuse(kBadArguments, "`" + words[7] + "` is not the number of words behind it, at most 18");
  }
  return std::nullopt;
}

}  // namespace

Result<std::vector<Setting>> parse_table_line(std::string_view line) {
  std::vector<std::string> words = split_words(line);
  if (!words.empty() && words[0].ends_with(':')) words.erase(words.begin());  // `dmsetup table` without a name
  if (auto refusal = refuse_fixed(words)) return *std::move(refusal);
  auto optionals = parse_optionals(words, kFixedWords);
  if (!optionals) return optionals.error();
  std::vector<Setting> settings{{"length", words[1]},
                                {"type", lower(words[3])},
                                {"origin", device_path(words[4])},
                                {"cache", device_path(words[5])},
                                {"block-size", words[6]}};
  settings.insert(settings.end(), optionals->begin(), optionals->end());
  const CacheType type = settings[1].second == "p" ? CacheType::pmem : CacheType::ssd;
  if (auto problem = contradiction_of(numbers_of(*optionals), type)) {
    return Error{ErrorCode::invalid_argument, 0, 0, *problem};
  }
  return settings;
}

}  // namespace wc::tools
