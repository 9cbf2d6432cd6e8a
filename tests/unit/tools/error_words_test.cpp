// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests tools/common/error_words.cpp.
#include "common/error_words.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace {

using wc::ErrorCode;

TEST(ErrorWords, EveryCodeHasAWordOfItsOwnThatLeadsBackToIt) {
  std::set<std::string> words;
  for (int number = 0; number <= static_cast<int>(ErrorCode::cancelled); ++number) {
    const auto code = static_cast<ErrorCode>(number);
    const std::string word = wc::tools::to_string(code);
    EXPECT_TRUE(words.insert(word).second) << word;
    EXPECT_EQ(wc::tools::error_code_of(word), code) << word;
  }
  EXPECT_EQ(wc::tools::error_code_of("unknown"), std::nullopt);
  EXPECT_EQ(wc::tools::error_code_of(""), std::nullopt);
}

}  // namespace
