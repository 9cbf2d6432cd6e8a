// SPDX-License-Identifier: LGPL-2.1-or-later
// The 14 numbers of the driver's status line.
#include "common/status_numbers.hpp"

#include <array>
#include <string>
#include <vector>

#include "common/numbers.hpp"
#include "common/text.hpp"

namespace wc::tools {
namespace {

constexpr std::array<StatusNumber, 14> kNumbers{{
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

/// START, LEN and the target's name.
constexpr std::size_t kFixedWords = 3;

Error refuse(const std::string& why) { return Error{ErrorCode::invalid_argument, 0, 0, why}; }

}  // namespace

std::span<const StatusNumber> status_numbers() noexcept { return kNumbers; }

Result<StatusLine> parse_status_line(std::string_view line) {
  std::vector<std::string> words = split_words(line);
  if (!words.empty() && words[0].ends_with(':')) words.erase(words.begin());
  if (words.size() < kFixedWords) return refuse("a status line has START LENGTH writecache and 14 numbers");
  StatusLine result;
  const auto start = parse_count(words[0]);
  const auto length = parse_sectors(words[1]);
  if (!start || !length) return refuse("a status line begins with two numbers, the start and the length in sectors");
  result.length = *length;
  result.count = words.size() - kFixedWords;
  if (result.count != kNumbers.size() && result.count != kOldStatusNumbers) {
    return refuse("a status line has 14 numbers behind the word writecache (4 on kernels before 5.15), not " +
                  std::to_string(result.count));
  }
  for (std::size_t i = 0; i < result.count; ++i) {
    const std::string& word = words[kFixedWords + i];
    const auto number = parse_count(word);
    // The driver prints the first one, and only that, with a sign.
    const auto negative =
        i == 0 && word.starts_with('-') ? parse_count(std::string_view(word).substr(1)) : std::nullopt;
    if (!number && !negative) return refuse("`" + word + "` is not a number (" + kNumbers[i].name + ")");
    result.status.*kNumbers[i].member = number ? *number : *negative;
  }
  const EngineStatus& status = result.status;
  if (status.free > status.n_blocks || status.writeback > status.n_blocks) {
    return refuse("more blocks are free or being written back than the cache has: a part of another line?");
  }
  return result;
}

}  // namespace wc::tools
