// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests the simulated disks: durability, crash images, faults and the rules of the port.
#include "sim/sim_disk.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <deque>
#include <memory>
#include <set>

#include "sim/flush_dropping_port.hpp"
#include "sim/machine.hpp"

namespace wc::sim {
namespace {

/// An operation with memory of its own and its outcome.
struct TestOp {
  IoOp op;
  std::byte* memory = nullptr;
  std::optional<Result<void>> outcome;

  TestOp(IoKind kind, std::uint64_t offset_bytes, std::size_t size, DeviceId device = DeviceId::cache) {
    op.kind = kind;
    op.device = device;
    op.offset_bytes = offset_bytes;
    op.owner = this;
    op.on_done = [](IoOp& done, Result<void> result) { static_cast<TestOp*>(done.owner)->outcome = std::move(result); };
    if (kind == IoKind::discard) op.length_bytes = size;
    if (kind == IoKind::read || kind == IoKind::write) {
      memory = static_cast<std::byte*>(std::aligned_alloc(kIoAlignmentBytes, (size + 4095) / 4096 * 4096));
      op.memory = {memory, size};
    }
  }
  TestOp(const TestOp&) = delete;
  TestOp& operator=(const TestOp&) = delete;
  ~TestOp() { std::free(memory); }
  void fill(char letter) { std::fill(op.memory.begin(), op.memory.end(), std::byte(letter)); }
  bool succeeded() const { return outcome && outcome->has_value(); }
};

class SimDiskTest : public testing::Test {
 protected:
  SimDiskTest() { make(1); }
  void make(std::uint64_t seed, MachineOptions options = {}) {
    machine_ = std::make_unique<Machine>(MachineImage{Bytes(8192), Bytes(16384), {}}, options, seed);
  }
  SimDisk& disk() { return machine_->disk; }
  void drain() {
    while (disk().poll(Wait::for_one) > 0) {
    }
  }
  void run(TestOp& op) {
    disk().submit(op.op);
    drain();
    ASSERT_TRUE(op.outcome.has_value());
  }
  void write(std::uint64_t offset, std::size_t size, char letter, bool fua = false) {
    TestOp op(IoKind::write, offset, size);
    op.fill(letter);
    op.op.fua = fua;
    run(op);
    ASSERT_TRUE(op.succeeded());
  }
  void flush() {
    TestOp op(IoKind::flush, 0, 0);
    run(op);
    ASSERT_TRUE(op.succeeded());
  }
  char durable_at(std::size_t offset) { return std::to_integer<char>(disk().durable(DeviceId::cache)[offset]); }
  char content_at(std::size_t offset) { return std::to_integer<char>(disk().content(DeviceId::cache)[offset]); }

