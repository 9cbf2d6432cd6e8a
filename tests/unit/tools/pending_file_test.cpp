// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests of the log of uncommitted blocks in files.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "wc-run/pending_file.hpp"

namespace wc::tools {
namespace {

class PendingFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "pending.XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    path_ = folder_ / "log";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
  std::string path_;
};

TEST_F(PendingFileTest, TellsTheNextProcessWhatWasAdded) {
  {
    auto file = PendingFile::create(path_);
    ASSERT_TRUE(file.has_value());
    (*file)->add({1, 8, 4, false});
    (*file)->add({2, 16, 5, false});
    (*file)->add({1, 8, 4, true});
  }
  auto again = PendingFile::reopen(path_);
  ASSERT_TRUE(again.has_value());
  const auto left = (*again)->left();
  ASSERT_EQ(left.size(), 3U);
  EXPECT_EQ(left[0].block, 1U);
  EXPECT_EQ(left[0].sequence, 4U);
  EXPECT_TRUE(left[1].is_removed);
  EXPECT_EQ(left[2].sector, 16U);
  EXPECT_EQ(left[2].sequence, 5U);
}

TEST_F(PendingFileTest, ForgetsANumberWhoseCommitIsOver) {
  auto file = PendingFile::create(path_);
  ASSERT_TRUE(file.has_value());
  (*file)->add({1, 8, 4, false});
  (*file)->add({2, 16, 5, false});
  (*file)->add({3, 24, 6, false});
  const auto left = (*file)->left();
  ASSERT_EQ(left.size(), 2U);
  EXPECT_EQ(left[0].sequence, 5U);
  EXPECT_EQ(left[1].block, 3U);
}

TEST_F(PendingFileTest, ForgetsHigherNumbersOnceTheyAreTakenOver) {
  auto file = PendingFile::create(path_);
  ASSERT_TRUE(file.has_value());
  (*file)->add({1, 8, 4, false});
  (*file)->add({2, 16, 5, false});
  (*file)->add({2, 16, 4, false});
  (*file)->taken_over(4);
  EXPECT_EQ((*file)->left().size(), 2U);
  (*file)->add({3, 24, 5, false});
  EXPECT_EQ((*file)->left().back().block, 3U);
  EXPECT_EQ((*file)->left().size(), 3U);
}

TEST_F(PendingFileTest, GrowsAsFarAsItMust) {
  constexpr std::uint64_t kCount = 300'000;
  {
    auto file = PendingFile::create(path_);
    ASSERT_TRUE(file.has_value());
    for (std::uint64_t i = 0; i < kCount; ++i)
      (*file)->add({i, 8 * i, 7, false});
  }
  auto again = PendingFile::reopen(path_);
  ASSERT_TRUE(again.has_value());
  const auto left = (*again)->left();
  ASSERT_EQ(left.size(), kCount);
  EXPECT_EQ(left.back().sector, 8 * (kCount - 1));
}

TEST_F(PendingFileTest, ReopensNothingWhereNothingIs) {
  const auto file = PendingFile::reopen(path_);
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, ErrorCode::not_found);
}

TEST_F(PendingFileTest, ReopensNothingAfterItWasRemoved) {
  auto file = PendingFile::create(path_);
  ASSERT_TRUE(file.has_value());
  (*file)->remove();
  EXPECT_FALSE(PendingFile::reopen(path_).has_value());
}

}  // namespace
}  // namespace wc::tools
