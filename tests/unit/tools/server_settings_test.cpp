// SPDX-License-Identifier: LGPL-2.1-or-later
// The settings of a served cache: their texts, their way through words, their limits; and addresses.
#include "wc-run/server_settings.hpp"

#include <gtest/gtest.h>

#include "wc-run/nbd_address.hpp"

namespace wc::tools {
namespace {

TEST(ServerSettings, WordsGiveTheSameSettingsAgain) {
  ServerSettings settings;
  for (const auto& [name, text] : std::vector<std::pair<std::string, std::string>>{{"cache", "/c d"},
                                                                                   {"origin", "/o=x"},
                                                                                   {"start-sector", "8"},
                                                                                   {"origin_start_sector", "16"},
                                                                                   {"type", "P"},
                                                                                   {"block_size", "4K"},
                                                                                   {"length", "1M"},
                                                                                   {"high-watermark", "70"},
                                                                                   {"low_watermark", "7"},
                                                                                   {"max_age", "9"},
                                                                                   {"cleaner", "true"},
                                                                                   {"fua", "false"},
                                                                                   {"read_only", "yes"},
                                                                                   {"name", "n"},
                                                                                   {"control", "/s"},
                                                                                   {"report_fd", "5"}}) {
    ASSERT_EQ(settings.set(name, text), std::nullopt) << name;
  }
  ServerSettings again;
  for (const std::string& word : settings.words()) {
    const std::size_t sign = word.find('=');
    ASSERT_EQ(again.set(word.substr(0, sign), word.substr(sign + 1)), std::nullopt) << word;
  }
  EXPECT_EQ(again.words(), settings.words());
  EXPECT_EQ(again.cache, "/c d");
  EXPECT_EQ(again.origin, "/o=x");
  EXPECT_EQ(again.start_sector, 8U);
  EXPECT_EQ(again.origin_start_sector, 16U);
  EXPECT_EQ(again.length, 2048U);
  EXPECT_TRUE(again.read_only);
  const EngineOptions options = again.engine_options(CacheType::pmem, *again.block_bytes);
  EXPECT_EQ(options.block_bytes, 4096U);
  EXPECT_EQ(options.high_watermark_percent, 70U);
  EXPECT_EQ(options.low_watermark_percent, 7U);
  EXPECT_EQ(options.max_age_ms, 9U);
  EXPECT_EQ(options.fua, false);
  EXPECT_TRUE(options.cleaner);
}

TEST(ServerSettings, TheLastWordCounts) {
  ServerSettings settings;
  for (const char* const text : {"true", "false"})
    ASSERT_EQ(settings.set("cleaner", text), std::nullopt);
  ASSERT_EQ(settings.set("fua", "true"), std::nullopt);
  ASSERT_EQ(settings.set("nofua", "true"), std::nullopt);
  ASSERT_EQ(settings.set("max_age", "1"), std::nullopt);
  ASSERT_EQ(settings.set("max_age", "2"), std::nullopt);
  const auto words = settings.optional_words();
  EXPECT_EQ(words.text, " max_age 2 nofua");
  EXPECT_EQ(words.count, 3U);
}

TEST(ServerSettings, RefusesWhatNoSettingTakes) {
  for (const auto& [name, text] : std::vector<std::pair<std::string, std::string>>{{"unknown", "1"},
                                                                                   {"high_watermark", "101"},
                                                                                   {"high_watermark", "-1"},
                                                                                   {"high_watermark", ""},
                                                                                   {"cleaner", "maybe"},
                                                                                   {"type", "x"},
                                                                                   {"block_size", "1000"},
                                                                                   {"length", "x"},
                                                                                   {"report_fd", "x"},
                                                                                   {"start_sector", "x"},
                                                                                   {"read_only", "2"}}) {
    ServerSettings settings;
    EXPECT_NE(settings.set(name, text), std::nullopt) << name << "=" << text;
  }
}

TEST(ServerSettings, ContradictionsAreToldForTheTypeThatIsServed) {
  ServerSettings settings;
  ASSERT_EQ(settings.set("pause_writeback", "5"), std::nullopt);
  EXPECT_EQ(settings.contradiction(CacheType::ssd), std::nullopt);
  EXPECT_NE(settings.contradiction(CacheType::pmem), std::nullopt);
  settings = {};
  ASSERT_EQ(settings.set("fua", "true"), std::nullopt);
  EXPECT_NE(settings.contradiction(CacheType::ssd), std::nullopt);
  EXPECT_EQ(settings.contradiction(CacheType::pmem), std::nullopt);
  settings = {};
  settings.read_only = settings.format = true;
  EXPECT_NE(settings.contradiction(CacheType::ssd), std::nullopt);
}

TEST(NbdAddress, TakesUnixAndTcp) {
  EXPECT_EQ(parse_nbd_address("unix:/a b")->uri(), "nbd+unix:///?socket=/a%20b");
  EXPECT_EQ(parse_nbd_address("tcp:10809")->uri(), "nbd://127.0.0.1:10809");
  EXPECT_EQ(parse_nbd_address("tcp::10809")->uri(), "nbd://127.0.0.1:10809");
  EXPECT_EQ(parse_nbd_address("tcp:example.org:1")->uri(), "nbd://example.org:1");
  EXPECT_EQ(parse_nbd_address("tcp:[::1]:1")->uri(), "nbd://[::1]:1");
  for (const char* const text : {"", "unix:", "tcp:", "tcp:x", "tcp:h:0", "tcp:h:65536", "udp:1", "/path"})
    EXPECT_FALSE(parse_nbd_address(text)) << text;
}

}  // namespace
}  // namespace wc::tools
