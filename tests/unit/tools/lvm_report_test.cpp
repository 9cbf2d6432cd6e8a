// SPDX-License-Identifier: LGPL-2.1-or-later
// LVM's reports: those that Debian 12's lvm2 printed in tests/vm/lvm.py, and what becomes of them when a thing is off.
#include "common/lvm_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace wc::tools {
namespace {

using ::testing::HasSubstr;

// `lvs -a` of lvm2 2.03.16: vg/data in one piece, the origin of vg/more in two, vg/other on both physical volumes.
const char* const kVolumes = R"json({
      "report": [
          {
              "lv": [
                  {"vg_name":"vg", "lv_name":"data", "lv_active":"", "lv_size":"24576", "segtype":"writecache",
                   "stripes":"1", "seg_start":"0", "seg_size":"24576", "devices":"data_wcorig(0)",
                   "pool_lv":"[fast_cvol]", "origin":"[data_wcorig]", "writecache_block_size":"4096", "vg_extent_size":"2048"},
                  {"vg_name":"vg", "lv_name":"[data_wcorig]", "lv_active":"", "lv_size":"24576", "segtype":"linear",
                   "stripes":"1", "seg_start":"0", "seg_size":"24576", "devices":"/dev/vda(0)",
                   "pool_lv":"", "origin":"", "writecache_block_size":"-1", "vg_extent_size":"2048"},
                  {"vg_name":"vg", "lv_name":"[fast_cvol]", "lv_active":"", "lv_size":"16384", "segtype":"linear",
                   "stripes":"1", "seg_start":"0", "seg_size":"16384", "devices":"/dev/vdb(0)",
                   "pool_lv":"", "origin":"", "writecache_block_size":"-1", "vg_extent_size":"2048"},
                  {"vg_name":"vg", "lv_name":"[hot_cvol]", "lv_active":"", "lv_size":"16384", "segtype":"linear",
                   "stripes":"1", "seg_start":"0", "seg_size":"16384", "devices":"/dev/vdb(8)",
                   "pool_lv":"", "origin":"", "writecache_block_size":"-1", "vg_extent_size":"2048"},
                  {"vg_name":"vg", "lv_name":"more", "lv_active":"", "lv_size":"24576", "segtype":"writecache",
                   "stripes":"1", "seg_start":"0", "seg_size":"24576", "devices":"more_wcorig(0)",
                   "pool_lv":"[hot_cvol]", "origin":"[more_wcorig]", "writecache_block_size":"4096", "vg_extent_size":"2048"},
                  {"vg_name":"vg", "lv_name":"[more_wcorig]", "lv_active":"", "lv_size":"24576", "segtype":"linear",
                   "stripes":"1", "seg_start":"0", "seg_size":"12288", "devices":"/dev/vda(12)",
                   "pool_lv":"", "origin":"", "writecache_block_size":"-1", "vg_extent_size":"2048"},
                  {"vg_name":"vg", "lv_name":"[more_wcorig]", "lv_active":"", "lv_size":"24576", "segtype":"linear",
                   "stripes":"1", "seg_start":"12288", "seg_size":"12288", "devices":"/dev/vda(19)",
                   "pool_lv":"", "origin":"", "writecache_block_size":"-1", "vg_extent_size":"2048"},
                  {"vg_name":"vg", "lv_name":"other", "lv_active":"", "lv_size":"4096", "segtype":"linear",
                   "stripes":"1", "seg_start":"0", "seg_size":"2048", "devices":"/dev/vda(18)",
                   "pool_lv":"", "origin":"", "writecache_block_size":"-1", "vg_extent_size":"2048"},
                  {"vg_name":"vg", "lv_name":"other", "lv_active":"", "lv_size":"4096", "segtype":"linear",
                   "stripes":"1", "seg_start":"2048", "seg_size":"2048", "devices":"/dev/vdb(16)",
                   "pool_lv":"", "origin":"", "writecache_block_size":"-1", "vg_extent_size":"2048"}
              ]
          }
      ]
  }
)json";
const char* const kDevices = R"json({
      "report": [
          {
              "pv": [
                  {"vg_name":"vg", "pv_name":"/dev/vda", "pe_start":"2048"},
                  {"vg_name":"vg", "pv_name":"/dev/vdb", "pe_start":"2048"}
              ]
          }
      ]
  }
)json";

const LvmName kData{"vg", "data"};
const LvmName kMore{"vg", "more"};

