// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/version.cpp.
#include "writecache/version.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace {

TEST(Version, IsThreeNumbersJoinedByDots) {
  const auto text = wc::version();
  EXPECT_EQ(std::count(text.begin(), text.end(), '.'), 2);
  EXPECT_EQ(text.find_first_not_of("0123456789."), std::string_view::npos);
}

TEST(Version, EqualsTheVersionTheToolsWereBuiltAs) { EXPECT_EQ(wc::version(), WC_TOOLS_VERSION); }

}  // namespace
