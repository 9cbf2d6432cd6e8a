// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/store/undo_writer.cpp: round trip, torn tails, damage, foreign files.
#include "store/undo_writer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/crc.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/bytes.hpp"
#include "sim/memory_undo_log.hpp"
#include "sim/random.hpp"
#include "sim/sim_power.hpp"

namespace {

using wc::DeviceInfo;
using wc::ErrorCode;
using wc::Result;
using wc::sim::Bytes;
using wc::sim::MemoryUndoLog;
using wc::sim::pattern;
using wc::sim::SimPower;
using wc::sim::UndoCall;
using wc::store::UndoKind;
using wc::store::UndoRecord;
using wc::store::UndoWriter;
using wc::store::visit_undo_backwards;

DeviceInfo device(std::uint64_t size_bytes = 1 << 20, std::uint64_t window_offset_bytes = 512) {
  DeviceInfo out;
  out.size_bytes = size_bytes;
  out.window_offset_bytes = window_offset_bytes;
  return out;
}

struct Saved {
  UndoKind kind = UndoKind::overwritten;
  std::uint64_t offset_bytes = 0;
  std::uint64_t origin_sector = 0;
  Bytes data;

  friend bool operator==(const Saved&, const Saved&) = default;
};

struct Log {
  explicit Log(Bytes content = {}) : file(std::move(content), 1, power) {}
  SimPower power;
  MemoryUndoLog file;
};

/// What a log of four records holds, and where each record ends.
struct Sample {
  Bytes bytes;
  std::vector<Saved> records;
  std::vector<std::size_t> ends;  ///< of the header, then of each record

  Sample() {
    Log log;
    auto writer = UndoWriter::open(log.file, device());
    EXPECT_TRUE(writer);
    ends.push_back(log.file.content().size());
    records = {{UndoKind::barrier, 0, 0, {}},
               {UndoKind::overwritten, 4096, 0, pattern(1, 512)},
               {UndoKind::data_block, 8192, 1234567, pattern(2, 200)},
               {UndoKind::overwritten, (1 << 20) - 10, 0, pattern(3, 10)}};
    for (const Saved& record : records) {
      EXPECT_TRUE(append(*writer, record));
      ends.push_back(log.file.content().size());
    }
    EXPECT_TRUE(writer->sync());
    bytes = log.file.durable();
    EXPECT_EQ(bytes.size(), ends.back());
  }

  static Result<void> append(UndoWriter& writer, const Saved& record) {
    if (record.kind == UndoKind::barrier) return writer.barrier();
    if (record.kind == UndoKind::overwritten) return writer.save(record.offset_bytes, record.data);
    return writer.save_block(record.offset_bytes, record.origin_sector, record.data);
  }

  /// The first `count` records, newest first.
  std::vector<Saved> newest_first(std::size_t count) const {
    std::vector<Saved> out(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(count));
    std::reverse(out.begin(), out.end());
    return out;
  }
  /// Whole records in the first `size` bytes.
  std::size_t whole_in(std::size_t size) const {
    return static_cast<std::size_t>(std::upper_bound(ends.begin(), ends.end(), size) - ends.begin()) - 1;
  }
};

Result<std::vector<Saved>> visit_all(MemoryUndoLog& file, const DeviceInfo& cache = device()) {
  std::vector<Saved> out;
  auto visited = visit_undo_backwards(file, cache, [&](const UndoRecord& record) {
    Bytes data(record.length_bytes);
    if (auto read = file.read(record.payload_offset_bytes, data); !read) return read;
    out.push_back({record.kind, record.offset_bytes, record.origin_sector, std::move(data)});
    return Result<void>{};
  });
  if (!visited) return visited.error();
  return out;
}

TEST(UndoLog, YieldsWhatWasSavedNewestFirst) {
  const Sample sample;
  Log log(sample.bytes);
  const auto found = visit_all(log.file);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(*found, sample.newest_first(4));
}

TEST(UndoLog, OfNothingYieldsNothing) {
  Log log;
  ASSERT_TRUE(UndoWriter::open(log.file, device()));
  const auto found = visit_all(log.file);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->empty());
}

TEST(UndoLog, HoldsPayloadsLargerThanItsBuffers) {
  Log log;
  auto writer = UndoWriter::open(log.file, device());
  ASSERT_TRUE(writer);
  const Bytes large = pattern(4, 300000);
  ASSERT_TRUE(writer->save(0, large));
  ASSERT_TRUE(writer->save(0, std::span(large).first(65536)));
  const auto found = visit_all(log.file);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ((*found)[1].data, large);
}