/// The text with the first `from` behind `after` replaced, which must be there.
std::string changed(std::string text, const std::string& after, const std::string& from, const std::string& to) {
  const std::size_t begin = text.find(after);
  const std::size_t at = begin == std::string::npos ? begin : text.find(from, begin);
  if (at == std::string::npos) throw std::logic_error("the report has no " + from + " behind " + after);
  return text.replace(at, from.size(), to);
}

void expect_refusal(const Result<LvmCache>& found, ErrorCode code, const std::string& words) {
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, code);
  EXPECT_THAT(found.error().message(), HasSubstr(words));
}

TEST(LvmReport, FindsBothPartsInOnePiece) {
  const auto found = read_lvm_report(kData, kVolumes, kDevices);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->name, "vg/data");
  EXPECT_FALSE(found->is_active);
  EXPECT_EQ(found->block_bytes, 4096U);
  EXPECT_EQ(found->cache.name, "fast_cvol");
  ASSERT_TRUE(found->cache.is_one_piece());
  EXPECT_EQ(found->cache.extents[0].device, "/dev/vdb");
  EXPECT_EQ(found->cache.extents[0].device_first, 2048U);
  EXPECT_EQ(found->cache.extents[0].sectors, 16384U);
  ASSERT_TRUE(found->origin.is_one_piece());
  EXPECT_EQ(found->origin.extents[0].device, "/dev/vda");
  EXPECT_EQ(found->origin.extents[0].device_first, 2048U);
  EXPECT_EQ(found->origin.extents[0].sectors, 24576U);
}

TEST(LvmReport, GivesPiecesInTheirOrder) {
  const auto found = read_lvm_report(kMore, kVolumes, kDevices);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->cache.extents.at(0).device_first, 2048U + 8 * 2048);
  ASSERT_EQ(found->origin.extents.size(), 2U);
  EXPECT_EQ(found->origin.extents[0].first, 0U);
  EXPECT_EQ(found->origin.extents[0].device_first, 2048U + 12 * 2048);
  EXPECT_EQ(found->origin.extents[1].first, 12288U);
  EXPECT_EQ(found->origin.extents[1].device_first, 2048U + 19 * 2048);
}

TEST(LvmReport, JoinsPiecesThatFollowEachOtherOnTheDisk) {
  const auto found = read_lvm_report(kMore, changed(kVolumes, "vda(12)", "vda(19)", "vda(18)"), kDevices);
  ASSERT_TRUE(found) << found.error().message();
  ASSERT_TRUE(found->origin.is_one_piece());
  EXPECT_EQ(found->origin.extents[0].sectors, 24576U);
}

TEST(LvmReport, ActiveIsWhateverIsNotPlainlyInactive) {
  for (const char* state : {"active", "active exclusively", "active locally", "unknown", "suspended"}) {
    const auto found = read_lvm_report(
        kData, changed(kVolumes, "\"data\"", "\"lv_active\":\"\"", std::string("\"lv_active\":\"") + state + "\""),
        kDevices);
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->is_active) << state;
  }
  const auto part = read_lvm_report(
      kData, changed(kVolumes, "[fast_cvol]\", \"lv_active", "\"lv_active\":\"\"", "\"lv_active\":\"active\""),
      kDevices);
  ASSERT_TRUE(part);
  EXPECT_FALSE(part->is_active);
  EXPECT_TRUE(part->cache.is_active);
}

TEST(LvmReport, ARaidOrStripedPartIsComplicated) {
  const auto raid = read_lvm_report(
      kData,
      changed(changed(kVolumes, "[data_wcorig]\", \"lv_active", "linear", "raid1"), "[data_wcorig]\", \"lv_active",
              "/dev/vda(0)", "data_wcorig_rimage_0(0),data_wcorig_rimage_1(0)"),
      kDevices);
  ASSERT_TRUE(raid) << raid.error().message();
  EXPECT_EQ(raid->origin.complicated, "is of type raid1");
  EXPECT_TRUE(raid->origin.extents.empty());
  const auto striped = read_lvm_report(
      kData,
      changed(changed(kVolumes, "[data_wcorig]\", \"lv_active", "\"stripes\":\"1\"", "\"stripes\":\"2\""),
              "[data_wcorig]\", \"lv_active", "linear", "striped"),
      kDevices);
  ASSERT_TRUE(striped);
  EXPECT_EQ(striped->origin.complicated, "is striped over 2 devices");
}

