// SPDX-License-Identifier: LGPL-2.1-or-later
// PmemBlockPort: an IoPort whose cache is mapped memory, for media that read(2) cannot reach.
#pragma once

#include <memory>

#include "io/pmem2_port.hpp"
#include "io/port_device.hpp"
#include "io/request_table.hpp"
#include "writecache/port.hpp"

namespace wc {

/// The cache is a Pmem2Port, the origin a device of another port. Operations on the cache are
/// performed in poll, one in each. A discard of the cache is unsupported.
class PmemBlockPort final : public IoPort {
 public:
  /// `origin_port` may be null: then there is no origin. Its cache is never used.
  PmemBlockPort(std::unique_ptr<Pmem2Port> memory, const DeviceInfo& cache_info, std::unique_ptr<IoPort> origin_port);

  DeviceInfo info(DeviceId device) const noexcept override;
  void submit(IoOp& op) noexcept override;
  std::size_t poll(Wait wait) override;
  int ready_fd() const noexcept override;

 private:
  Result<void> perform(const IoOp& op);

  std::unique_ptr<Pmem2Port> memory_;
  DeviceInfo cache_info_;
  std::unique_ptr<IoPort> origin_port_;
  RequestTable requests_;
  RequestList queued_;
};

}  // namespace wc