TEST(UndoLog, StopsWithTheVisitorsError) {
  const Sample sample;
  Log log(sample.bytes);
  int calls = 0;
  auto visited = visit_undo_backwards(log.file, device(), [&](const UndoRecord&) -> Result<void> {
    ++calls;
    return wc::Error{ErrorCode::no_space, 0, 0, "full"};
  });
  ASSERT_FALSE(visited);
  EXPECT_EQ(visited.error().code, ErrorCode::no_space);
  EXPECT_EQ(calls, 1);
}

TEST(UndoTornTail, IsIgnoredAtEveryByte) {
  const Sample sample;
  for (std::size_t size = 0; size < sample.bytes.size(); ++size) {
    Log log(Bytes(sample.bytes.begin(), sample.bytes.begin() + static_cast<std::ptrdiff_t>(size)));
    const auto found = visit_all(log.file);
    if (size < sample.ends.front()) {
      ASSERT_FALSE(found) << size;
      EXPECT_EQ(found.error().code, ErrorCode::invalid_argument);
    } else {
      ASSERT_TRUE(found) << size;
      ASSERT_EQ(*found, sample.newest_first(sample.whole_in(size))) << size;
    }
  }
}

TEST(UndoTornTail, IsDroppedWhenTheLogGoesOnAtEveryByte) {
  const Sample sample;
  const Saved more{UndoKind::overwritten, 77, 0, pattern(5, 300)};
  for (std::size_t size = 0; size <= sample.bytes.size(); ++size) {
    Log log(Bytes(sample.bytes.begin(), sample.bytes.begin() + static_cast<std::ptrdiff_t>(size)));
    auto writer = UndoWriter::open(log.file, device());
    ASSERT_TRUE(writer) << size;
    ASSERT_TRUE(Sample::append(*writer, more));
    const auto found = visit_all(log.file);
    ASSERT_TRUE(found) << size;
    std::vector<Saved> expected = sample.newest_first(size < sample.ends.front() ? 0 : sample.whole_in(size));
    expected.insert(expected.begin(), more);
    ASSERT_EQ(*found, expected) << size;
  }
}

TEST(UndoDamage, IsNeverTakenForSavedBytes) {
  const Sample sample;
  for (std::size_t at = 0; at < sample.bytes.size(); ++at) {
    Bytes bytes = sample.bytes;
    bytes[at] ^= std::byte{0x10};
    Log log(bytes);
    const auto found = visit_all(log.file);
    if (at < sample.ends[3]) {
      // Records follow that were saved later: undoing some of them only would mix old and new.
      ASSERT_FALSE(found) << at;
      EXPECT_EQ(found.error().code, ErrorCode::invalid_argument);
      EXPECT_FALSE(UndoWriter::open(log.file, device())) << at;
      EXPECT_EQ(log.file.content(), bytes) << "a damaged log must not be cut";
    } else {
      // Nothing follows the last record: its damage looks like a torn tail.
      ASSERT_TRUE(found) << at;
      EXPECT_EQ(*found, sample.newest_first(3)) << at;
    }
  }
}

TEST(UndoForeign, FilesAreRefusedAndLeftAlone) {
  Bytes text(1000);
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = std::byte("precious notes "[i % 15]);
  const Sample sample;
  for (const std::size_t size : {std::size_t{1}, std::size_t{63}, std::size_t{64}, std::size_t{1000}}) {
    const Bytes content(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size));
    Log log(content);
    const auto opened = UndoWriter::open(log.file, device());
    ASSERT_FALSE(opened) << size;
    EXPECT_EQ(opened.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(visit_all(log.file));
    EXPECT_EQ(log.file.content(), content);
  }
}

