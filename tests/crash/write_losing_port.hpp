// SPDX-License-Identifier: LGPL-2.1-or-later
// WriteLosingPort: a disk that confirms a write it never does.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "writecache/port.hpp"

namespace wc::crash {

/// Loses the first write to one device; everything else is passed on.
class WriteLosingPort final : public IoPort {
 public:
  WriteLosingPort(IoPort& inner, DeviceId device) : inner_(inner), device_(device) {}

  DeviceInfo info(DeviceId device) const noexcept override { return inner_.info(device); }
  void submit(IoOp& op) noexcept override {
    if (has_lost_ || op.kind != IoKind::write || op.device != device_) return inner_.submit(op);
    has_lost_ = true;
    lost_.push_back(&op);
  }
  std::size_t poll(Wait wait) override {
    const auto lost = std::exchange(lost_, {});
    const auto passed = inner_.poll(lost.empty() ? wait : Wait::no);
    for (IoOp* op : lost)
      op->on_done(*op, {});
    return passed + lost.size();
  }

 private:
  IoPort& inner_;
  DeviceId device_;
  bool has_lost_ = false;
  std::vector<IoOp*> lost_;
};

}  // namespace wc::crash