  std::unique_ptr<Machine> machine_;
};

TEST_F(SimDiskTest, SubmitCompletesNothing) {
  TestOp op(IoKind::flush, 0, 0);
  disk().submit(op.op);
  EXPECT_FALSE(op.outcome.has_value());
  drain();
  EXPECT_TRUE(op.succeeded());
}

TEST_F(SimDiskTest, ACompletedWriteIsReadBackButNotDurableBeforeAFlush) {
  write(512, 1024, 'a');
  TestOp read(IoKind::read, 512, 512);
  run(read);
  EXPECT_EQ(read.memory[0], std::byte('a'));
  EXPECT_EQ(durable_at(512), 0);
  flush();
  EXPECT_EQ(durable_at(512), 'a');
  EXPECT_EQ(durable_at(1535), 'a');
}

TEST_F(SimDiskTest, AFlushOfOneDeviceLeavesTheOtherVolatile) {
  TestOp origin(IoKind::write, 0, 512, DeviceId::origin);
  origin.fill('o');
  run(origin);
  flush();
  EXPECT_EQ(disk().unsettled(DeviceId::origin).size(), 1U);
}

TEST_F(SimDiskTest, AWriteWithFuaIsDurableAndCoversOnlyItself) {
  write(0, 512, 'a');
  write(512, 512, 'b', true);
  EXPECT_EQ(durable_at(0), 0);
  EXPECT_EQ(durable_at(512), 'b');
  EXPECT_EQ(disk().completed_fua(DeviceId::cache), 1U);
}

TEST_F(SimDiskTest, AFlushDoesNotCoverAWriteThatCompletesAfterItWasSubmitted) {
  // Whatever the order of completion, the write was in flight when the flush was submitted.
  for (std::uint64_t seed = 0; seed < 32; ++seed) {
    make(seed);
    TestOp op(IoKind::write, 0, 512);
    op.fill('w');
    TestOp barrier(IoKind::flush, 0, 0);
    disk().submit(op.op);
    disk().submit(barrier.op);
    drain();
    EXPECT_EQ(durable_at(0), 0) << "seed " << seed;
    EXPECT_EQ(content_at(0), 'w');
  }
}

TEST_F(SimDiskTest, AnyVersionOfASectorMaySurvive) {
  write(0, 512, 'a');
  write(0, 512, 'b');
  TestOp late(IoKind::write, 0, 512);
  late.fill('c');
  disk().submit(late.op);
  std::set<char> seen;
  CrashImages images(*machine_, 1);
  for (std::uint64_t i = 0; i < images.size(); ++i) {
    seen.insert(std::to_integer<char>(images.image(i).cache[0]));
  }
  EXPECT_EQ(seen, (std::set<char>{0, 'a', 'b', 'c'}));
  drain();
}

TEST_F(SimDiskTest, CompletionOrderDependsOnTheSeedOnly) {
  const auto order = [&](std::uint64_t seed) {
    make(seed);
    std::deque<TestOp> ops;
    std::vector<std::size_t> finished;
    for (int i = 0; i < 8; ++i) {
      ops.emplace_back(IoKind::flush, 0, 0);
      disk().submit(ops.back().op);
    }
    for (std::size_t left = 8; left > 0;) {
      left -= disk().poll(Wait::for_one);
      for (std::size_t i = 0; i < 8; ++i) {
        if (ops[i].outcome && std::find(finished.begin(), finished.end(), i) == finished.end()) {
          finished.push_back(i);
        }
      }
    }
    return finished;
  };
  EXPECT_EQ(order(5), order(5));
  std::set<std::vector<std::size_t>> orders;
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    orders.insert(order(seed));
  EXPECT_GT(orders.size(), 5U);
}

TEST_F(SimDiskTest, APowerCutFailsEverythingAndFreezesTheMedium) {
  machine_->power.cut_at(1);
  TestOp first(IoKind::write, 0, 1024);
  first.fill('x');
  disk().submit(first.op);
  drain();
  // Point 0 is the untouched machine (no tick before the first poll saw it alone), point 1 comes later.
  for (int i = 0; machine_->power.is_on() && i < 4; ++i) {
    TestOp more(IoKind::write, 2048, 512);
    more.fill('y');
    run(more);
  }
  ASSERT_FALSE(machine_->power.is_on());
  const auto before = CrashImages(*machine_, 1).size();
  TestOp after(IoKind::write, 4096, 512);
  after.fill('z');
  run(after);
  EXPECT_FALSE(after.succeeded());
  EXPECT_EQ(after.outcome->error().os_errno, EIO);
  CrashImages images(*machine_, 1);
  EXPECT_EQ(images.size(), before);
  for (std::uint64_t i = 0; i < images.size(); ++i) {
    EXPECT_EQ(images.image(i).cache[4096], std::byte{0});
  }
}

TEST_F(SimDiskTest, SectorsOfAWriteInFlightSurviveIndependently) {
  TestOp op(IoKind::write, 0, 2048);
  op.fill('t');
  disk().submit(op.op);
  CrashImages images(*machine_, 1);
  EXPECT_TRUE(images.is_complete());
  EXPECT_EQ(images.size(), 16U);
  std::set<Bytes> different;
  std::set<std::uint64_t> hashes;
  for (std::uint64_t i = 0; i < images.size(); ++i) {
    different.insert(images.image(i).cache);
    hashes.insert(images.hash(i));
  }
  EXPECT_EQ(different.size(), 16U);
  EXPECT_EQ(hashes.size(), 16U);
  drain();
}

TEST_F(SimDiskTest, ManyUnsettledSectorsAreSampledWithNoneAllEachAloneAndEachMissing) {
  write(0, 8192, 'm');
  CrashImages images(*machine_, 1);
  EXPECT_FALSE(images.is_complete());
  EXPECT_EQ(images.size(), 2U + 2U * 16U + kSeededChoices);
  const auto survivors = [&](std::uint64_t number) {
    const auto cache = images.image(number).cache;
    int count = 0;
    for (std::size_t at = 0; at < cache.size(); at += 512)
      count += cache[at] == std::byte('m');
    return count;
  };
  EXPECT_EQ(survivors(0), 0);
  for (std::uint64_t i = 1; i <= 16; ++i)
    EXPECT_EQ(survivors(i), 1);
  EXPECT_EQ(survivors(17), 16);
  for (std::uint64_t i = 18; i < 34; ++i)
    EXPECT_EQ(survivors(i), 15);
}

TEST_F(SimDiskTest, TheNthOperationOfAKindFailsOnce) {
  disk().inject({.device = DeviceId::cache, .kind = IoKind::write, .nth = 1, .os_errno = ENOSPC});
  write(0, 512, 'a');
  TestOp second(IoKind::write, 512, 512);
  second.fill('b');
  run(second);
  ASSERT_FALSE(second.succeeded());
  EXPECT_EQ(second.outcome->error().os_errno, ENOSPC);
  EXPECT_EQ(second.outcome->error().code, ErrorCode::no_space);
  EXPECT_TRUE(disk().has_faulted());
  write(512, 512, 'c');
  EXPECT_EQ(disk().completed(DeviceId::cache, IoKind::write), 3U);
}

TEST_F(SimDiskTest, APersistentFaultStaysUntilItIsCleared) {
  disk().inject({.device = DeviceId::cache, .kind = IoKind::read, .nth = 0, .persistent = true});
  for (int i = 0; i < 2; ++i) {
    TestOp read(IoKind::read, 0, 512);
    run(read);
    EXPECT_FALSE(read.succeeded());
  }
  disk().clear_faults();
  TestOp read(IoKind::read, 0, 512);
  run(read);
  EXPECT_TRUE(read.succeeded());
}

TEST_F(SimDiskTest, AFailedFlushMayLoseWhatWasWrittenForGood) {
  bool lost = false;
  bool kept = false;
  for (std::uint64_t seed = 0; seed < 32; ++seed) {
    make(seed);
    write(0, 512, 'a');
    disk().inject({.device = DeviceId::cache, .kind = IoKind::flush, .nth = 0, .os_errno = EIO});
    TestOp bad(IoKind::flush, 0, 0);
    run(bad);
    EXPECT_FALSE(bad.succeeded());
    flush();
    (durable_at(0) == 'a' ? kept : lost) = true;
  }
  EXPECT_TRUE(lost);
  EXPECT_TRUE(kept);
}

TEST_F(SimDiskTest, AFailedWriteMayReachTheMediumPartly) {
  std::set<int> reached;
  for (std::uint64_t seed = 0; seed < 64; ++seed) {
    make(seed);
    disk().inject({.device = DeviceId::cache, .kind = IoKind::write, .nth = 0, .os_errno = EIO});
    TestOp op(IoKind::write, 0, 1024);
    op.fill('p');
    run(op);
    EXPECT_FALSE(op.succeeded());
    reached.insert((content_at(0) == 'p' ? 1 : 0) + (content_at(512) == 'p' ? 2 : 0));
  }
  EXPECT_EQ(reached, (std::set<int>{0, 1, 2, 3}));
}

TEST_F(SimDiskTest, BadSectorsFailOnlyTheirKind) {
  disk().add_bad_sectors(DeviceId::cache, IoKind::read, 2, 1);
  write(0, 4096, 'b');
  TestOp across(IoKind::read, 512, 2048);
  run(across);
  ASSERT_FALSE(across.succeeded());
  EXPECT_EQ(across.outcome->error().offset_bytes, 1024U);
  TestOp beside(IoKind::read, 1536, 512);
  run(beside);
  EXPECT_TRUE(beside.succeeded());
}

TEST_F(SimDiskTest, ADiscardedSectorReadsAsBeforeOrAsZeros) {
  write(0, 8192, 'd');
  flush();
  TestOp op(IoKind::discard, 0, 8192);
  run(op);
  ASSERT_TRUE(op.succeeded());
  int zeros = 0;
  for (std::size_t at = 0; at < 8192; at += 512) {
    ASSERT_TRUE(content_at(at) == 0 || content_at(at) == 'd');
    zeros += content_at(at) == 0 ? 1 : 0;
  }
  EXPECT_GT(zeros, 0);
  EXPECT_LT(zeros, 16);
}

TEST_F(SimDiskTest, WhatBreaksTheContractIsRefusedAndReachesNoMedium) {
  MachineOptions options;
  options.cache_logical_block_bytes = 4096;
  make(1, options);
  const auto code_of = [&](TestOp& op) {
    run(op);
    EXPECT_FALSE(op.succeeded());
    return op.outcome->error().code;
  };
  TestOp offset(IoKind::write, 512, 4096);
  EXPECT_EQ(code_of(offset), ErrorCode::invalid_argument);
  TestOp length(IoKind::write, 0, 512);
  EXPECT_EQ(code_of(length), ErrorCode::invalid_argument);
  TestOp outside(IoKind::write, 8192, 4096);
  EXPECT_EQ(code_of(outside), ErrorCode::invalid_argument);
  TestOp wraps(IoKind::read, ~std::uint64_t{4095}, 8192);
  EXPECT_EQ(code_of(wraps), ErrorCode::invalid_argument);
  TestOp empty(IoKind::read, 0, 0);
  EXPECT_EQ(code_of(empty), ErrorCode::invalid_argument);
  TestOp memory(IoKind::read, 0, 8192);
  memory.op.memory = memory.op.memory.subspan(512, 4096);
  EXPECT_EQ(code_of(memory), ErrorCode::invalid_argument);
  EXPECT_EQ(disk().completed(DeviceId::cache, IoKind::write), 0U);
  EXPECT_TRUE(disk().unsettled(DeviceId::cache).empty());
}

TEST(SimDisk, RefusesToWriteAReadOnlyDeviceAndToUseAnAbsentOne) {
  SimPower power;
  SimDisk disk(SimDevice{.content = Bytes(4096), .writable = false}, SimDevice{}, 1, power);
  EXPECT_FALSE(disk.info(DeviceId::cache).writable);
  EXPECT_FALSE(disk.info(DeviceId::origin).present);
  TestOp write(IoKind::write, 0, 512);
  TestOp absent(IoKind::read, 0, 512, DeviceId::origin);
  disk.submit(write.op);
  disk.submit(absent.op);
  while (disk.poll(Wait::for_one) > 0) {
  }
  ASSERT_FALSE(write.succeeded());
  EXPECT_EQ(write.outcome->error().code, ErrorCode::permission);
  EXPECT_FALSE(absent.succeeded());
}

TEST_F(SimDiskTest, MemoryOfAReadIsPoisonedUntilItCompletes) {
  TestOp read(IoKind::read, 0, 512);
  disk().submit(read.op);
  EXPECT_EQ(read.memory[0], std::byte{0xdb});
  drain();
  EXPECT_EQ(read.memory[0], std::byte{0});
}

using SimDiskDeathTest = SimDiskTest;

TEST_F(SimDiskDeathTest, AbortsWhereAWriteChangesInFlight) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  TestOp op(IoKind::write, 0, 512);
  op.fill('1');
  disk().submit(op.op);
  op.fill('2');
  EXPECT_DEATH(drain(), "changed while it was in flight");
  op.fill('1');
  drain();
}

TEST_F(SimDiskDeathTest, AbortsWhereAnOperationIsSubmittedTwice) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  TestOp op(IoKind::flush, 0, 0);
  disk().submit(op.op);
  EXPECT_DEATH(disk().submit(op.op), "submitted twice");
  drain();
}

