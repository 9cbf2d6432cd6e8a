// SPDX-License-Identifier: LGPL-2.1-or-later
// Tests that a freed block is not handed out while a read of it is in flight.
#include <gtest/gtest.h>

#include "engine_fixture.hpp"

namespace wc::test {
namespace {

/// Keeps reads of the cache to itself until it is told to pass them on.
class HoldingPort final : public IoPort {
 public:
  explicit HoldingPort(IoPort& inner) : inner_(inner) {}
  DeviceInfo info(DeviceId device) const noexcept override { return inner_.info(device); }
  void submit(IoOp& op) noexcept override {
    if (is_holding && op.device == DeviceId::cache && op.kind == IoKind::read && held_ == nullptr) {
      held_ = &op;
    } else {
      inner_.submit(op);
    }
  }
  std::size_t poll(Wait wait) override { return inner_.poll(wait); }
  void pass_on() { inner_.submit(*std::exchange(held_, nullptr)); }
  bool has_held() const noexcept { return held_ != nullptr; }

  bool is_holding = false;

 private:
  IoPort& inner_;
  IoOp* held_ = nullptr;
};

TEST(EngineReuse, ABlockThatIsBeingReadIsNotHandedOut) {
  EngineBench bench(ssd_options(), 1, 16);
  HoldingPort port(bench.machine.disk);
  bench.engine = std::move(*Engine::open({&port, nullptr, &bench.machine.clock}, ssd_options()));
  ASSERT_TRUE(bench.write(0, 1, 1).has_value());
  ASSERT_TRUE(bench.flush().has_value());
  TestRequest read(RequestKind::read, 0, 4096);
  port.is_holding = true;
  bench.engine->submit(read.request);
  bench.engine->step(Wait::no);
  ASSERT_TRUE(port.has_held());
  ASSERT_TRUE(bench.control(ControlKind::flush).has_value());
  EXPECT_EQ(bench.engine->status().free, 1U);
  // The only block is free, but not yet to be had.
  ASSERT_TRUE(bench.write(5, 1, 2).has_value());
  EXPECT_EQ(bench.engine->status().writes_around, 1U);
  port.pass_on();
  ASSERT_TRUE(bench.wait(read).has_value());
  const sim::Bytes seen(read.memory.get(), read.memory.get() + 4096);
  EXPECT_EQ(seen, block_pattern(1, 4096));
  ASSERT_TRUE(bench.write(6, 1, 3).has_value());
  EXPECT_EQ(bench.engine->status().writes_allocated, 2U);
  bench.engine.reset();  // before its port
}

}  // namespace
}  // namespace wc::test
