// SPDX-License-Identifier: LGPL-2.1-or-later
// SyncPort: pread, pwrite and fdatasync behind the port contract.
#include "io/sync_port.hpp"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace wc {
namespace {

constexpr std::size_t kExpectedRequests = 256;

ssize_t transfer_once(const IoOp& op, int fd, std::span<std::byte> memory, std::uint64_t position) {
  iovec part{memory.data(), memory.size()};
  const auto offset = static_cast<off_t>(position);
  if (op.kind == IoKind::read) return ::preadv(fd, &part, 1, offset);
  return ::pwritev2(fd, &part, 1, offset, op.fua ? RWF_DSYNC : 0);
}

}  // namespace

SyncPort::SyncPort(PortDevices devices)
    : devices_(std::move(devices)), requests_(kExpectedRequests), queued_(requests_) {}

DeviceInfo SyncPort::info(DeviceId device) const noexcept { return devices_[device].info; }

void SyncPort::submit(IoOp& op) noexcept { queued_.push_back(requests_.take(op)); }

std::size_t SyncPort::poll(Wait /*wait*/) {
  if (queued_.empty()) return 0;
  const RequestTable::Index index = queued_.pop_front();
  IoOp& op = *requests_[index].op;
  requests_.release(index);
  op.on_done(op, perform(op));
  return 1;
}

Result<void> SyncPort::perform(const IoOp& op) {
  const PortDevice& device = devices_[op.device];
  if (auto refusal = refuse_operation(op, device.info)) return *std::move(refusal);
  if (op.kind != IoKind::read && has_shrunk(device)) return short_medium_error(op);
  switch (op.kind) {
    case IoKind::read:
    case IoKind::write:
      return transfer(op, device);
    case IoKind::discard:
      return discard_now(op, device);
    case IoKind::flush:
      break;
  }
  int outcome = 0;
  do {
    outcome = ::fdatasync(device.fd.get());
  } while (outcome != 0 && errno == EINTR);
  if (outcome != 0) return operation_error(op, errno);
  return {};
}

Result<void> SyncPort::transfer(const IoOp& op, const PortDevice& device) {
  const std::uint64_t start = device.info.window_offset_bytes + op.offset_bytes;
  std::uint64_t done_bytes = 0;
  while (done_bytes < op.memory.size()) {
    const auto wanted = std::min<std::uint64_t>(op.memory.size() - done_bytes, kTransferBytesMax);
    const ssize_t moved = transfer_once(op, device.fd.get(), op.memory.subspan(done_bytes, wanted), start + done_bytes);
    if (moved < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (moved < 0) return operation_error(op, errno);
    const auto moved_bytes = static_cast<std::uint64_t>(moved);
    const std::uint64_t kept_bytes = moved_bytes == wanted ? moved_bytes : continuable_bytes(device, moved_bytes);
    if (kept_bytes == 0) return short_medium_error(op);
    done_bytes += kept_bytes;
  }
  return {};
}

}  // namespace wc
