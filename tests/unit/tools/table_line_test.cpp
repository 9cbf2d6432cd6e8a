// SPDX-License-Identifier: LGPL-2.1-or-later
// The table line pasted from dmsetup: what is taken, and refused in the driver's words.
#include "common/table_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/optional_arguments.hpp"

namespace wc::tools {
namespace {

using ::testing::Contains;
using ::testing::StartsWith;

const char* const kValid = "0 131072 writecache s /dev/origin /dev/cache 4096 2 high_watermark 60";

std::string refusal_of(const std::string& line) {
  const auto settings = parse_table_line(line);
  return settings ? "accepted" : settings.error().message();
}

TEST(TableLine, TakesWhatDmsetupPrints) {
  const auto settings = parse_table_line(kValid);
  ASSERT_TRUE(settings) << settings.error().message();
  EXPECT_THAT(*settings, Contains(Setting("length", "131072")));
  EXPECT_THAT(*settings, Contains(Setting("type", "s")));
  EXPECT_THAT(*settings, Contains(Setting("origin", "/dev/origin")));
  EXPECT_THAT(*settings, Contains(Setting("cache", "/dev/cache")));
  EXPECT_THAT(*settings, Contains(Setting("block-size", "4096")));
  EXPECT_THAT(*settings, Contains(Setting("high_watermark", "60")));
}

TEST(TableLine, TakesANameInFrontWordsOfAnyCaseAndDeviceNumbers) {
  const auto settings = parse_table_line("wc: 0 8 WriteCache P 253:1 8:16 512 3 Max_Age 7 NoFua\n");
  ASSERT_TRUE(settings) << settings.error().message();
  EXPECT_THAT(*settings, Contains(Setting("type", "p")));
  EXPECT_THAT(*settings, Contains(Setting("origin", "/dev/block/253:1")));
  EXPECT_THAT(*settings, Contains(Setting("cache", "/dev/block/8:16")));
  EXPECT_THAT(*settings, Contains(Setting("max_age", "7")));
  EXPECT_THAT(*settings, Contains(Setting("nofua", "true")));
}

TEST(TableLine, RefusesWrongWordsWithBadArguments) {
  for (const char* const line :
       {"", "0", "0 8 writecache s o c 4096", "1 8 writecache s o c 4096 0", "0 0 writecache s o c 4096 0",
        "0 8 linear s o c 4096 0", "0 8 writecache x o c 4096 0", "0 8 writecache s o c 4096 1",
        "0 8 writecache s o c 4096 0 cleaner", "0 8 writecache s o c 4096 x"}) {
    EXPECT_THAT(refusal_of(line), StartsWith("Bad arguments")) << line;
  }
}

TEST(TableLine, RefusesBlockSizesThatAreNoPowerOfTwo) {
  for (const char* const size : {"0", "256", "1000", "131072", "4K", "-1"}) {
    EXPECT_THAT(refusal_of(std::string("0 8 writecache s o c ") + size + " 0"), StartsWith("Invalid block size"))
        << size;
  }
}

TEST(TableLine, RefusesOptionalsTheDriverDoesNotTake) {
  for (const char* const optionals : {"1 unknown", "1 high_watermark", "2 high_watermark 101", "2 high_watermark x",
                                      "2 autocommit_time 3600001", "2 max_age 86400001", "2 pause_writeback 60001",
                                      "2 writeback_jobs 4294967296", "1 fua", "2 writeback_jobs 0x1"}) {
    EXPECT_THAT(refusal_of(std::string("0 8 writecache s o c 4096 ") + optionals),
                StartsWith("Invalid optional argument"))
        << optionals;
  }
  EXPECT_THAT(refusal_of("0 8 writecache p o c 4096 2 pause_writeback 5"), StartsWith("Invalid optional argument"));
}

TEST(TableLine, RefusesAHighWatermarkBelowTheLowOne) {
  EXPECT_EQ(refusal_of("0 8 writecache s o c 4096 4 low_watermark 60 high_watermark 50"),
            "High watermark must be greater than or equal to low watermark");
  EXPECT_EQ(refusal_of("0 8 writecache s o c 4096 2 high_watermark 40"),
            "High watermark must be greater than or equal to low watermark");
  EXPECT_EQ(refusal_of("0 8 writecache s o c 4096 2 high_watermark 45"), "accepted");
}

}  // namespace
}  // namespace wc::tools
