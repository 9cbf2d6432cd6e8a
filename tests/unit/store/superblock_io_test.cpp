// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/store/superblock_io.cpp.
#include "store/superblock_io.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "sim/image_builder.hpp"
#include "store/undo_writer.hpp"
#include "unit/store/simulated.hpp"

namespace {

using wc::DeviceId;
using wc::ErrorCode;
using wc::IoKind;
using wc::Superblock;
using wc::sim::Bytes;
using wc::sim::ImageBuilder;
using wc::sim::pattern;
using wc::store::open_cache;
using wc::store::read_superblock;
using wc::store::UndoWriter;
using wc::store::write_superblock;
using wc::test::Simulated;

Superblock sample() {
  Superblock out;
  out.block_size = 4096;
  out.n_blocks = 0x0102030405060708;
  out.seq_count = 0x1112131415161718;
  out.pad = 5;
  out.padding.fill(std::byte{9});
  return out;
}

TEST(WriteSuperblock, ChangesSixtyFourBytesDurably) {
  for (const std::uint32_t logical : {512U, 4096U}) {
    const Bytes before = pattern(1, 32768);
    Simulated machine(before, logical);
    ASSERT_TRUE(write_superblock(machine.disk, sample()));
    const Bytes durable = machine.disk.durable(DeviceId::cache);
    EXPECT_EQ(wc::sim::load_u32(durable, 0), wc::kMagic);
    EXPECT_EQ(wc::sim::load_u32(durable, 4), 1U);
    EXPECT_EQ(wc::sim::load_u32(durable, 8), 4096U);
    EXPECT_EQ(wc::sim::load_u32(durable, 12), 5U);
    EXPECT_EQ(wc::sim::load_u64(durable, 16), 0x0102030405060708U);
    EXPECT_EQ(wc::sim::load_u64(durable, 24), 0x1112131415161718U);
    EXPECT_TRUE(std::all_of(durable.begin() + 32, durable.begin() + 64, [](std::byte b) { return b == std::byte{9}; }));
    EXPECT_TRUE(std::equal(durable.begin() + 64, durable.end(), before.begin() + 64));
    EXPECT_EQ(machine.disk.completed_fua(DeviceId::cache), 1U);
    EXPECT_EQ(machine.disk.completed(DeviceId::cache, IoKind::write), 1U);
    const auto again = read_superblock(machine.disk);
    ASSERT_TRUE(again);
    ASSERT_TRUE(*again);
    EXPECT_EQ((*again)->n_blocks, sample().n_blocks);
    EXPECT_EQ((*again)->seq_count, sample().seq_count);
    EXPECT_TRUE((*again)->has_nonzero_padding());
  }
}

TEST(WriteSuperblock, SavesTheOldBytesFirst) {
  Simulated machine(pattern(1, 32768));
  auto undo = UndoWriter::open(machine.undo, machine.disk.info(DeviceId::cache));
  ASSERT_TRUE(undo);
  ASSERT_TRUE(write_superblock(machine.disk, sample(), &*undo));
  int records = 0;
  auto visited = wc::store::visit_undo_backwards(
      machine.undo, machine.disk.info(DeviceId::cache), [&](const wc::store::UndoRecord& record) {
        ++records;
        EXPECT_EQ(record.offset_bytes, 0U);
        EXPECT_GE(record.length_bytes, 64U);
        Bytes saved(record.length_bytes);
        EXPECT_TRUE(machine.undo.read(record.payload_offset_bytes, saved));
        EXPECT_EQ(saved, pattern(1, record.length_bytes));
        return wc::Result<void>{};
      });
  EXPECT_TRUE(visited);
  EXPECT_EQ(records, 1);
  EXPECT_EQ(machine.undo.durable(), machine.undo.content());
}

TEST(WriteSuperblock, ChangesNothingWhereTheOldBytesCannotBeSaved) {
  for (const auto call : {wc::sim::UndoCall::append, wc::sim::UndoCall::sync}) {
    Simulated machine(pattern(1, 32768));
    auto undo = UndoWriter::open(machine.undo, machine.disk.info(DeviceId::cache));
    ASSERT_TRUE(undo);
    machine.undo.inject({.call = call, .nth = machine.undo.calls(call)});
    EXPECT_FALSE(write_superblock(machine.disk, sample(), &*undo));
    EXPECT_EQ(machine.disk.content(DeviceId::cache), pattern(1, 32768));
  }
}

TEST(WriteSuperblock, ReportsFailures) {
  for (const IoKind kind : {IoKind::read, IoKind::write}) {
    Simulated machine(pattern(1, 32768));
    machine.disk.inject({.kind = kind});
    const auto failed = write_superblock(machine.disk, sample());
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, ErrorCode::io);
  }
}

