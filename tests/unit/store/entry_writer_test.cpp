// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/store/entry_writer.cpp: what changes, what stays, and that the undo log comes first.
#include "store/entry_writer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "store/undo_writer.hpp"
#include "unit/store/simulated.hpp"

namespace {

using wc::BlockIndex;
using wc::DeviceId;
using wc::Error;
using wc::ErrorCode;
using wc::IoKind;
using wc::kFreeSequence;
using wc::Result;
using wc::Sequence;
using wc::sim::Bytes;
using wc::sim::UndoCall;
using wc::store::EntryWriter;
using wc::store::UndoRecord;
using wc::store::UndoWriter;
using wc::test::numbered_entries;
using wc::test::Simulated;

/// Two pieces of 64 KiB more than the writer has in flight at once.
constexpr BlockIndex kMany = 18 * 4096 + 77;

Bytes with_sequences(Bytes image, const std::vector<BlockIndex>& indexes, Sequence sequence) {
  for (const BlockIndex index : indexes) wc::sim::store_u64(image, 64 + 16 * index + 8, sequence);
  return image;
}

std::vector<BlockIndex> every(BlockIndex step, BlockIndex first = 0) {
  std::vector<BlockIndex> out;
  for (BlockIndex i = first; i < kMany; i += step) out.push_back(i);
  return out;
}

std::vector<std::vector<BlockIndex>> shapes() {
  std::vector<std::vector<BlockIndex>> out = {
      {},      {0},           {27},      {28},     {0, kMany - 1}, {kMany - 1}, {4091, 4092},  // around 64 KiB
      every(1), every(2, 1), every(28), every(97), every(4096),    every(20000, 3)};
  wc::sim::Random random(5);
  for (int i = 0; i < 12; ++i) {
    std::vector<BlockIndex> some;
    const std::uint64_t one_in = 1 + random.below(3000);
    for (BlockIndex index = random.below(kMany); index < kMany; index += 1 + random.below(one_in)) some.push_back(index);
    out.push_back(std::move(some));
  }
  return out;
}

class EntryWriterTest : public testing::TestWithParam<std::uint32_t> {};

TEST_P(EntryWriterTest, ChangesTheNamedSequencesAndNoOtherByte) {
  const Bytes before = numbered_entries(kMany);
  for (const auto& indexes : shapes()) {
    for (const Sequence sequence : {kFreeSequence, Sequence{0x0102030405060708}}) {
      Simulated machine(before, GetParam());
      EntryWriter writer(machine.disk);
      ASSERT_TRUE(writer.set_sequence(indexes, sequence));
      ASSERT_TRUE(machine.disk.content(DeviceId::cache) == with_sequences(before, indexes, sequence))
          << indexes.size() << " entries";
      EXPECT_EQ(machine.disk.poll(wc::Wait::no), 0U);
    }
  }
}

TEST_P(EntryWriterTest, CanBeUsedAgain) {
  Bytes expected = numbered_entries(kMany);
  Simulated machine(expected, GetParam());
  EntryWriter writer(machine.disk);
  Sequence sequence = 1;
  for (const auto& indexes : shapes()) {
    ASSERT_TRUE(writer.set_sequence(indexes, sequence));
    expected = with_sequences(std::move(expected), indexes, sequence);
    ++sequence;
  }
  EXPECT_TRUE(machine.disk.content(DeviceId::cache) == expected);
}

TEST_P(EntryWriterTest, WritesNoSectorThatNeedsNone) {
  Simulated machine(numbered_entries(kMany), GetParam());
  EntryWriter writer(machine.disk);
  ASSERT_TRUE(writer.set_sequence(std::vector<BlockIndex>{}, kFreeSequence));
  EXPECT_EQ(machine.disk.completed(DeviceId::cache, IoKind::write), 0U);
  ASSERT_TRUE(writer.set_sequence(std::vector<BlockIndex>{5, 6, 40000}, kFreeSequence));
  EXPECT_EQ(machine.disk.completed(DeviceId::cache, IoKind::write), 2U);
}

TEST_P(EntryWriterTest, ReportsAFailureOfAnyReadOrWrite) {
  const Bytes before = numbered_entries(kMany);
  const auto indexes = every(97);
  for (const IoKind kind : {IoKind::read, IoKind::write}) {
    for (std::uint64_t nth = 0; nth < 18; ++nth) {
      Simulated machine(before, GetParam());
      machine.disk.inject({.kind = kind, .nth = nth});
      EntryWriter writer(machine.disk);
      const auto failed = writer.set_sequence(indexes, kFreeSequence);
      ASSERT_FALSE(failed) << nth;
      EXPECT_EQ(failed.error().code, ErrorCode::io);
      EXPECT_EQ(machine.disk.poll(wc::Wait::no), 0U) << "nothing is left in flight";
      // Old or new, and nothing else: every entry in its own place.
      const Bytes content = machine.disk.content(DeviceId::cache);
      const Bytes after = with_sequences(before, indexes, kFreeSequence);
      for (std::size_t i = 0; i < content.size(); ++i) {
        if (content[i] != before[i] && content[i] != after[i]) FAIL() << "byte " << i;
      }
      machine.disk.clear_faults();
      ASSERT_TRUE(writer.set_sequence(indexes, kFreeSequence)) << "can be done again";
      EXPECT_TRUE(machine.disk.content(DeviceId::cache) == after);
    }
  }
}

/// Passes everything on and checks that no write overtakes the undo log.
class UndoFirstPort final : public wc::IoPort {
 public:
  UndoFirstPort(Simulated& machine, Bytes before) : machine_(machine), before_(std::move(before)) {}