TEST(UndoForeign, LogsOfAnotherDeviceAreRefused) {
  const Sample sample;
  for (const DeviceInfo& other : {device((1 << 20) + 512), device(1 << 20, 0)}) {
    Log log(sample.bytes);
    EXPECT_EQ(UndoWriter::open(log.file, other).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(visit_all(log.file, other).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(log.file.content(), sample.bytes);
  }
}

// --- failures of the log --------------------------------------------------------------------------------------------

TEST(UndoFailure, OfAnAppendLastsSoThatNothingIsWrittenBehindTornBytes) {
  for (const UndoCall call : {UndoCall::append, UndoCall::sync}) {
    Log log;
    auto writer = UndoWriter::open(log.file, device());
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->save(0, pattern(1, 512)));
    ASSERT_TRUE(writer->sync());
    log.file.inject({.call = call, .nth = log.file.calls(call)});
    const auto saved = writer->save(512, pattern(2, 512));
    const auto synced = writer->sync();
    EXPECT_FALSE(saved && synced);
    // The fault is over, but the writer must not pretend that what follows could be found again.
    const auto later = writer->save(1024, pattern(3, 512));
    const auto later_sync = writer->sync();
    EXPECT_FALSE(later && later_sync);
    // Whoever goes on, opens the log again.
    Log again(log.file.content());
    auto reopened = UndoWriter::open(again.file, device());
    ASSERT_TRUE(reopened);
    ASSERT_TRUE(reopened->save(1024, pattern(3, 512)));
    const auto found = visit_all(again.file);
    ASSERT_TRUE(found);
    ASSERT_GE(found->size(), 2U);
    EXPECT_EQ(found->front().data, pattern(3, 512));
    EXPECT_EQ(found->back().data, pattern(1, 512));
  }
}

TEST(UndoFailure, OfAnyCallIsReportedWhenALogIsOpened) {
  const Sample sample;
  for (const UndoCall call : {UndoCall::read, UndoCall::truncate}) {
    Bytes torn = sample.bytes;
    torn.pop_back();
    Log log(torn);
    log.file.inject({.call = call, .os_errno = 5});
    EXPECT_EQ(UndoWriter::open(log.file, device()).error().code, ErrorCode::io);
  }
  Log log;
  log.file.inject({.call = UndoCall::append});
  EXPECT_EQ(UndoWriter::open(log.file, device()).error().code, ErrorCode::no_space);
}

// --- hostile contents -----------------------------------------------------------------------------------------------

std::uint32_t crc_of(std::span<const std::byte> bytes) {
  boost::crc_32_type crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

/// Overwrites a field of the record at `at` and seals it again.
Bytes with_field(Bytes bytes, std::size_t at, std::size_t field, std::uint64_t value) {
  wc::sim::store_u64(bytes, at + field, value);
  wc::sim::store_u32(bytes, at + 60, crc_of(std::span(bytes).subspan(at, 60)));
  return bytes;
}

TEST(UndoHostile, RecordsWithAnyNumbersAreRejectedOrHarmless) {
  const Sample sample;
  const std::uint64_t values[] = {0,  1,  64,  std::uint64_t{1} << 20, (std::uint64_t{1} << 20) + 1, std::uint64_t{1} << 63,
                                  ~std::uint64_t{0}, ~std::uint64_t{0} - 63};
  for (std::size_t record = 0; record < sample.records.size(); ++record) {
    for (const std::size_t field : {4U, 8U, 16U, 24U, 32U, 40U}) {
      for (const std::uint64_t value : values) {
        Log log(with_field(sample.bytes, sample.ends[record], field, value));
        int records = 0;
        const auto visited = visit_undo_backwards(log.file, device(), [&](const UndoRecord& found) {
          ++records;
          // What a visitor is shown lies inside the device and inside the log.
          EXPECT_LE(found.length_bytes, std::uint64_t{1} << 20);
          EXPECT_LE(found.offset_bytes, (std::uint64_t{1} << 20) - found.length_bytes);
          EXPECT_LE(found.payload_offset_bytes + found.length_bytes, sample.bytes.size());
          return Result<void>{};
        });
        EXPECT_LE(records, 4);
        if (!visited) {
          EXPECT_EQ(visited.error().code, ErrorCode::invalid_argument);
        }
        auto opened = UndoWriter::open(log.file, device());
        if (!opened) {
          EXPECT_EQ(opened.error().code, ErrorCode::invalid_argument);
        }
      }
    }
  }
}

TEST(UndoHostile, RandomBytesBehindTheHeaderAreATornTail) {
  const Sample sample;
  wc::sim::Random random(6);
  for (int i = 0; i < 300; ++i) {
    Bytes bytes(sample.bytes.begin(), sample.bytes.begin() + static_cast<std::ptrdiff_t>(sample.ends[2]));
    const std::size_t more = random.below(400);
    for (std::size_t k = 0; k < more; ++k) bytes.push_back(std::byte(random.below(256)));
    Log log(bytes);
    const auto found = visit_all(log.file);
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, sample.newest_first(2));
  }
}

}  // namespace
