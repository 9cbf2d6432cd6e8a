// SPDX-License-Identifier: LGPL-2.1-or-later
// The simulator's disk in the contract suite: what the crash sweep stands on keeps the same contract.
#include "port/port_kinds.hpp"
#include "sim/sim_disk.hpp"

namespace wc::test {
namespace {

sim::SimDevice device_of(const PortSetup& setup) {
  sim::SimDevice device;
  device.content.resize(setup.size_bytes);
  device.window_offset_bytes = setup.window_offset_bytes;
  device.writable = setup.writable;
  return device;
}

class SimUnderTest final : public PortUnderTest {
 public:
  explicit SimUnderTest(const PortSetup& setup)
      : disk_(device_of(setup), setup.has_origin ? device_of(setup) : sim::SimDevice{}, kSeed, power_) {}

  IoPort& port() override { return disk_; }
  bool cut_medium(DeviceId, std::uint64_t) override { return false; }
  std::vector<std::byte> medium(DeviceId) override { return {}; }

 private:
  static constexpr std::uint64_t kSeed = 1;
  sim::SimPower power_;
  sim::SimDisk disk_;
};

}  // namespace

std::unique_ptr<PortUnderTest> make_sim_port(const PortSetup& setup, std::string& /*why_not*/) {
  return std::make_unique<SimUnderTest>(setup);
}

}  // namespace wc::test