TEST(ReadSuperblock, FindsNoneOnADeviceThatCannotHoldOne) {
  for (const std::size_t bytes : {1U, 63U, 64U, 100U, 511U}) {
    Simulated machine(Bytes(bytes, std::byte{1}));
    const auto found = read_superblock(machine.disk);
    ASSERT_TRUE(found) << bytes << ": " << found.error().message();
    EXPECT_FALSE(*found) << bytes;
    EXPECT_EQ(open_cache(machine.disk).error().code, ErrorCode::not_a_cache);
  }
  Simulated machine(Bytes(512, std::byte{1}));
  const auto found = read_superblock(machine.disk);
  ASSERT_TRUE(found);
  ASSERT_TRUE(*found);
  EXPECT_EQ((*found)->magic, 0x01010101U);
}

TEST(ReadSuperblock, ReportsAFailedRead) {
  Simulated machine(pattern(1, 4096));
  machine.disk.inject({.kind = IoKind::read});
  EXPECT_EQ(read_superblock(machine.disk).error().code, ErrorCode::io);
}

TEST(OpenCache, TakesASoundSuperblock) {
  Simulated machine(ImageBuilder(4096, 16).seq_count(7).build());
  const auto cache = open_cache(machine.disk);
  ASSERT_TRUE(cache);
  EXPECT_EQ(cache->superblock.seq_count, 7U);
  EXPECT_EQ(cache->geometry.n_blocks, 16U);
  EXPECT_EQ(cache->geometry.block_bytes, 4096U);
  EXPECT_EQ(cache->geometry.data_offset_bytes, 4096U);
}

TEST(OpenCache, SaysWhatIsWrong) {
  const auto complaint = [](const ImageBuilder& builder) {
    Simulated machine(builder.build());
    const auto refused = open_cache(machine.disk);
    EXPECT_FALSE(refused);
    if (refused) return std::string();
    EXPECT_EQ(refused.error().code, ErrorCode::not_a_cache);
    return refused.error().context;
  };
  EXPECT_NE(complaint(ImageBuilder().magic(0).version(0)).find("zero"), std::string::npos);
  EXPECT_NE(complaint(ImageBuilder().magic(0)).find("magic"), std::string::npos);
  EXPECT_NE(complaint(ImageBuilder().magic(0x21934823)).find("magic"), std::string::npos);
  EXPECT_NE(complaint(ImageBuilder().version(0)).find("version"), std::string::npos);
  EXPECT_NE(complaint(ImageBuilder().version(2)).find("version"), std::string::npos);
  EXPECT_NE(complaint(ImageBuilder().block_size(3000)).find("block size"), std::string::npos);
  EXPECT_NE(complaint(ImageBuilder().block_size(0)).find("block size"), std::string::npos);
  EXPECT_NE(complaint(ImageBuilder().n_blocks(0)).find("number of blocks"), std::string::npos);
  EXPECT_NE(complaint(ImageBuilder().n_blocks(17)).find("do not fit"), std::string::npos);
  EXPECT_NE(complaint(ImageBuilder().n_blocks(~std::uint64_t{0})).find("number of blocks"), std::string::npos);
}

}  // namespace
