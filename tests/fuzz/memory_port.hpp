// SPDX-License-Identifier: LGPL-2.1-or-later
// MemoryPort: an IoPort on two byte vectors that aborts on every operation that the port contract forbids.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sim/bytes.hpp"
#include "writecache/port.hpp"

namespace wc::fuzz {

/// Operations complete in poll(), the last one first. An operation outside the device, misaligned, in
/// misaligned memory, or a write to a device that is not writable ends the process: production ports
/// would refuse it, but the library should not have asked.
class MemoryPort final : public IoPort {
 public:
  struct Device {
    sim::Bytes content;  ///< whole logical blocks; empty: not present
    bool writable = true;
    std::uint32_t logical_block_bytes = 512;
  };

  MemoryPort(Device cache, Device origin);
  ~MemoryPort() override;
  MemoryPort(const MemoryPort&) = delete;
  MemoryPort& operator=(const MemoryPort&) = delete;

  DeviceInfo info(DeviceId device) const noexcept override;
  void submit(IoOp& op) noexcept override;
  std::size_t poll(Wait wait) override;

  const sim::Bytes& content(DeviceId device) const noexcept { return device_of(device).content; }
  void set_writable(DeviceId device, bool writable) noexcept {
    devices_[static_cast<std::size_t>(device)].writable = writable;
  }

 private:
  const Device& device_of(DeviceId device) const noexcept { return devices_[static_cast<std::size_t>(device)]; }

  std::array<Device, 2> devices_;
  std::vector<IoOp*> in_flight_;
};

}  // namespace wc::fuzz
