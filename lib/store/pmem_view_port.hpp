// SPDX-License-Identifier: LGPL-2.1-or-later
// PmemViewPort: an IoPort whose cache is a PmemPort, for the operations that know block devices only.
#pragma once

#include <vector>

#include "writecache/port.hpp"

namespace wc::store {

/// Operations on the cache are copies, made in poll; those on the origin go to another port.
class PmemViewPort final : public IoPort {
 public:
  PmemViewPort(PmemPort& memory, IoPort& origin) : memory_(memory), origin_(origin) {}

  DeviceInfo info(DeviceId device) const noexcept override;
  void submit(IoOp& op) noexcept override;
  std::size_t poll(Wait wait) override;

 private:
  Result<void> perform(const IoOp& op);

  PmemPort& memory_;
  IoPort& origin_;
  std::vector<IoOp*> queued_;
};

}  // namespace wc::store
