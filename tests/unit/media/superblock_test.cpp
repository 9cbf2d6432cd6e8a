// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/media/superblock.cpp and little_endian.hpp: every field against literal bytes.
#include "media/superblock.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>

namespace {

using wc::Superblock;
using wc::media::decode_superblock;
using wc::media::encode_superblock;

using Raw = std::array<std::byte, wc::kSuperblockBytes>;

/// Byte i holds 0x10 + i, so that every field has a number of its own.
Raw counting_bytes() {
  Raw raw{};
  for (std::size_t i = 0; i < raw.size(); ++i) raw[i] = std::byte(0x10 + i);
  return raw;
}

TEST(SuperblockDecode, TakesEveryFieldFromItsOwnBytes) {
  const Superblock superblock = decode_superblock(counting_bytes());
  EXPECT_EQ(superblock.magic, 0x13121110U);
  EXPECT_EQ(superblock.version, 0x17161514U);
  EXPECT_EQ(superblock.block_size, 0x1b1a1918U);
  EXPECT_EQ(superblock.pad, 0x1f1e1d1cU);
  EXPECT_EQ(superblock.n_blocks, 0x2726252423222120U);
  EXPECT_EQ(superblock.seq_count, 0x2f2e2d2c2b2a2928U);
  for (std::size_t i = 0; i < superblock.padding.size(); ++i) {
    EXPECT_EQ(superblock.padding[i], std::byte(0x30 + i)) << i;
  }
}

TEST(SuperblockDecode, UnderstandsWhatTheDriverWrites) {
  // The first 32 bytes of a cache with 254 blocks of 4096 bytes after two commits.
  const unsigned char literal[] = {0x21, 0x93, 0x48, 0x23, 0x01, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0,
                                   0xfe, 0,    0,    0,    0,    0, 0, 0, 2, 0,    0, 0, 0, 0, 0, 0};
  Raw raw{};
  std::memcpy(raw.data(), literal, sizeof literal);
  const Superblock superblock = decode_superblock(raw);
  EXPECT_EQ(superblock.magic, wc::kMagic);
  EXPECT_EQ(superblock.version, wc::kVersion);
  EXPECT_EQ(superblock.block_size, 4096U);
  EXPECT_EQ(superblock.n_blocks, 254U);
  EXPECT_EQ(superblock.seq_count, 2U);
  EXPECT_FALSE(superblock.has_nonzero_padding());
}

TEST(SuperblockEncode, WritesEveryByte) {
  const Raw expected = counting_bytes();
  Raw raw{};
  encode_superblock(decode_superblock(expected), raw);
  EXPECT_EQ(raw, expected);
  raw.fill(std::byte{0xff});
  encode_superblock(decode_superblock(expected), raw);
  EXPECT_EQ(raw, expected);
}

TEST(SuperblockEncode, DefaultsToTheDriversMagicAndVersion) {
  Raw raw{};
  encode_superblock(Superblock{}, raw);
  const unsigned char literal[8] = {0x21, 0x93, 0x48, 0x23, 1, 0, 0, 0};
  EXPECT_EQ(std::memcmp(raw.data(), literal, sizeof literal), 0);
  for (std::size_t i = sizeof literal; i < raw.size(); ++i) EXPECT_EQ(raw[i], std::byte{0}) << i;
}

TEST(Superblock, NoticesEveryNonZeroByteOfPadAndPadding) {
  Raw zeros{};
  EXPECT_FALSE(decode_superblock(zeros).has_nonzero_padding());
  for (std::size_t i = 0; i < zeros.size(); ++i) {
    Raw raw{};
    raw[i] = std::byte{0x80};
    const bool is_padding = (i >= 12 && i < 16) || i >= 32;
    EXPECT_EQ(decode_superblock(raw).has_nonzero_padding(), is_padding) << i;
  }
}

TEST(EntryState, HasTheWordsOfTheContract) {
  using wc::EntryState;
  EXPECT_STREQ(wc::to_string(EntryState::live), "live");
  EXPECT_STREQ(wc::to_string(EntryState::stale), "stale");
  EXPECT_STREQ(wc::to_string(EntryState::uncommitted), "uncommitted");
  EXPECT_STREQ(wc::to_string(EntryState::future), "future");
  EXPECT_STREQ(wc::to_string(EntryState::free), "free");
}

}  // namespace
