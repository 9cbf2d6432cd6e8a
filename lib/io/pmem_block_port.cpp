// SPDX-License-Identifier: LGPL-2.1-or-later
// PmemBlockPort: reads are copies out of the mapping, writes are stores and flushes, a flush is a fence.
#include "io/pmem_block_port.hpp"

#include <cerrno>
#include <utility>

namespace wc {
namespace {
constexpr std::size_t kExpectedRequests = 256;
}

PmemBlockPort::PmemBlockPort(std::unique_ptr<Pmem2Port> memory, const DeviceInfo& cache_info,
                             std::unique_ptr<IoPort> origin_port)
    : memory_(std::move(memory)),
      cache_info_(cache_info),
      origin_port_(std::move(origin_port)),
      requests_(kExpectedRequests),
      queued_(requests_) {}

DeviceInfo PmemBlockPort::info(DeviceId device) const noexcept {
  if (device == DeviceId::cache) return cache_info_;
  return origin_port_ ? origin_port_->info(DeviceId::origin) : DeviceInfo{};
}

void PmemBlockPort::submit(IoOp& op) noexcept {
  if (op.device == DeviceId::origin && origin_port_) {
    origin_port_->submit(op);
  } else {
    queued_.push_back(requests_.take(op));
  }
}

std::size_t PmemBlockPort::poll(Wait wait) {
  std::size_t finished = 0;
  if (!queued_.empty()) {
    const RequestTable::Index index = queued_.pop_front();
    IoOp& op = *requests_[index].op;
    requests_.release(index);
    op.on_done(op, perform(op));
    finished = 1;
  }
  if (origin_port_) finished += origin_port_->poll(finished == 0 ? wait : Wait::no);
  return finished;
}

int PmemBlockPort::ready_fd() const noexcept {
  return queued_.empty() && origin_port_ ? origin_port_->ready_fd() : -1;
}

Result<void> PmemBlockPort::perform(const IoOp& op) {
  if (auto refusal = refuse_operation(op, info(op.device))) return *std::move(refusal);
  switch (op.kind) {
    case IoKind::flush:
      return memory_->fence();
    case IoKind::discard:
      return operation_error(op, EOPNOTSUPP);
    case IoKind::read:
    case IoKind::write:
      break;
  }
  // Touching memory that is gone would raise a signal; the caller shall hear of an error instead.
  if (!memory_->holds(op.offset_bytes, op.memory.size())) return short_medium_error(op);
  if (op.kind == IoKind::read) return memory_->load(op.offset_bytes, op.memory);
  memory_->write(op.offset_bytes, op.memory);
  if (const Error* failure = memory_->failure()) return *failure;
  if (op.fua) return memory_->fence();
  return {};
}

}  // namespace wc
