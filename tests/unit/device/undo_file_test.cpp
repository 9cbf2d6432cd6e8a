// SPDX-License-Identifier: LGPL-2.1-or-later
// The undo log in a file: creation, continuation, torn tails, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <vector>

#include "scratch.hpp"
#include "writecache/device.hpp"

namespace wc::test {
namespace {

using testing::StartsWith;

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}

class UndoFileTest : public testing::Test {
 protected:
  void expect_refusal(const Result<std::unique_ptr<UndoLog>>& opened, ErrorCode code) {
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, code) << opened.error().message();
    EXPECT_THAT(opened.error().context, StartsWith(scratch_.path().string()));
  }

  ScratchDirectory scratch_;
  std::string path_ = scratch_ / "undo";
};

TEST_F(UndoFileTest, IsCreatedForItsOwnerOnly) {
  auto log = open_undo_file(path_, UndoFileMode::save);
  ASSERT_TRUE(log) << log.error().message();
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  EXPECT_EQ((*log)->size_bytes().value(), 0U);
}

TEST_F(UndoFileTest, KeepsWhatWasAppendedAndGoesOnThere) {
  {
    auto log = open_undo_file(path_, UndoFileMode::save);
    ASSERT_TRUE(log);
    ASSERT_TRUE((*log)->append(bytes_of("one")));
    ASSERT_TRUE((*log)->append(bytes_of("two")));
    ASSERT_TRUE((*log)->sync());
  }
  auto log = open_undo_file(path_, UndoFileMode::save);
  ASSERT_TRUE(log);
  EXPECT_EQ((*log)->size_bytes().value(), 6U);
  ASSERT_TRUE((*log)->truncate(3));
  ASSERT_TRUE((*log)->append(bytes_of("XY")));
  std::vector<std::byte> seen(5);
  ASSERT_TRUE((*log)->read(0, seen));
  EXPECT_EQ(seen, bytes_of("oneXY"));
}

TEST_F(UndoFileTest, ReadingBeyondTheEndIsAnError) {
  auto log = open_undo_file(scratch_.file("undo", "abc"), UndoFileMode::read);
  ASSERT_TRUE(log);
  std::vector<std::byte> seen(4);
  const auto outcome = (*log)->read(0, seen);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::io);
  EXPECT_FALSE((*log)->read(100, seen));
  EXPECT_TRUE((*log)->read(1, std::span(seen).first(2)));
}

TEST_F(UndoFileTest, ReadModeNeverWrites) {
  auto log = open_undo_file(scratch_.file("undo", "abc"), UndoFileMode::read);
  ASSERT_TRUE(log);
  EXPECT_FALSE((*log)->append(bytes_of("x")));
  EXPECT_FALSE((*log)->truncate(0));
  EXPECT_EQ((*log)->size_bytes().value(), 3U);
  expect_refusal(open_undo_file(scratch_ / "missing", UndoFileMode::read), ErrorCode::not_found);
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "missing"));
}

TEST_F(UndoFileTest, OneRepairAtATime) {
  auto log = open_undo_file(path_, UndoFileMode::save);
  ASSERT_TRUE(log);
  expect_refusal(open_undo_file(path_, UndoFileMode::save), ErrorCode::busy);
  expect_refusal(open_undo_file(path_, UndoFileMode::read), ErrorCode::busy);
  log = Error{};
  EXPECT_TRUE(open_undo_file(path_, UndoFileMode::read));
}

TEST_F(UndoFileTest, RefusesWhatIsNoRegularFile) {
  for (const UndoFileMode mode : {UndoFileMode::save, UndoFileMode::read}) {
    const auto directory = open_undo_file(scratch_.path(), mode);
    ASSERT_FALSE(directory);
    EXPECT_EQ(directory.error().code, ErrorCode::invalid_argument) << directory.error().message();
    const std::string fifo = scratch_ / "fifo";
    if (mode == UndoFileMode::save) {
      ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    }
    expect_refusal(open_undo_file(fifo, mode), ErrorCode::invalid_argument);
    const auto device = open_undo_file("/dev/null", mode);
    ASSERT_FALSE(device);
    EXPECT_EQ(device.error().code, ErrorCode::invalid_argument);
  }
}

TEST_F(UndoFileTest, ADirectoryThatIsNotThereIsNotFound) {
  expect_refusal(open_undo_file(scratch_ / "no/where", UndoFileMode::save), ErrorCode::not_found);
}

TEST_F(UndoFileTest, AFullDiskIsNoSpace) {
  struct rlimit_guard {
    rlimit_guard() { ::getrlimit(RLIMIT_FSIZE, &before); }
    ~rlimit_guard() { ::setrlimit(RLIMIT_FSIZE, &before); }
    rlimit before{};
  } guard;
  auto log = open_undo_file(path_, UndoFileMode::save);
  ASSERT_TRUE(log);
  // The limit raises EFBIG, which stands for a full disk; the signal beside it is of no interest.
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = guard.before;
  small.rlim_cur = 4096;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto outcome = (*log)->append(std::vector<std::byte>(10000));
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::no_space) << outcome.error().message();
}

}  // namespace
}  // namespace wc::test
