// SPDX-License-Identifier: LGPL-2.1-or-later
// SyncPort: the IoPort of machines that forbid io_uring; plain system calls, made inside poll.
#pragma once

#include "io/port_device.hpp"
#include "io/request_table.hpp"
#include "writecache/port.hpp"

namespace wc {

/// Performs one operation in each poll, in the order of submission.
class SyncPort final : public IoPort {
 public:
  explicit SyncPort(PortDevices devices);

  DeviceInfo info(DeviceId device) const noexcept override;
  void submit(IoOp& op) noexcept override;
  std::size_t poll(Wait wait) override;

 private:
  Result<void> perform(const IoOp& op);
  Result<void> transfer(const IoOp& op, const PortDevice& device);

  PortDevices devices_;
  RequestTable requests_;
  RequestList queued_;
};

}  // namespace wc
