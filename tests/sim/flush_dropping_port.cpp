// SPDX-License-Identifier: LGPL-2.1-or-later
// The canary port: confirms flushes without passing them on.
#include "sim/flush_dropping_port.hpp"

#include <utility>

namespace wc::sim {

void FlushDroppingPort::submit(IoOp& op) noexcept {
  const bool is_flush = op.kind == IoKind::flush;
  const bool is_fua = op.kind == IoKind::write && op.fua;
  if ((!is_flush && !is_fua) || !drops(op.device)) {
    inner_.submit(op);
    return;
  }
  if (is_flush) {
    confirmed_.push_back(&op);
    return;
  }
  auto shadow = std::make_unique<Shadow>(Shadow{op, &op, this});
  shadow->op.fua = false;
  shadow->op.on_done = &FlushDroppingPort::pass_back;
  shadow->op.owner = shadow.get();
  auto& submitted = shadow->op;
  plain_.emplace(shadow.get(), std::move(shadow));
  inner_.submit(submitted);
}

void FlushDroppingPort::pass_back(IoOp& op, Result<void> outcome) {
  auto* shadow = static_cast<Shadow*>(op.owner);
  IoOp* original = shadow->original;
  shadow->port->plain_.erase(shadow);
  original->on_done(*original, std::move(outcome));
}

std::size_t FlushDroppingPort::poll(Wait wait) {
  const auto confirmed = std::exchange(confirmed_, {});
  const auto passed = inner_.poll(confirmed.empty() ? wait : Wait::no);
  for (IoOp* op : confirmed)
    op->on_done(*op, {});
  return passed + confirmed.size();
}

}  // namespace wc::sim
