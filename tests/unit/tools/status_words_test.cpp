// SPDX-License-Identifier: LGPL-2.1-or-later
// The numbers of a live cache in words: every state, units, and shares that do not round to a lie.
#include "common/status_words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status_numbers.hpp"
#include "common/text.hpp"

namespace wc::tools {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

/// A cache of 1000 blocks of 4 KiB, 400 of them used, with details as wc-run has them.
StatusContext context() {
  StatusContext context;
  context.block_bytes = 4096;
  context.high_watermark_percent = 60;
  context.low_watermark_percent = 30;
  context.type = CacheType::ssd;
  context.details.emplace();
  return context;
}

EngineStatus status() {
  EngineStatus status;
  status.n_blocks = 1000;
  status.free = 600;
  return status;
}

std::string word(const EngineStatus& status, const StatusContext& context, const std::string& name) {
  for (const StatusWord& one : words_of_status(status, context))
    if (one.name == name) return one.meaning;
  return "none";
}

TEST(StatusWords, EveryNumberHasAMeaning) {
  const auto words = words_of_status(status(), context());
  ASSERT_EQ(words.size(), 14U);
  for (std::size_t i = 0; i < words.size(); ++i) {
    EXPECT_EQ(words[i].name, status_numbers()[i].name);
    EXPECT_NE(words[i].meaning, "");
  }
  EXPECT_THAT(word(status(), context(), "n_blocks"), HasSubstr("3.9 MiB in blocks of 4.0 KiB"));
  EXPECT_THAT(word(status(), context(), "free"), HasSubstr("60 % of the cache; used: 1.6 MiB, 40 %"));
}

TEST(StatusWords, WithoutABlockSizeBlocksAreCounted) {
  EXPECT_THAT(word(status(), {}, "free"), HasSubstr("600 blocks, 60 %"));
  EXPECT_THAT(state_of_status(status(), {}).meaning, HasSubstr("50 % (the driver's default)"));
}

TEST(StatusWords, StatesFromTheWorstToTheBest) {
  EngineStatus now = status();
  StatusContext known = context();
  EXPECT_EQ(state_of_status(now, known).name, "filling");
  EXPECT_THAT(state_of_status(now, known).meaning, HasSubstr("1.6 MiB are newer there"));
  EXPECT_THAT(state_of_status(now, known).meaning, HasSubstr("begins at 60 % used"));
  known.details->uncommitted = 10;
  EXPECT_THAT(state_of_status(now, known).meaning, HasSubstr("40.0 KiB of them not yet committed"));
  now.free = 0;
  EXPECT_EQ(state_of_status(now, known).name, "full");
  EXPECT_THAT(state_of_status(now, known).meaning, HasSubstr("past the cache"));
  known.type = CacheType::pmem;
  EXPECT_THAT(state_of_status(now, known).meaning, HasSubstr("wait"));
  now.writeback = 5;
  EXPECT_EQ(state_of_status(now, known).name, "draining");
  EXPECT_THAT(state_of_status(now, known).meaning, HasSubstr("below 30 %"));
  known.details->is_cleaner = true;
  EXPECT_THAT(state_of_status(now, known).meaning, HasSubstr("cleaner"));
  now.writeback = 0;
  EXPECT_EQ(state_of_status(now, known).name, "draining");
  now.free = now.n_blocks;
  EXPECT_EQ(state_of_status(now, known).name, "drained");
  EXPECT_THAT(state_of_status(now, known).action, HasSubstr("can be removed"));
  known.details->is_cleaner = false;
  EXPECT_EQ(state_of_status(now, known).name, "empty");
  known.details->is_suspended = true;
  EXPECT_EQ(state_of_status(now, known).name, "suspended");
  EXPECT_THAT(state_of_status(now, known).action, HasSubstr("resume"));
  known.is_read_only = true;
  EXPECT_EQ(state_of_status(now, known).name, "read-only");
  now.error = 1;
  known.details->first_error = Error{ErrorCode::io, EIO, 0, "write of the origin"};
  EXPECT_EQ(state_of_status(now, known).name, "failed");
  EXPECT_THAT(state_of_status(now, known).meaning, HasSubstr("write of the origin"));
}

TEST(StatusWords, SharesDoNotRoundToNoneOrAll) {
  EXPECT_EQ(human_percent(0, 0), "0 %");
  EXPECT_EQ(human_percent(0, 10), "0 %");
  EXPECT_EQ(human_percent(1, 100000), "under 1 %");
  EXPECT_EQ(human_percent(99999, 100000), "over 99 %");
  EXPECT_EQ(human_percent(100000, 100000), "100 %");
  EXPECT_EQ(human_percent(38, 100), "38 %");
}

TEST(TextRows, FitIn80ColumnsAndLineUp) {
  const std::vector<TextRow> rows{
      {"a", "1", "short"},
      {"writes_blocked_on_freelist", "18446744073709551615",
       "a meaning that is long enough to be wrapped more than once on a terminal of 80 columns"},
      {"c", "", ""}};
  std::istringstream lines(text_rows(rows));
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count)
    EXPECT_LE(line.size(), 80U) << line;
  EXPECT_GT(count, 4U);
  EXPECT_THAT(text_rows(rows), EndsWith("\n  c\n"));
  EXPECT_EQ(wrapped(std::string(70, 'x') + " `a command that stays whole`", 2, 0),
            std::string(70, 'x') + "\n  `a command that stays whole`\n");
  EXPECT_THAT(text_rows(rows), HasSubstr("  a                                              1  short\n"));
}

}  // namespace
}  // namespace wc::tools
