// SPDX-License-Identifier: LGPL-2.1-or-later
// The contract of IoPort (writecache/port.hpp), point by point, over every implementation.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "port/port_kinds.hpp"

namespace wc::test {
namespace {

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;

/// Memory as ports want it.
class AlignedMemory {
 public:
  explicit AlignedMemory(std::size_t bytes, std::byte fill = std::byte{0})
      : start_(static_cast<std::byte*>(std::aligned_alloc(kIoAlignmentBytes, rounded(bytes)))), bytes_(bytes) {
    std::memset(start_.get(), std::to_integer<int>(fill), rounded(bytes));
  }
  std::span<std::byte> span() const { return {start_.get(), bytes_}; }

 private:
  static std::size_t rounded(std::size_t bytes) {
    return (bytes + kIoAlignmentBytes - 1) / kIoAlignmentBytes * kIoAlignmentBytes;
  }
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> start_;
  std::size_t bytes_;
};

/// An operation that remembers how it ended.
struct Tracked {
  IoOp op;
  std::optional<Result<void>> outcome;
  int done_count = 0;
};

void note_outcome(IoOp& op, Result<void> outcome) {
  auto* tracked = static_cast<Tracked*>(op.owner);
  tracked->outcome = std::move(outcome);
  ++tracked->done_count;
}

std::unique_ptr<Tracked> tracked(IoKind kind, DeviceId device, std::uint64_t offset_bytes,
                                 std::span<std::byte> memory) {
  auto made = std::make_unique<Tracked>();
  made->op.kind = kind;
  made->op.device = device;
  made->op.offset_bytes = offset_bytes;
  made->op.memory = memory;
  made->op.on_done = note_outcome;
  made->op.owner = made.get();
  return made;
}

bool is_filled_with(std::span<const std::byte> memory, std::byte value) {
  for (const std::byte byte : memory)
    if (byte != value) return false;
  return true;
}

class PortContract : public testing::TestWithParam<PortKind> {
 protected:
  /// Makes the port; leaves port_ null and skips the case where the machine cannot.
  void make(const PortSetup& setup = {}) {
    std::string why_not;
    under_test_ = GetParam().make(setup, why_not);
    if (!under_test_) {
      GTEST_SKIP() << GetParam().name << ": " << why_not;
    }
    port_ = &under_test_->port();
  }

