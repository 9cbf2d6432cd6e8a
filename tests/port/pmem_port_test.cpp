// SPDX-License-Identifier: LGPL-2.1-or-later
// The contract of PmemPort (writecache/port.hpp) over libpmem2 on an ordinary file.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "io/pmem2_port.hpp"

namespace wc::test {
namespace {

constexpr std::uint64_t kFileBytes = 1U << 20;

class Pmem2PortOnFile : public testing::Test {
 protected:
  void SetUp() override {
    path_ = (std::filesystem::temp_directory_path() / "wc-pmem-XXXXXX").string();
    file_ = UniqueFd(::mkstemp(path_.data()));
    ASSERT_TRUE(file_);
    ASSERT_EQ(::ftruncate(file_.get(), kFileBytes), 0);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  Result<std::unique_ptr<Pmem2Port>> open(const PmemWindow& window, int flags = O_RDWR) {
    return Pmem2Port::create(UniqueFd(::open(path_.c_str(), flags | O_CLOEXEC)), window);
  }

  std::vector<std::byte> content(std::uint64_t offset_bytes, std::size_t bytes) {
    std::vector<std::byte> seen(bytes);
    EXPECT_EQ(::pread(file_.get(), seen.data(), bytes, static_cast<off_t>(offset_bytes)), static_cast<ssize_t>(bytes));
    return seen;
  }

  std::string path_;
  UniqueFd file_;
};

TEST_F(Pmem2PortOnFile, StoresLandInTheWindow) {
  constexpr std::uint64_t kOffset = 4096 * 3 + 512;
  auto port = open({kOffset, kFileBytes - kOffset, true});
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_EQ((*port)->view().size(), kFileBytes - kOffset);
  // One word, a few words, one odd piece, one large piece.
  for (const std::size_t bytes : {8U, 16U, 64U, 5U, 5000U}) {
    const std::vector<std::byte> data(bytes, static_cast<std::byte>(bytes % 255));
    (*port)->store(8192, data);
    (*port)->flush(8192, bytes);
    ASSERT_TRUE((*port)->fence());
    EXPECT_EQ(content(kOffset + 8192, bytes), data);
    EXPECT_EQ(std::memcmp((*port)->view().data() + 8192, data.data(), bytes), 0);
  }
  EXPECT_EQ(content(kOffset + 8184, 8), std::vector<std::byte>(8));
}

TEST_F(Pmem2PortOnFile, ManyScatteredFlushesAreFencedAtOnce) {
  auto port = open({0, kFileBytes, true});
  ASSERT_TRUE(port) << port.error().message();
  const std::vector<std::byte> data(8, std::byte{3});
  // In an order in which no two neighbours touch.
  for (std::uint64_t i = 0; i < 5000; ++i) {
    const std::uint64_t offset = (i * 7919 % 256) * 4096 + i % 512 * 8;
    (*port)->store(offset, data);
    (*port)->flush(offset, data.size());
  }
  EXPECT_TRUE((*port)->fence());
  EXPECT_TRUE((*port)->fence());
}

TEST_F(Pmem2PortOnFile, DataAreWrittenInOneStepWhateverTheGranularity) {
  for (const char* const granularity : {"PAGE", "CACHE_LINE"}) {
    ::setenv("PMEM2_FORCE_GRANULARITY", granularity, 1);
    constexpr std::uint64_t kOffset = 512;
    auto port = open({kOffset, kFileBytes - kOffset, true});
    ::unsetenv("PMEM2_FORCE_GRANULARITY");
    ASSERT_TRUE(port) << port.error().message();
    for (const std::size_t bytes : {8U, 64U, 512U, 4096U, 5001U}) {
      const std::vector<std::byte> data(bytes, static_cast<std::byte>(bytes % 253 + *granularity));
      (*port)->write(4096, data);
      EXPECT_EQ(std::memcmp((*port)->view().data() + 4096, data.data(), bytes), 0) << granularity << bytes;
      ASSERT_TRUE((*port)->fence());
      EXPECT_EQ(content(kOffset + 4096, bytes), data) << granularity << bytes;
    }
    EXPECT_EQ(content(kOffset + 4088, 8), std::vector<std::byte>(8));
  }
}

TEST_F(Pmem2PortOnFile, AReadOnlyFileCanBeViewed) {
  auto port = open({0, kFileBytes, false}, O_RDONLY);
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_EQ((*port)->view()[kFileBytes - 1], std::byte{0});
}

TEST_F(Pmem2PortOnFile, AWritableMappingNeedsAWritableFile) {
  auto port = open({0, kFileBytes, true}, O_RDONLY);
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::permission) << port.error().message();
}

TEST_F(Pmem2PortOnFile, AnEmptyWindowIsNothingToSee) {
  auto port = open({kFileBytes, 0, true});
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_TRUE((*port)->view().empty());
  EXPECT_TRUE((*port)->fence());
}

TEST_F(Pmem2PortOnFile, KnowsWhenTheFileWasCut) {
  auto port = open({4096, kFileBytes - 4096, true});
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_TRUE((*port)->holds(0, kFileBytes - 4096));
  EXPECT_FALSE((*port)->holds(0, kFileBytes));
  ASSERT_EQ(::ftruncate(file_.get(), 64 * 1024), 0);
  EXPECT_TRUE((*port)->holds(0, 60 * 1024));
  EXPECT_FALSE((*port)->holds(0, 60 * 1024 + 1));
}

TEST_F(Pmem2PortOnFile, WhatWasCutOffFailsAndDoesNotEndTheProcess) {
  auto port = open({4096, kFileBytes - 4096, true});
  ASSERT_TRUE(port) << port.error().message();
  ASSERT_EQ(::ftruncate(file_.get(), 64 * 1024), 0);
  std::vector<std::byte> block(4096, std::byte{1});
  EXPECT_TRUE((*port)->load(0, block));
  const auto loaded = (*port)->load(128 * 1024, block);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::io);
  EXPECT_EQ((*port)->failure(), nullptr);
  for (const std::size_t bytes : {std::size_t{16}, block.size()}) {
    (*port)->store(128 * 1024, std::span(block).first(bytes));
    EXPECT_NE((*port)->failure(), nullptr);
    EXPECT_FALSE((*port)->fence());
  }
  // For good, even if the file grows again: nobody knows what is missing.
  ASSERT_EQ(::ftruncate(file_.get(), kFileBytes), 0);
  EXPECT_FALSE((*port)->fence());
}

TEST_F(Pmem2PortOnFile, AFenceTellsThatStoredPagesWereCutOff) {
  auto port = open({0, kFileBytes, true});
  ASSERT_TRUE(port) << port.error().message();
  const std::vector<std::byte> block(4096, std::byte{1});
  (*port)->store(512 * 1024, block);
  (*port)->flush(512 * 1024, block.size());
  ASSERT_EQ(::ftruncate(file_.get(), 64 * 1024), 0);
  EXPECT_FALSE((*port)->fence());
}

TEST_F(Pmem2PortOnFile, ABusErrorOfSomebodyElseEndsTheProcess) {
  auto port = open({0, kFileBytes, true});
  ASSERT_TRUE(port) << port.error().message();
  // By the signal, or by the report of a sanitizer.
  EXPECT_EXIT(::raise(SIGBUS), [](int status) { return status != 0; }, "");
}

TEST_F(Pmem2PortOnFile, AFileShorterThanItsWindowIsRefused) {
  auto port = open({0, kFileBytes * 2, true});
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::io);
}

TEST(Pmem2Port, WhatCannotBeMappedIsUnsupported) {
  auto port = Pmem2Port::create(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)), {0, 4096, true});
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::unsupported) << port.error().message();
}

}  // namespace
}  // namespace wc::test
