// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests the undo log in memory: what survives a power cut, and its faults.
#include "sim/memory_undo_log.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace wc::sim {
namespace {

Bytes letters(const char* text) {
  Bytes bytes;
  for (; *text != '\0'; ++text)
    bytes.push_back(std::byte(*text));
  return bytes;
}

bool holds(const std::vector<Bytes>& versions, const Bytes& wanted) {
  return std::find(versions.begin(), versions.end(), wanted) != versions.end();
}

class MemoryUndoLogTest : public testing::Test {
 protected:
  SimPower power_;
  MemoryUndoLog log_{letters("old"), 1, power_};
};

TEST_F(MemoryUndoLogTest, ReadsWhatWasAppended) {
  ASSERT_TRUE(log_.append(letters("new")));
  EXPECT_EQ(log_.size_bytes().value(), 6U);
  Bytes bytes(3);
  ASSERT_TRUE(log_.read(3, bytes));
  EXPECT_EQ(bytes, letters("new"));
  EXPECT_FALSE(log_.read(4, bytes));
}

TEST_F(MemoryUndoLogTest, UnsyncedBytesAreLostKeptOrCutShort) {
  ASSERT_TRUE(log_.append(letters("12345")));
  const auto versions = log_.crash_versions(1);
  EXPECT_TRUE(holds(versions, letters("old")));
  EXPECT_TRUE(holds(versions, letters("old12345")));
  EXPECT_TRUE(holds(versions, letters("old1")));
  EXPECT_TRUE(holds(versions, letters("old1234")));
  for (const auto& version : versions) {
    EXPECT_TRUE(std::equal(version.begin(), version.end(), log_.content().begin()));
  }
}

TEST_F(MemoryUndoLogTest, SyncedBytesSurvive) {
  ASSERT_TRUE(log_.append(letters("!")));
  ASSERT_TRUE(log_.sync());
  EXPECT_EQ(log_.crash_versions(1), std::vector<Bytes>{letters("old!")});
}

TEST_F(MemoryUndoLogTest, ATruncationMayBeUndoneUntilItIsSynced) {
  ASSERT_TRUE(log_.truncate(1));
  EXPECT_TRUE(holds(log_.crash_versions(1), letters("old")));
  EXPECT_TRUE(holds(log_.crash_versions(1), letters("o")));
  ASSERT_TRUE(log_.sync());
  EXPECT_EQ(log_.crash_versions(1), std::vector<Bytes>{letters("o")});
  EXPECT_FALSE(log_.truncate(2));
}

TEST_F(MemoryUndoLogTest, AFailedSyncNeverMakesLaterOnesGood) {
  ASSERT_TRUE(log_.append(letters("!")));
  log_.inject({.call = UndoCall::sync, .nth = 0, .os_errno = 5});
  EXPECT_FALSE(log_.sync());
  EXPECT_TRUE(log_.has_faulted());
  EXPECT_TRUE(log_.sync());
  EXPECT_EQ(log_.durable(), letters("old"));
}

TEST_F(MemoryUndoLogTest, NothingIsWrittenWithoutPower) {
  power_.cut_at(0);
  EXPECT_FALSE(log_.append(letters("!")));
  EXPECT_FALSE(power_.is_on());
  EXPECT_EQ(log_.crash_versions(1), std::vector<Bytes>{letters("old")});
  EXPECT_FALSE(log_.size_bytes());
}

}  // namespace
}  // namespace wc::sim
