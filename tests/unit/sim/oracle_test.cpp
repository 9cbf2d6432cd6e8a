// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests the image builder and the reference reader against each other and against fixed offsets.
#include "sim/oracle.hpp"

#include <gtest/gtest.h>

#include "sim/image_builder.hpp"

namespace wc::sim {
namespace {

TEST(ImageBuilder, PutsEveryFieldAtItsOffset) {
  const auto image =
      ImageBuilder(512, 40).seq_count(7).pad(9).entry(2, 0x1122334455667788U, 3).spare_bytes(512).build();
  EXPECT_EQ(load_u32(image, 0), 0x23489321U);
  EXPECT_EQ(image[0], std::byte{0x21});
  EXPECT_EQ(load_u32(image, 4), 1U);
  EXPECT_EQ(load_u32(image, 8), 512U);
  EXPECT_EQ(load_u32(image, 12), 9U);
  EXPECT_EQ(load_u64(image, 16), 40U);
  EXPECT_EQ(load_u64(image, 24), 7U);
  EXPECT_EQ(load_u64(image, 64 + 32), 0x1122334455667788U);
  EXPECT_EQ(load_u64(image, 64 + 40), 3U);
  EXPECT_EQ(load_u64(image, 64), kFreeSequence);
  // 64 + 640 bytes of metadata end in the second sector.
  EXPECT_EQ(image.size(), 1024U + 40U * 512U + 512U);
  EXPECT_EQ(load_u64(image, 1024 + 2 * 512), ImageBuilder::content_tag(2, 0x1122334455667788U, 3));
}

TEST(ImageBuilder, SettersOfTheSuperblockDoNotMoveTheData) {
  const auto whole = ImageBuilder(4096, 4).entry(1, 8, 0).build();
  const auto lying = ImageBuilder(4096, 4).entry(1, 8, 0).block_size(512).n_blocks(99).build();
  EXPECT_TRUE(std::equal(whole.begin() + 64, whole.end(), lying.begin() + 64, lying.end()));
}

TEST(Oracle, TheNewestCommittedEntryIsLive) {
  const auto origin = make_origin(64);
  const auto image = ImageBuilder(4096, 8)
                         .seq_count(5)
                         .entry(0, 8, 3)
                         .entry(1, 8, 4)
                         .entry(2, 8, 5)
                         .entry(3, 16, 6)
                         .freed_entry(4, 24)
                         .build();
  const auto merged = merged_content(image, origin);
  EXPECT_EQ(load_u64(merged.origin, 8 * 512), ImageBuilder::content_tag(1, 8, 4));
  EXPECT_TRUE(std::equal(merged.origin.begin() + 16 * 512, merged.origin.end(), origin.begin() + 16 * 512));
  const auto flushed = merged_with_uncommitted(image, origin);
  EXPECT_EQ(load_u64(flushed.origin, 8 * 512), ImageBuilder::content_tag(2, 8, 5));
}

TEST(Oracle, AmongIdenticalEntriesTheHigherIndexIsLive) {
  const auto image = ImageBuilder(512, 8).seq_count(5).entry(6, 3, 2).entry(1, 3, 2).build();
  const auto merged = merged_content(image, make_origin(8));
  EXPECT_EQ(load_u64(merged.origin, 3 * 512), ImageBuilder::content_tag(6, 3, 2));
  EXPECT_TRUE(undamaged_live_blocks(image, std::nullopt).empty());
}

TEST(Oracle, BlocksThatDoNotFitTheOriginAreKeptBeside) {
  const auto image =
      ImageBuilder(4096, 8).seq_count(5).entry(0, 4, 1).entry(1, 64, 1).entry(2, 60, 1).entry(3, 56, 1).build();
  const auto origin = make_origin(64);
  const auto merged = merged_content(image, origin);
  EXPECT_EQ(merged.other.size(), 3U);
  EXPECT_EQ(undamaged_live_blocks(image, 64).size(), 1U);
  EXPECT_EQ(undamaged_live_blocks(image, std::nullopt).size(), 2U);
}

TEST(Oracle, WhatTheDriverWouldRefuseIsNoCache) {
  const auto is_cache = [](ImageBuilder builder) { return read_reference(builder.build()).has_value(); };
  const ImageBuilder good(4096, 4);
  EXPECT_TRUE(is_cache(good));
  EXPECT_FALSE(is_cache(ImageBuilder(good).magic(0)));
  EXPECT_FALSE(is_cache(ImageBuilder(good).version(2)));
  EXPECT_FALSE(is_cache(ImageBuilder(good).block_size(4095)));
  EXPECT_FALSE(is_cache(ImageBuilder(good).n_blocks(0)));
  EXPECT_FALSE(is_cache(ImageBuilder(good).n_blocks(5)));
  EXPECT_TRUE(is_cache(ImageBuilder(good).n_blocks(3)));
  EXPECT_FALSE(read_reference(Bytes(63)).has_value());
}

TEST(Oracle, ADifferenceIsNamed) {
  const auto origin = make_origin(64);
  const auto one = merged_content(ImageBuilder(512, 4).seq_count(5).entry(0, 9, 1).build(), origin);
  const auto two = merged_content(ImageBuilder(512, 4).seq_count(5).build(), origin);
  EXPECT_EQ(difference(one, one), "");
  EXPECT_EQ(difference(one, two), "merged content differs at origin sector 9");
}

TEST(RandomImage, IsTheSameForTheSameSeedAndHoldsWhatWasAskedFor) {
  RandomImageOptions options;
  options.n_blocks = 200;
  options.future_one_in = 10;
  options.identical_one_in = 10;
  Random one(3);
  Random two(3);
  const auto image = random_image(one, options).build();
  EXPECT_EQ(image, random_image(two, options).build());
  const auto reference = read_reference(image);
  ASSERT_TRUE(reference.has_value());
  int uncommitted = 0;
  int future = 0;
  for (const auto& entry : reference->entries) {
    uncommitted += entry.seq_count == 40 ? 1 : 0;
    future += entry.seq_count > 40 && entry.seq_count != kFreeSequence ? 1 : 0;
  }
  EXPECT_GT(uncommitted, 0);
  EXPECT_GT(future, 0);
  EXPECT_GT(reference->live().size(), 20U);
}

}  // namespace
}  // namespace wc::sim