TEST(LvmReport, OtherVolumesAreNoCachesAndUnknownOnesAreNotFound) {
  expect_refusal(read_lvm_report({"vg", "other"}, kVolumes, kDevices), ErrorCode::not_a_cache, "of type linear");
  expect_refusal(read_lvm_report({"vg", "fast_cvol"}, kVolumes, kDevices), ErrorCode::not_a_cache, "not its parts");
  expect_refusal(read_lvm_report({"vg", "nothing"}, kVolumes, kDevices), ErrorCode::not_found,
                 "no such logical volume");
  expect_refusal(read_lvm_report({"vg2", "data"}, kVolumes, kDevices), ErrorCode::not_found, "no such logical volume");
}

TEST(LvmReport, AnythingUnexpectedIsRefused) {
  const std::string part = "[fast_cvol]\", \"lv_active";
  const std::string volumes = kVolumes;
  const struct {
    std::string lvs, pvs, words;
  } cases[] = {
      {"", kDevices, "no JSON"},
      {volumes.substr(0, volumes.size() / 2), kDevices, "no JSON"},
      {"[]", kDevices, "no report"},
      {R"({"report": {}})", kDevices, "no report"},
      {R"({"report": [{"pv": []}]})", kDevices, "no list `lv`"},
      {R"({"report": [{"lv": 5}]})", kDevices, "not a list"},
      {R"({"report": [{"lv": [7]}]})", kDevices, "not an object"},
      {changed(volumes, "\"data\"", "\"lv_size\"", "\"size\""), kDevices, ""},
      {changed(volumes, part, "\"lv_size\":\"16384\"", "\"lv_size\":16384"), kDevices, "not a text"},
      {changed(volumes, part, "\"seg_size\":\"16384\"", "\"seg_size\":\"8.00m\""), kDevices, "8.00m"},
      {changed(volumes, part, "\"seg_size\":\"16384\"", "\"seg_size\":\"8192\""), kDevices, "not as long"},
      {changed(volumes, part, "\"seg_size\":\"16384\"", "\"seg_size\":\"0\""), kDevices, "empty"},
      {changed(volumes, part, "\"seg_start\":\"0\"", "\"seg_start\":\"2048\""), kDevices, "do not follow"},
      {changed(volumes, part, "/dev/vdb(0)", "/dev/vdb"), kDevices, "DEVICE(EXTENT)"},
      {changed(volumes, part, "/dev/vdb(0)", "/dev/vdb(x)"), kDevices, "DEVICE(EXTENT)"},
      {changed(volumes, part, "/dev/vdb(0)", ""), kDevices, "DEVICE(EXTENT)"},
      {changed(volumes, part, "/dev/vdb(0)", "[unknown](0)"), kDevices, "pvs does not list"},
      {changed(volumes, part, "/dev/vdb(0)", "/dev/vdb(18446744073709551615)"), kDevices, "on no device"},
      {changed(volumes, part, "\"vg_extent_size\":\"2048\"", "\"vg_extent_size\":\"0\""), kDevices, "on no device"},
      {changed(volumes, "\"data\"", "[fast_cvol]", "[slow_cvol]"), kDevices, "does not list slow_cvol"},
      {changed(volumes, "\"data\"", "\"writecache_block_size\":\"4096\"", "\"writecache_block_size\":\"4095\""),
       kDevices, "4095"},
      {volumes, "", "no JSON"},
      {volumes, changed(kDevices, "vdb", "\"pe_start\":\"2048\"", "\"pe_start\":\"-1\""), "pe_start"},
      {volumes, changed(kDevices, "vda", "/dev/vdb", "/dev/vda"), "twice"},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.words);
    const auto found = read_lvm_report(kData, one.lvs, one.pvs);
    if (one.words.empty()) {
      EXPECT_TRUE(found);  // the size of the cached volume itself is not needed
    } else {
      expect_refusal(found, ErrorCode::unsupported, one.words);
      EXPECT_THAT(found ? "" : found.error().message(), HasSubstr("not as expected"));
    }
  }
}

TEST(LvmReport, NamesAreTwoPartsThatLvmWouldTake) {
  const auto name = parse_lvm_name("vg-0/my.lv_1+2");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->group, "vg-0");
  EXPECT_EQ(name->volume, "my.lv_1+2");
  for (const char* text :
       {"", "vg", "/lv", "vg/", "a/b/c", "-v/lv", "vg/-l", "v g/lv", "vg/l;v", "../lv", "vg/..", "/dev/vg/lv"})
    EXPECT_FALSE(parse_lvm_name(text)) << text;
  EXPECT_FALSE(parse_lvm_name("vg/" + std::string(128, 'x')));
}

}  // namespace
}  // namespace wc::tools