  void poll_until_done(const Tracked& operation) {
    for (int i = 0; i < 100'000 && !operation.outcome; ++i)
      port_->poll(Wait::for_one);
    ASSERT_TRUE(operation.outcome.has_value()) << "the operation never finished";
  }

  Result<void> run(Tracked& operation) {
    port_->submit(operation.op);
    poll_until_done(operation);
    EXPECT_EQ(operation.done_count, 1);
    return operation.outcome.value_or(Error{});
  }

  Result<void> run(IoKind kind, DeviceId device, std::uint64_t offset_bytes, std::span<std::byte> memory) {
    return run(*tracked(kind, device, offset_bytes, memory));
  }

  void expect_code(const Result<void>& outcome, ErrorCode code) {
    ASSERT_FALSE(outcome.has_value());
    EXPECT_EQ(outcome.error().code, code) << outcome.error().message();
    EXPECT_FALSE(outcome.error().context.empty());
  }

  std::unique_ptr<PortUnderTest> under_test_;
  IoPort* port_ = nullptr;
};

#define MAKE_PORT(...) \
  make(__VA_ARGS__);   \
  if (port_ == nullptr) return

TEST_P(PortContract, SubmitNeverCompletesAnOperation) {
  MAKE_PORT();
  const AlignedMemory memory(4 * kKiB);
  auto read = tracked(IoKind::read, DeviceId::cache, 0, memory.span());
  auto refused = tracked(IoKind::read, DeviceId::cache, 1, memory.span());
  auto flush = tracked(IoKind::flush, DeviceId::cache, 0, {});
  for (auto* operation : {read.get(), refused.get(), flush.get()})
    port_->submit(operation->op);
  EXPECT_EQ(read->done_count + refused->done_count + flush->done_count, 0);
  for (auto* operation : {read.get(), refused.get(), flush.get()})
    poll_until_done(*operation);
  EXPECT_EQ(read->done_count, 1);
  EXPECT_EQ(refused->done_count, 1);
  EXPECT_EQ(flush->done_count, 1);
}

TEST_P(PortContract, PollWithNothingInFlightReturnsAtOnce) {
  MAKE_PORT();
  EXPECT_EQ(port_->poll(Wait::no), 0U);
  EXPECT_EQ(port_->poll(Wait::for_one), 0U);
}

TEST_P(PortContract, PollCountsWhatItFinished) {
  MAKE_PORT();
  const AlignedMemory memory(4 * kKiB);
  std::vector<std::unique_ptr<Tracked>> reads;
  for (int i = 0; i < 10; ++i) {
    reads.push_back(tracked(IoKind::read, DeviceId::cache, 0, memory.span()));
    port_->submit(reads.back()->op);
  }
  std::size_t counted = 0;
  while (counted < reads.size()) {
    const std::size_t now = port_->poll(Wait::for_one);
    ASSERT_GT(now, 0U);
    counted += now;
  }
  for (const auto& read : reads)
    EXPECT_EQ(read->done_count, 1);
}

TEST_P(PortContract, PollWithoutWaitingFinishesInTheEnd) {
  MAKE_PORT();
  const AlignedMemory memory(4 * kKiB);
  auto read = tracked(IoKind::read, DeviceId::cache, 0, memory.span());
  port_->submit(read->op);
  for (int i = 0; i < 100'000'000 && !read->outcome; ++i)
    port_->poll(Wait::no);
  ASSERT_TRUE(read->outcome.has_value());
  EXPECT_TRUE(read->outcome->has_value());
}

TEST_P(PortContract, ReadsBackWhatWasWritten) {
  MAKE_PORT();
  const AlignedMemory written(8 * kKiB, std::byte{0x5a});
  ASSERT_TRUE(run(IoKind::write, DeviceId::cache, 16 * kKiB, written.span()));
  const AlignedMemory seen(24 * kKiB, std::byte{0xff});
  ASSERT_TRUE(run(IoKind::read, DeviceId::cache, 8 * kKiB, seen.span()));
  EXPECT_TRUE(is_filled_with(seen.span().first(8 * kKiB), std::byte{0}));
  EXPECT_TRUE(is_filled_with(seen.span().subspan(8 * kKiB, 8 * kKiB), std::byte{0x5a}));
  EXPECT_TRUE(is_filled_with(seen.span().last(8 * kKiB), std::byte{0}));
}

TEST_P(PortContract, KeepsCacheAndOriginApart) {
  MAKE_PORT();
  const AlignedMemory to_cache(4 * kKiB, std::byte{1});
  const AlignedMemory to_origin(4 * kKiB, std::byte{2});
  ASSERT_TRUE(run(IoKind::write, DeviceId::cache, 0, to_cache.span()));
  ASSERT_TRUE(run(IoKind::write, DeviceId::origin, 0, to_origin.span()));
  const AlignedMemory seen(4 * kKiB);
  ASSERT_TRUE(run(IoKind::read, DeviceId::cache, 0, seen.span()));
  EXPECT_TRUE(is_filled_with(seen.span(), std::byte{1}));
  ASSERT_TRUE(run(IoKind::read, DeviceId::origin, 0, seen.span()));
  EXPECT_TRUE(is_filled_with(seen.span(), std::byte{2}));
}

TEST_P(PortContract, MovesOneLogicalBlock) {
  MAKE_PORT();
  const AlignedMemory block(port_->info(DeviceId::cache).logical_block_bytes, std::byte{7});
  const std::uint64_t last = port_->info(DeviceId::cache).size_bytes - block.span().size();
  ASSERT_TRUE(run(IoKind::write, DeviceId::cache, last, block.span()));
  const AlignedMemory seen(block.span().size());
  ASSERT_TRUE(run(IoKind::read, DeviceId::cache, last, seen.span()));
  EXPECT_TRUE(is_filled_with(seen.span(), std::byte{7}));
}

TEST_P(PortContract, MovesTransfersOfManyMegabytesWhole) {
  MAKE_PORT({.size_bytes = 40 * kMiB});
  const AlignedMemory written(32 * kMiB, std::byte{0x11});
  ASSERT_TRUE(run(IoKind::write, DeviceId::cache, 4 * kMiB, written.span()));
  const AlignedMemory seen(32 * kMiB);
  ASSERT_TRUE(run(IoKind::read, DeviceId::cache, 4 * kMiB, seen.span()));
  EXPECT_TRUE(is_filled_with(seen.span(), std::byte{0x11}));
}

TEST_P(PortContract, OffsetsCountFromTheWindow) {
  constexpr std::uint64_t kWindowOffset = 36 * kKiB + 512;
  MAKE_PORT({.window_offset_bytes = kWindowOffset});
  EXPECT_EQ(port_->info(DeviceId::cache).window_offset_bytes, kWindowOffset);
  EXPECT_EQ(port_->info(DeviceId::cache).size_bytes, kMiB);
  for (const DeviceId device : {DeviceId::cache, DeviceId::origin}) {
    const AlignedMemory written(4 * kKiB, std::byte{0x33});
    ASSERT_TRUE(run(IoKind::write, device, 0, written.span()));
    ASSERT_TRUE(run(*tracked(IoKind::flush, device, 0, {})));
    const std::vector<std::byte> medium = under_test_->medium(device);
    if (medium.empty()) continue;
    ASSERT_EQ(medium.size(), kMiB + kWindowOffset);
    EXPECT_TRUE(is_filled_with(std::span(medium).first(kWindowOffset), std::byte{0}));
    EXPECT_TRUE(is_filled_with(std::span(medium).subspan(kWindowOffset, 4 * kKiB), std::byte{0x33}));
    EXPECT_TRUE(is_filled_with(std::span(medium).subspan(kWindowOffset + 4 * kKiB), std::byte{0}));
  }
}

TEST_P(PortContract, TakesManyMoreOperationsThanAnyRingHolds) {
  constexpr std::size_t kCount = 1000;
  constexpr std::uint64_t kBytes = 512;
  MAKE_PORT({.size_bytes = kCount * 4 * kKiB});
  std::vector<AlignedMemory> memory;
  std::vector<std::unique_ptr<Tracked>> writes;
  for (std::size_t i = 0; i < kCount; ++i) {
    memory.emplace_back(kBytes, static_cast<std::byte>(i % 251 + 1));
    writes.push_back(
        tracked(IoKind::write, i % 2 == 0 ? DeviceId::cache : DeviceId::origin, i * 4 * kKiB, memory.back().span()));
  }
  for (const auto& write : writes)
    port_->submit(write->op);
  for (const auto& write : writes)
    poll_until_done(*write);
  const AlignedMemory seen(kBytes);
  for (std::size_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(writes[i]->done_count, 1);
    ASSERT_TRUE(writes[i]->outcome->has_value()) << writes[i]->outcome->error().message();
    ASSERT_TRUE(run(IoKind::read, writes[i]->op.device, writes[i]->op.offset_bytes, seen.span()));
    ASSERT_TRUE(is_filled_with(seen.span(), static_cast<std::byte>(i % 251 + 1))) << "operation " << i;
  }
}

struct Chain {
  IoPort* port = nullptr;
  IoOp op;
  int left = 0;
  int done = 0;
};

TEST_P(PortContract, AnOperationMaySubmitItselfAgainFromOnDone) {
  MAKE_PORT();
  const AlignedMemory memory(4 * kKiB);
  Chain chain;
  chain.port = port_;
  chain.left = 1000;
  chain.op.memory = memory.span();
  chain.op.owner = &chain;
  chain.op.on_done = [](IoOp& op, Result<void> outcome) {
    auto* self = static_cast<Chain*>(op.owner);
    EXPECT_TRUE(outcome.has_value());
    ++self->done;
    if (--self->left > 0) self->port->submit(op);
  };
  port_->submit(chain.op);
  for (int i = 0; i < 1'000'000 && chain.left > 0; ++i)
    port_->poll(Wait::for_one);
  EXPECT_EQ(chain.done, 1000);
  EXPECT_EQ(port_->poll(Wait::for_one), 0U);
}

TEST_P(PortContract, FlushAndFuaSucceed) {
  MAKE_PORT();
  for (const DeviceId device : {DeviceId::cache, DeviceId::origin}) {
    const AlignedMemory memory(4 * kKiB, std::byte{9});
    auto write = tracked(IoKind::write, device, 0, memory.span());
    write->op.fua = true;
    EXPECT_TRUE(run(*write));
    EXPECT_TRUE(run(*tracked(IoKind::flush, device, 0, {})));
    const AlignedMemory seen(4 * kKiB);
    ASSERT_TRUE(run(IoKind::read, device, 0, seen.span()));
    EXPECT_TRUE(is_filled_with(seen.span(), std::byte{9}));
  }
}

TEST_P(PortContract, DiscardLeavesTheNeighboursAlone) {
  MAKE_PORT();
  const DeviceId device = GetParam().can_discard_cache ? DeviceId::cache : DeviceId::origin;
  const AlignedMemory written(12 * kKiB, std::byte{4});
  ASSERT_TRUE(run(IoKind::write, device, 0, written.span()));
  auto discard = tracked(IoKind::discard, device, 4 * kKiB, {});
  discard->op.length_bytes = 4 * kKiB;
  const Result<void> outcome = run(*discard);
  if (!outcome && outcome.error().code == ErrorCode::unsupported) GTEST_SKIP() << outcome.error().message();
  ASSERT_TRUE(outcome) << outcome.error().message();
  const AlignedMemory seen(12 * kKiB);
  ASSERT_TRUE(run(IoKind::read, device, 0, seen.span()));
  EXPECT_TRUE(is_filled_with(seen.span().first(4 * kKiB), std::byte{4}));
  EXPECT_TRUE(is_filled_with(seen.span().last(4 * kKiB), std::byte{4}));
}

TEST_P(PortContract, DiscardThatTheMediumCannotDoIsUnsupported) {
  MAKE_PORT();
  if (GetParam().can_discard_cache) return;
  auto discard = tracked(IoKind::discard, DeviceId::cache, 0, {});
  discard->op.length_bytes = 4 * kKiB;
  expect_code(run(*discard), ErrorCode::unsupported);
}

TEST_P(PortContract, RefusesToChangeADeviceOpenedReadOnly) {
  MAKE_PORT({.writable = false});
  EXPECT_FALSE(port_->info(DeviceId::cache).writable);
  for (const DeviceId device : {DeviceId::cache, DeviceId::origin}) {
    const AlignedMemory memory(4 * kKiB, std::byte{1});
    expect_code(run(IoKind::write, device, 0, memory.span()), ErrorCode::permission);
    auto discard = tracked(IoKind::discard, device, 0, {});
    discard->op.length_bytes = 4 * kKiB;
    expect_code(run(*discard), ErrorCode::permission);
    const AlignedMemory seen(4 * kKiB, std::byte{1});
    ASSERT_TRUE(run(IoKind::read, device, 0, seen.span()));
    EXPECT_TRUE(is_filled_with(seen.span(), std::byte{0}));
  }
}

TEST_P(PortContract, RefusesWhatLiesBeyondTheWindow) {
  MAKE_PORT();
  const AlignedMemory memory(8 * kKiB);
  for (const IoKind kind : {IoKind::read, IoKind::write}) {
    for (const std::uint64_t offset : {kMiB, kMiB - 4 * kKiB, UINT64_MAX - 4 * kKiB + 1, UINT64_MAX - 511}) {
      SCOPED_TRACE(offset);
      expect_code(run(kind, DeviceId::cache, offset, memory.span()), ErrorCode::invalid_argument);
      expect_code(run(kind, DeviceId::origin, offset, memory.span()), ErrorCode::invalid_argument);
    }
  }
  auto discard = tracked(IoKind::discard, DeviceId::origin, 4 * kKiB, {});
  discard->op.length_bytes = kMiB;
  expect_code(run(*discard), ErrorCode::invalid_argument);
  discard->outcome.reset();
  discard->done_count = 0;
  discard->op.length_bytes = UINT64_MAX - 511;
  expect_code(run(*discard), ErrorCode::invalid_argument);
}

TEST_P(PortContract, RefusesWhatIsMisaligned) {
  MAKE_PORT();
  const AlignedMemory memory(8 * kKiB);
  for (const IoKind kind : {IoKind::read, IoKind::write}) {
    SCOPED_TRACE(static_cast<int>(kind));
    expect_code(run(kind, DeviceId::cache, 1, memory.span()), ErrorCode::invalid_argument);
    expect_code(run(kind, DeviceId::cache, 256, memory.span()), ErrorCode::invalid_argument);
    expect_code(run(kind, DeviceId::cache, 0, memory.span().first(100)), ErrorCode::invalid_argument);
    expect_code(run(kind, DeviceId::cache, 0, memory.span().first(0)), ErrorCode::invalid_argument);
  }
}

// Memory as far from a page as the device allows: whole transfers, and those that must be durable.
TEST_P(PortContract, TakesMemoryThatIsAlignedAsTheDeviceAsks) {
  MAKE_PORT();
  for (const DeviceId device : {DeviceId::cache, DeviceId::origin}) {
    SCOPED_TRACE(static_cast<int>(device));
    const std::uint32_t alignment = port_->info(device).memory_alignment_bytes;
    const AlignedMemory memory(16 * kKiB, std::byte{0x5A});
    const std::span<std::byte> data = memory.span().subspan(alignment, 4 * kKiB);
    ASSERT_TRUE(run(IoKind::write, device, 8 * kKiB, data));
    auto durable = tracked(IoKind::write, device, 12 * kKiB, data);
    durable->op.fua = true;
    ASSERT_TRUE(run(*durable));
    const AlignedMemory target(16 * kKiB, std::byte{0});
    ASSERT_TRUE(run(IoKind::read, device, 8 * kKiB, target.span().subspan(alignment, 8 * kKiB)));
    EXPECT_TRUE(is_filled_with(target.span().subspan(alignment, 8 * kKiB), std::byte{0x5A}));
    EXPECT_TRUE(is_filled_with(target.span().first(alignment), std::byte{0}));
    EXPECT_TRUE(is_filled_with(target.span().subspan(alignment + 8 * kKiB), std::byte{0}));
    if (alignment == 1) continue;
    for (const IoKind kind : {IoKind::read, IoKind::write})
      expect_code(run(kind, device, 0, memory.span().subspan(alignment / 2, 512)), ErrorCode::invalid_argument);
  }
}

TEST_P(PortContract, RefusesADeviceThatIsNotThere) {
  MAKE_PORT({.has_origin = false});
  EXPECT_FALSE(port_->info(DeviceId::origin).present);
  const AlignedMemory memory(4 * kKiB);
  expect_code(run(IoKind::read, DeviceId::origin, 0, memory.span()), ErrorCode::invalid_argument);
  expect_code(run(*tracked(IoKind::flush, DeviceId::origin, 0, {})), ErrorCode::invalid_argument);
}

TEST_P(PortContract, ReadingWhatWasCutOffMeanwhileIsAnError) {
  MAKE_PORT();
  for (const DeviceId device : {DeviceId::cache, DeviceId::origin}) {
    if (!under_test_->cut_medium(device, 64 * kKiB)) return;  // the medium of a simulator is never cut
    const AlignedMemory memory(16 * kKiB, std::byte{0x77});
    EXPECT_TRUE(run(IoKind::read, device, 48 * kKiB, memory.span()));
    expect_code(run(IoKind::read, device, 64 * kKiB, memory.span()), ErrorCode::io);
    expect_code(run(IoKind::read, device, 56 * kKiB, memory.span()), ErrorCode::io);
    expect_code(run(IoKind::read, device, 512 * kKiB, memory.span()), ErrorCode::io);
  }
}

// A write behind the cut makes an image longer again; what was cut off is zeros, and must not pass for data.
TEST_P(PortContract, WritingAndFlushingAfterACutAreErrors) {
  MAKE_PORT();
  for (const DeviceId device : {DeviceId::cache, DeviceId::origin}) {
    SCOPED_TRACE(static_cast<int>(device));
    const AlignedMemory memory(16 * kKiB, std::byte{0x77});
    ASSERT_TRUE(run(*tracked(IoKind::flush, device, 0, {})));
    ASSERT_TRUE(run(IoKind::write, device, kMiB - 16 * kKiB, memory.span()));
    if (!under_test_->cut_medium(device, 64 * kKiB)) return;  // the medium of a simulator is never cut
    expect_code(run(IoKind::write, device, 512 * kKiB, memory.span()), ErrorCode::io);
    expect_code(run(IoKind::write, device, kMiB - 16 * kKiB, memory.span()), ErrorCode::io);
    expect_code(run(IoKind::read, device, 256 * kKiB, memory.span()), ErrorCode::io);
    expect_code(run(*tracked(IoKind::flush, device, 0, {})), ErrorCode::io);
  }
}

TEST_P(PortContract, MayBeDestroyedAfterEverythingFinished) {
  MAKE_PORT();
  const AlignedMemory memory(4 * kKiB);
  ASSERT_TRUE(run(IoKind::write, DeviceId::cache, 0, memory.span()));
  under_test_.reset();
}

INSTANTIATE_TEST_SUITE_P(All, PortContract, testing::ValuesIn(port_kinds()),
                         [](const testing::TestParamInfo<PortKind>& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace wc::test