  wc::DeviceInfo info(DeviceId device) const noexcept override { return machine_.disk.info(device); }
  std::size_t poll(wc::Wait wait) override { return machine_.disk.poll(wait); }
  void submit(wc::IoOp& op) noexcept override {
    if (op.kind == IoKind::write) {
      ++writes;
      if (!is_saved(op.offset_bytes, op.memory.size())) ++unsaved_writes;
    }
    machine_.disk.submit(op);
  }
  int writes = 0;
  int unsaved_writes = 0;

 private:
  /// True if what would survive a power cut now has the old bytes of the whole range.
  bool is_saved(std::uint64_t offset_bytes, std::uint64_t length_bytes) {
    wc::sim::SimPower power;
    const Bytes& durable = machine_.undo.durable();
    wc::sim::MemoryUndoLog survivor(durable, 1, power);
    bool is_found = false;
    auto visited = wc::store::visit_undo_backwards(survivor, info(DeviceId::cache), [&](const UndoRecord& record) {
      if (record.offset_bytes > offset_bytes || record.offset_bytes + record.length_bytes < offset_bytes + length_bytes) {
        return Result<void>{};
      }
      const auto at = [](std::uint64_t position) { return static_cast<std::ptrdiff_t>(position); };
      const std::uint64_t saved = record.payload_offset_bytes + (offset_bytes - record.offset_bytes);
      is_found = is_found || std::equal(durable.begin() + at(saved), durable.begin() + at(saved + length_bytes),
                                        before_.begin() + at(offset_bytes));
      return Result<void>{};
    });
    return visited && is_found;
  }

  Simulated& machine_;
  Bytes before_;
};

TEST_P(EntryWriterTest, SavesOldBytesDurablyBeforeAnyWrite) {
  const Bytes before = numbered_entries(kMany);
  for (const auto& indexes : {every(97), every(4096), std::vector<BlockIndex>{0}, every(1)}) {
    Simulated machine(before, GetParam());
    UndoFirstPort port(machine, before);
    auto undo = UndoWriter::open(machine.undo, port.info(DeviceId::cache));
    ASSERT_TRUE(undo);
    EntryWriter writer(port, &*undo);
    ASSERT_TRUE(writer.set_sequence(indexes, kFreeSequence));
    EXPECT_GT(port.writes, 0);
    EXPECT_EQ(port.unsaved_writes, 0);
    EXPECT_TRUE(machine.disk.content(DeviceId::cache) == with_sequences(before, indexes, kFreeSequence));
  }
}

TEST_P(EntryWriterTest, WritesNothingThatCouldNotBeSaved) {
  const Bytes before = numbered_entries(kMany);
  for (const UndoCall call : {UndoCall::append, UndoCall::sync}) {
    Simulated machine(before, GetParam());
    auto undo = UndoWriter::open(machine.undo, machine.disk.info(DeviceId::cache));
    ASSERT_TRUE(undo);
    machine.undo.inject({.call = call, .nth = machine.undo.calls(call), .persistent = true});
    EntryWriter writer(machine.disk, &*undo);
    const auto failed = writer.set_sequence(every(97), kFreeSequence);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, ErrorCode::no_space);
    EXPECT_EQ(machine.disk.completed(DeviceId::cache, IoKind::write), 0U);
  }
}

INSTANTIATE_TEST_SUITE_P(LogicalBlocks, EntryWriterTest, testing::Values(512U, 4096U));

}  // namespace
