// SPDX-License-Identifier: LGPL-2.1-or-later
// PmemViewPort: reads are copies out of the mapping, writes are stores and flushes, a flush is a fence.
#include "store/pmem_view_port.hpp"

namespace wc::store {

DeviceInfo PmemViewPort::info(DeviceId device) const noexcept {
  if (device == DeviceId::origin) return origin_.info(device);
  DeviceInfo info;
  info.size_bytes = memory_.view().size();
  info.present = info.writable = info.size_bytes != 0;
  return info;
}

void PmemViewPort::submit(IoOp& op) noexcept {
  if (op.device == DeviceId::origin) {
    origin_.submit(op);
  } else {
    queued_.push_back(&op);
  }
}

std::size_t PmemViewPort::poll(Wait wait) {
  std::vector<IoOp*> batch;
  batch.swap(queued_);
  for (IoOp* op : batch)
    op->on_done(*op, perform(*op));
  return batch.size() + origin_.poll(batch.empty() ? wait : Wait::no);
}

Result<void> PmemViewPort::perform(const IoOp& op) {
  const std::uint64_t size = memory_.view().size();
  if (op.kind == IoKind::flush) return memory_.fence();
  if (op.kind == IoKind::discard) return Error{ErrorCode::unsupported, 0, op.offset_bytes, "memory has no discard"};
  if (op.offset_bytes > size || op.memory.size() > size - op.offset_bytes) {
    return Error{ErrorCode::invalid_argument, 0, op.offset_bytes, "beyond the end of the device"};
  }
  if (op.kind == IoKind::read) return memory_.load(op.offset_bytes, op.memory);
  memory_.store(op.offset_bytes, op.memory);
  if (const Error* failure = memory_.failure()) return *failure;
  memory_.flush(op.offset_bytes, op.memory.size());
  return op.fua ? memory_.fence() : Result<void>{};
}

}  // namespace wc::store
