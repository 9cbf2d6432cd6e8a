// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/media/entry.hpp: entries against literal bytes, and the state of one entry seen alone.
#include "media/entry.hpp"

#include <gtest/gtest.h>

#include <array>

namespace {

using wc::Entry;
using wc::EntryState;
using wc::kFreeSequence;
using wc::media::state_of;

std::array<std::byte, 18> counting_bytes() {
  std::array<std::byte, 18> raw{};
  for (std::size_t i = 0; i < raw.size(); ++i) raw[i] = std::byte(i);
  return raw;
}

TEST(Entry, IsLoadedFromItsOwnBytesAtAnyAlignment) {
  const auto raw = counting_bytes();
  const Entry entry = wc::media::load_entry(raw.data() + 1);
  EXPECT_EQ(entry.original_sector, 0x0807060504030201U);
  EXPECT_EQ(entry.seq_count, 0x100f0e0d0c0b0a09U);
}

TEST(Entry, IsStoredInSixteenBytesAndNoMore) {
  std::array<std::byte, 18> raw{};
  raw.fill(std::byte{0xee});
  wc::media::store_entry(raw.data() + 1, {0x0807060504030201U, 0x100f0e0d0c0b0a09U});
  auto expected = counting_bytes();
  expected.front() = expected.back() = std::byte{0xee};
  EXPECT_EQ(raw, expected);
}

TEST(Entry, StoringTheSequenceLeavesTheSector) {
  auto raw = counting_bytes();
  wc::media::store_sequence(raw.data() + 1, kFreeSequence);
  auto expected = counting_bytes();
  for (std::size_t i = 9; i < 17; ++i) expected[i] = std::byte{0xff};
  EXPECT_EQ(raw, expected);
}

TEST(Entry, IsFreeByDefault) {
  std::array<std::byte, 16> raw{};
  wc::media::store_entry(raw.data(), Entry{});
  for (const std::byte byte : raw) EXPECT_EQ(byte, std::byte{0xff});
}

TEST(EntryStateOf, FollowsTheTableOfTheFormat) {
  EXPECT_EQ(state_of(kFreeSequence, 5), EntryState::free);
  EXPECT_EQ(state_of(0, 5), EntryState::live);
  EXPECT_EQ(state_of(4, 5), EntryState::live);
  EXPECT_EQ(state_of(5, 5), EntryState::uncommitted);
  EXPECT_EQ(state_of(6, 5), EntryState::future);
  EXPECT_EQ(state_of(kFreeSequence - 1, 5), EntryState::future);
}

TEST(EntryStateOf, HoldsAtTheEndsOfTheSequences) {
  EXPECT_EQ(state_of(0, 0), EntryState::uncommitted);
  EXPECT_EQ(state_of(1, 0), EntryState::future);
  EXPECT_EQ(state_of(kFreeSequence, 0), EntryState::free);
  // S as large as the mark of a free entry: free wins, as the driver looks for the mark first.
  EXPECT_EQ(state_of(kFreeSequence, kFreeSequence), EntryState::free);
  EXPECT_EQ(state_of(kFreeSequence - 1, kFreeSequence), EntryState::live);
  EXPECT_EQ(state_of(kFreeSequence - 1, kFreeSequence - 1), EntryState::uncommitted);
}

}  // namespace
