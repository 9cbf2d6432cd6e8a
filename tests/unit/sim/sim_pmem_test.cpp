// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests the simulated persistent memory: what a power cut may leave of stores, flushes and fences.
#include "sim/sim_pmem.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/machine.hpp"

namespace wc::sim {
namespace {

Bytes filled(std::size_t bytes, int value) { return Bytes(bytes, static_cast<std::byte>(value)); }

struct Memory {
  SimPower power;
  SimPmem pmem{filled(1024, 0), 7, power};
};

TEST(SimPmem, ProgramsSeeAStoreAtOnceThatIsNotDurable) {
  Memory memory;
  memory.pmem.store(100, filled(8, 1));
  EXPECT_EQ(memory.pmem.view()[100], std::byte{1});
  EXPECT_EQ(memory.pmem.durable()[100], std::byte{0});
  EXPECT_FALSE(memory.pmem.is_settled());
}

TEST(SimPmem, OnlyAFlushAndAFenceMakeItDurable) {
  Memory memory;
  memory.pmem.store(64, filled(8, 1));
  ASSERT_TRUE(memory.pmem.fence());
  EXPECT_EQ(memory.pmem.durable()[64], std::byte{0}) << "not flushed";
  memory.pmem.flush(64, 8);
  EXPECT_EQ(memory.pmem.durable()[64], std::byte{0}) << "no fence";
  ASSERT_TRUE(memory.pmem.fence());
  EXPECT_EQ(memory.pmem.durable()[64], std::byte{1});
  EXPECT_TRUE(memory.pmem.is_settled());
}

TEST(SimPmem, AStoreBehindTheFlushIsNotCovered) {
  Memory memory;
  memory.pmem.store(64, filled(8, 1));
  memory.pmem.flush(64, 8);
  memory.pmem.store(64, filled(8, 2));
  ASSERT_TRUE(memory.pmem.fence());
  EXPECT_EQ(memory.pmem.durable()[64], std::byte{1});
  const auto open = memory.pmem.unsettled();
  ASSERT_EQ(open.size(), 1U);
  EXPECT_EQ(open[0].versions.size(), 2U);
}

TEST(SimPmem, LinesSurviveEachByItselfAndTearBetweenWords) {
  Memory memory;
  memory.pmem.store(0, filled(128, 1));
  const auto open = memory.pmem.unsettled();
  ASSERT_EQ(open.size(), 2U);
  bool has_torn = false;
  for (const auto& line : open) {
    for (const auto& version : line.versions) {
      for (std::size_t word = 0; word < kLineBytes; word += 8) {
        EXPECT_EQ(std::count(version.begin() + static_cast<std::ptrdiff_t>(word),
                             version.begin() + static_cast<std::ptrdiff_t>(word + 8), version[word]),
                  8);
      }
      has_torn = has_torn || version.front() != version.back();
    }
    EXPECT_EQ(line.versions.back().front(), std::byte{1}) << "the newest is the last";
  }
  EXPECT_TRUE(has_torn);
}

TEST(SimPmem, AFenceThatFailsMakesNothingDurable) {
  Memory memory;
  memory.pmem.inject(0, false);
  memory.pmem.store(64, filled(8, 1));
  memory.pmem.flush(64, 8);
  EXPECT_FALSE(memory.pmem.fence());
  EXPECT_TRUE(memory.pmem.has_faulted());
  EXPECT_EQ(memory.pmem.durable()[64], std::byte{0});
  EXPECT_TRUE(memory.pmem.fence());
  EXPECT_EQ(memory.pmem.durable()[64], std::byte{1});
}

TEST(SimPmem, AfterThePowerHasFailedNothingChangesTheImages) {
  Machine machine({filled(1024, 0), filled(512, 0), {}}, {.has_pmem = true}, 1);
  machine.power.cut_at(0);
  machine.memory->store(64, filled(8, 1));
  EXPECT_FALSE(machine.memory->fence());
  machine.memory->store(512, filled(8, 2));
  EXPECT_EQ(machine.memory->view()[512], std::byte{2});
  const CrashImages images(machine, 1);
  ASSERT_EQ(images.size(), 2U);
  EXPECT_EQ(images.image(0).cache[64], std::byte{0});
  EXPECT_EQ(images.image(1).cache[64], std::byte{1});
  EXPECT_EQ(images.image(1).cache[512], std::byte{0});
}

}  // namespace
}  // namespace wc::sim
