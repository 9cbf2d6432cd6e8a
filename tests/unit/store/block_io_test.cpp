// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests lib/store/block_io.cpp.
#include "store/block_io.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "unit/store/simulated.hpp"

namespace {

using wc::DeviceId;
using wc::ErrorCode;
using wc::IoKind;
using wc::sim::Bytes;
using wc::sim::pattern;
using wc::store::AlignedBuffer;
using wc::test::Simulated;

constexpr std::size_t kDiskBytes = 256 << 10;

Bytes slice(const Bytes& from, std::size_t offset, std::size_t count) {
  const auto begin = from.begin() + static_cast<std::ptrdiff_t>(offset);
  return {begin, begin + static_cast<std::ptrdiff_t>(count)};
}

TEST(AlignedBuffer, SuitsEveryDevice) {
  for (const std::size_t bytes : {1U, 512U, 4096U, 4097U}) {
    AlignedBuffer buffer(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % wc::kIoAlignmentBytes, 0U);
    EXPECT_GE(buffer.size(), bytes);
    EXPECT_TRUE(std::all_of(buffer.data(), buffer.data() + buffer.size(), [](std::byte b) { return b == std::byte{0}; }));
  }
}

TEST(ReadBytes, ReadsAnyRange) {
  const Bytes content = pattern(1, kDiskBytes);
  for (const std::uint32_t logical : {512U, 4096U}) {
    Simulated machine(content, logical);
    wc::sim::Random random(2);
    for (int i = 0; i < 400; ++i) {
      const std::size_t offset = random.below(kDiskBytes);
      const std::size_t limit = random.one_in(4) ? kDiskBytes : 9000;
      const std::size_t count = i == 0 ? 0 : std::min(kDiskBytes - offset, 1 + random.below(limit));
      Bytes out(count);
      ASSERT_TRUE(wc::store::read_bytes(machine.disk, DeviceId::cache, offset, out)) << offset << " " << count;
      ASSERT_EQ(out, slice(content, offset, count)) << offset << " " << count;
    }
    Bytes whole(kDiskBytes);
    ASSERT_TRUE(wc::store::read_bytes(machine.disk, DeviceId::cache, 0, whole));
    EXPECT_EQ(whole, content);
  }
}

TEST(ReadBytes, FailsBeyondTheEndAndOnABadSector) {
  Simulated machine(pattern(1, kDiskBytes));
  Bytes out(2);
  EXPECT_EQ(wc::store::read_bytes(machine.disk, DeviceId::cache, kDiskBytes - 1, out).error().code,
            ErrorCode::invalid_argument);
  machine.disk.add_bad_sectors(DeviceId::cache, IoKind::read, 300, 1);
  out.resize(kDiskBytes);
  const auto failed = wc::store::read_bytes(machine.disk, DeviceId::cache, 0, out);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::io);
}

TEST(WriteBytes, ChangesExactlyTheRange) {
  for (const std::uint32_t logical : {512U, 4096U}) {
    Simulated machine(pattern(1, kDiskBytes), logical);
    Bytes expected = pattern(1, kDiskBytes);
    const Bytes other = pattern(2, kDiskBytes);
    wc::sim::Random random(3);
    for (int i = 0; i < 200; ++i) {
      const std::size_t offset = random.below(kDiskBytes);
      const std::size_t limit = random.one_in(4) ? kDiskBytes : 9000;
      const std::size_t count = std::min(kDiskBytes - offset, 1 + random.below(limit));
      const Bytes data = slice(other, random.below(kDiskBytes - count + 1), count);
      ASSERT_TRUE(wc::store::write_bytes(machine.disk, DeviceId::cache, offset, data)) << offset << " " << count;
      std::copy(data.begin(), data.end(), expected.begin() + static_cast<std::ptrdiff_t>(offset));
      ASSERT_EQ(machine.disk.content(DeviceId::cache), expected) << offset << " " << count;
    }
  }
}

TEST(WriteBytes, BeyondTheEndChangesNothing) {
  Simulated machine(pattern(1, 4096));
  const Bytes data(1000);
  EXPECT_FALSE(wc::store::write_bytes(machine.disk, DeviceId::cache, 3500, data));
  EXPECT_FALSE(wc::store::write_bytes(machine.disk, DeviceId::cache, 4096, data));
  EXPECT_EQ(machine.disk.content(DeviceId::cache), pattern(1, 4096));
}

TEST(Flush, MakesWritesDurable) {
  Simulated machine(pattern(1, 4096));
  const Bytes data(512);
  ASSERT_TRUE(wc::store::write_bytes(machine.disk, DeviceId::cache, 0, data));
  EXPECT_NE(machine.disk.durable(DeviceId::cache), machine.disk.content(DeviceId::cache));
  ASSERT_TRUE(wc::store::flush(machine.disk, DeviceId::cache));
  EXPECT_EQ(machine.disk.durable(DeviceId::cache), machine.disk.content(DeviceId::cache));
  machine.disk.inject({.kind = IoKind::flush, .nth = 1});
  EXPECT_EQ(wc::store::flush(machine.disk, DeviceId::cache).error().code, ErrorCode::io);
}

}  // namespace
