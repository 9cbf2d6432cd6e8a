// SPDX-License-Identifier: LGPL-2.1-or-later
// Explanations of pasted lines: every known message with any prefix, status and table lines, and what is none of these.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "wc-check/explanation.hpp"
#include "wc-check/known_messages.hpp"

namespace wc::tools {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;

/// A message of the table with numbers and words in place of its fields.
std::string sample_of(const KnownMessage& known) {
  std::string text;
  std::size_t field = 0;
  for (const char* letter = known.text; *letter != '\0'; ++letter) {
    if (*letter != '%') {
      text += *letter;
      continue;
    }
    text += known.fields.at(field++).kind == FieldKind::text ? "vg/lv" : "4096";
  }
  return text;
}

std::string meaning_of(const std::string& line) {
  const auto explanation = explain_line(line);
  return explanation ? explanation->meaning : "none";
}

testing::Matcher<Explanation> has_part(const std::string& name, const std::string& value, const std::string& meaning) {
  return Field(&Explanation::parts, Contains(AllOf(Field(&TextRow::name, name), Field(&TextRow::value, value),
                                                   Field(&TextRow::meaning, HasSubstr(meaning)))));
}

TEST(Explain, EveryKnownMessageIsFoundBehindEveryPrefix) {
  ASSERT_GT(known_messages().size(), 50U);
  for (const KnownMessage& known : known_messages()) {
    const std::string sample = sample_of(known);
    for (const char* const prefix :
         {"", "  ", "[   12.345678] device-mapper: writecache: ", "<3>[ 1.5] device-mapper: writecache: ",
          "device-mapper: table: 253:3: writecache: ", "Nov 25 10:00:00 host kernel: device-mapper: writecache: ",
          "[Wed Nov 25 10:00:00 2026] device-mapper: writecache: ", "  WARNING: "}) {
      if (std::string(prefix) == "  WARNING: " && std::string(known.source) == "kernel") continue;
      const auto explanation = explain_line(prefix + sample);
      ASSERT_TRUE(explanation) << prefix << sample;
      EXPECT_EQ(explanation->kind, LineKind::message) << prefix << sample;
      EXPECT_EQ(explanation->meaning, known.meaning) << prefix << sample;
      EXPECT_EQ(explanation->source, known.source);
      EXPECT_NE(explanation->action, "") << sample;
    }
  }
}

TEST(Explain, EveryKnownMessageIsThereOnceAndInWholeSentences) {
  std::set<std::string> texts;
  for (const KnownMessage& known : known_messages()) {
    EXPECT_TRUE(texts.insert(known.text).second) << known.text;
    for (const std::string text : {known.meaning, known.action}) {
      EXPECT_THAT(text, testing::AnyOf(testing::EndsWith("."), testing::EndsWith("?"))) << known.text;
    }
    const std::string text = known.text;
    const auto fields = static_cast<std::size_t>(std::count(text.begin(), text.end(), '%'));
    for (std::size_t i = 0; i < known.fields.size(); ++i)
      EXPECT_EQ(known.fields.at(i).kind != FieldKind::none, i < fields) << known.text;
  }
}

TEST(Explain, TwoIdenticalEntriesAreTakenApart) {
  const auto explanation =
      explain_line("[  7.1] device-mapper: writecache: two identical entries, position 60, sector 3200, sequence 5");
  ASSERT_TRUE(explanation);
  EXPECT_THAT(*explanation, has_part("position", "60", "index"));
  EXPECT_THAT(*explanation, has_part("sector", "3200", "byte 1638400 (1.6 MiB)"));
  EXPECT_THAT(*explanation, has_part("sequence", "5", "commit"));
  EXPECT_THAT(explanation->meaning, HasSubstr("error flag"));
  EXPECT_THAT(*explain_line("writecache: two identical entries, position 1, sector 18446744073709551608, sequence 5"),
              has_part("sector", "18446744073709551608", "beyond any device"));
}

TEST(Explain, LoadErrorsNameTheDeviceAndTheErrno) {
  const auto explanation =
      explain_line("device-mapper: table: 253:3: writecache: Invalid magic in the superblock (-EINVAL)");
  ASSERT_TRUE(explanation);
  EXPECT_THAT(*explanation, has_part("device", "253:3", "minor"));
  EXPECT_THAT(*explanation, has_part("error", "EINVAL", "table"));
  EXPECT_THAT(*explain_line("device-mapper: writecache: write error -5"),
              has_part("error", "-5", "Input/output error"));
}

TEST(Explain, ShortMessagesOfOthersAreNotOurs) {
  for (const char* const line :
       {"usb 1-1: copy error", "nfs: Bad arguments", "copy errors: 5 writecache is fine",
        "device-mapper: writecache: two identical entries, position x, sector 1, sequence 2"}) {
    const auto explanation = explain_line(line);
    EXPECT_TRUE(!explanation || explanation->kind == LineKind::unknown) << line;
  }
  EXPECT_FALSE(explain_line("usb 1-1: copy error"));
  EXPECT_FALSE(explain_line("EXT4-fs (dm-1): mounted filesystem"));
  EXPECT_FALSE(explain_line(""));
  EXPECT_EQ(explain_line("device-mapper: writecache: something new")->kind, LineKind::unknown);
}

TEST(Explain, NamesMayHoldDots) {
  EXPECT_THAT(*explain_line("  Failed to flush writecache for vg.fast/main.1."),
              has_part("volume", "vg.fast/main.1", ""));
  EXPECT_THAT(*explain_line("  Logical volume vg.a/main writecache has been detached."),
              has_part("volume", "vg.a/main", ""));
}

TEST(Explain, StatusLinesOfFourteenAndOfFourNumbers) {
  const auto explanation = explain_line("vg-lv: 0 131072 writecache 0 254 192 3 100 90 500 10 20 30 440 0 7 2");
  ASSERT_TRUE(explanation);
  EXPECT_EQ(explanation->kind, LineKind::status);
  EXPECT_THAT(explanation->meaning, HasSubstr("draining"));
  EXPECT_THAT(*explanation, has_part("name", "vg-lv", "/dev/mapper"));
  EXPECT_THAT(*explanation, has_part("length", "131072", "64.0 MiB"));
  EXPECT_THAT(*explanation, has_part("free", "192", "76 %"));
  EXPECT_THAT(*explanation, has_part("read_hits", "90", "90 %"));
  EXPECT_THAT(*explanation, has_part("discards", "2", "2 blocks"));
  const auto old = explain_line("0 131072 writecache 0 254 254 0");
  ASSERT_TRUE(old);
  EXPECT_EQ(old->kind, LineKind::status);
  EXPECT_THAT(old->meaning, HasSubstr("empty"));
  EXPECT_THAT(*old, Not(has_part("reads", "0", "")));
  EXPECT_THAT(meaning_of("0 8 writecache 1 254 200 0 0 0 0 0 0 0 0 0 0 0"), HasSubstr("failed"));
  EXPECT_THAT(meaning_of("0 8 writecache -5 254 200 0 0 0 0 0 0 0 0 0 0 0"), HasSubstr("failed"));
  EXPECT_THAT(meaning_of("0 8 writecache 0 254 200 0 0 0 0 0 0 0 0 0 0 0"), HasSubstr("filling"));
  EXPECT_THAT(meaning_of("0 8 writecache 0 254 0 0 0 0 0 0 0 0 0 0 0 0"), HasSubstr("full"));
}

TEST(Explain, BrokenStatusLinesAreNotTrusted) {
  for (const char* const line :
       {"0 8 writecache", "0 8 writecache 0", "0 8 writecache 0 1 2 3 4 5",
        "0 8 writecache 0 254 255 0 0 0 0 0 0 0 0 0 0 0", "0 8 writecache 0 254 0 255 0 0 0 0 0 0 0 0 0 0",
        "0 8 writecache 0 254 200 -1 0 0 0 0 0 0 0 0 0 0",
        "0 8 writecache 0 18446744073709551616 0 0 0 0 0 0 0 0 0 0 0 0",
        "0 8 writecache 0 254 200 0 0 0 0 0 0 0 0 0 0 0 0"}) {
    const auto explanation = explain_line(line);
    ASSERT_TRUE(explanation) << line;
    EXPECT_EQ(explanation->kind, LineKind::unknown) << line;
    EXPECT_THAT(explanation->meaning, HasSubstr("not a status line")) << line;
  }
}

TEST(Explain, TableLinesAreTakenApart) {
  const auto explanation = explain_line(
      "wc: 2048 131072 writecache s 253:1 8:16 4096 7 start_sector 8 max_age 90000 high_watermark 60 cleaner");
  ASSERT_TRUE(explanation);
  EXPECT_EQ(explanation->kind, LineKind::table);
  EXPECT_THAT(*explanation, has_part("start", "2048", "begins"));
  EXPECT_THAT(*explanation, has_part("type", "s", "SSD"));
  EXPECT_THAT(*explanation, has_part("origin", "253:1", "/dev/block/253:1"));
  EXPECT_THAT(*explanation, has_part("cache", "8:16", "/dev/block/8:16"));
  EXPECT_THAT(*explanation, has_part("block size", "4096", "bytes"));
  EXPECT_THAT(*explanation, has_part("max_age", "90000", "90 s"));
  EXPECT_THAT(*explanation, has_part("high_watermark", "60", "Write back"));
  EXPECT_THAT(*explanation, has_part("cleaner", "", "Write everything back"));
  EXPECT_THAT(explanation->action,
              HasSubstr("wc-check --origin /dev/block/253:1 --block-size 4096 --start-sector 8 /dev/block/8:16"));
  EXPECT_THAT(*explain_line("0 8 writecache p o c 512 1 nofua"), has_part("nofua", "", "flushes"));
}

TEST(Explain, TableLinesThatTheDriverRefusesSayWhy) {
  EXPECT_THAT(meaning_of("0 8 writecache s o c 1000 0"), HasSubstr("Invalid block size"));
  EXPECT_THAT(meaning_of("0 8 writecache s o c 4096 2 high_watermark 40"), HasSubstr("High watermark"));
  EXPECT_THAT(meaning_of("0 8 writecache s o c"), HasSubstr("Bad arguments"));
  EXPECT_THAT(meaning_of("0 8 writecache x o c 4096 0"), HasSubstr("Bad arguments"));
}

}  // namespace
}  // namespace wc::tools