TEST_F(SimDiskTest, TheCanaryConfirmsFlushesWithoutEffect) {
  FlushDroppingPort canary(disk());
  const auto run_on_canary = [&](TestOp& op) {
    canary.submit(op.op);
    EXPECT_FALSE(op.outcome.has_value());
    while (!op.outcome)
      canary.poll(Wait::for_one);
    EXPECT_TRUE(op.succeeded());
  };
  TestOp write(IoKind::write, 0, 512);
  write.fill('a');
  write.op.fua = true;
  run_on_canary(write);
  TestOp barrier(IoKind::flush, 0, 0);
  run_on_canary(barrier);
  EXPECT_EQ(content_at(0), 'a');
  EXPECT_EQ(durable_at(0), 0);
  EXPECT_EQ(canary.durable_points(), 2U);
  EXPECT_EQ(canary.dropped(), 2U);
  EXPECT_EQ(disk().completed(DeviceId::cache, IoKind::flush), 0U);
  EXPECT_TRUE(write.op.fua);
}

TEST_F(SimDiskTest, TheClockMovesWithPollsAndSleeps) {
  const auto start = machine_->clock.now_ns();
  flush();
  const auto polled = machine_->clock.now_ns();
  EXPECT_GT(polled, start);
  machine_->clock.sleep_ns(5);
  EXPECT_EQ(machine_->clock.now_ns(), polled + 5);
  EXPECT_EQ(machine_->clock.slept_ns(), 5U);
}

}  // namespace
}  // namespace wc::sim
