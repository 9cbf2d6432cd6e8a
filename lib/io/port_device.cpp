// SPDX-License-Identifier: LGPL-2.1-or-later
// The checks of the port contract and the error texts that the production ports share.
#include "io/port_device.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "writecache/units.hpp"

namespace wc {
namespace {

const char* name_of(IoKind kind) noexcept {
  switch (kind) {
    case IoKind::read:
      return "read";
    case IoKind::write:
      return "write";
    case IoKind::flush:
      return "flush";
    case IoKind::discard:
      return "discard";
  }
  return "operation";
}

std::string place_of(const IoOp& op) {
  std::string text = name_of(op.kind);
  if (op.kind == IoKind::flush) return text;
  text += " of " + std::to_string(operation_bytes(op)) + " bytes at byte " + std::to_string(op.offset_bytes);
  return text;
}

Error refusal(const IoOp& op, ErrorCode code, const char* why) {
  return Error{code, 0, op.offset_bytes, place_of(op) + ": " + why};
}

bool is_memory_aligned(const IoOp& op, const DeviceInfo& info) noexcept {
  return reinterpret_cast<std::uintptr_t>(op.memory.data()) % info.memory_alignment_bytes == 0;
}

}  // namespace

std::uint64_t operation_bytes(const IoOp& op) noexcept {
  switch (op.kind) {
    case IoKind::read:
    case IoKind::write:
      return op.memory.size();
    case IoKind::discard:
      return op.length_bytes;
    case IoKind::flush:
      break;
  }
  return 0;
}

std::optional<Error> refuse_operation(const IoOp& op, const DeviceInfo& info) {
  if (!info.present) return refusal(op, ErrorCode::invalid_argument, "no such device is open");
  const bool changes = op.kind == IoKind::write || op.kind == IoKind::discard;
  if (changes && !info.writable) return refusal(op, ErrorCode::permission, "the device is open for reading only");
  if (op.kind == IoKind::flush) return std::nullopt;

  const std::uint64_t bytes = operation_bytes(op);
  if (bytes == 0) return refusal(op, ErrorCode::invalid_argument, "nothing to transfer");
  if (op.offset_bytes % info.logical_block_bytes != 0 || bytes % info.logical_block_bytes != 0)
    return refusal(op, ErrorCode::invalid_argument, "not in whole logical blocks");
  if (op.offset_bytes > info.size_bytes || bytes > info.size_bytes - op.offset_bytes)
    return refusal(op, ErrorCode::invalid_argument, "beyond the end of the device");
  if (op.kind != IoKind::discard && !is_memory_aligned(op, info))
    return refusal(op, ErrorCode::invalid_argument, "memory is not aligned");
  return std::nullopt;
}

bool has_shrunk(const PortDevice& device) {
  if (device.is_block_device) return false;
  const std::uint64_t window_end = device.info.window_offset_bytes + device.info.size_bytes;
  // Nothing but the size is asked for, as times cost a file system on the network a write; it may be out of date there.
  const auto seems_short = [&](int how) {
    struct statx status {};
    const int outcome = ::statx(device.fd.get(), "", AT_EMPTY_PATH | how, STATX_SIZE, &status);
    return outcome == 0 && (status.stx_mask & STATX_SIZE) != 0 && status.stx_size < window_end;
  };
  return seems_short(AT_STATX_SYNC_AS_STAT) && seems_short(AT_STATX_FORCE_SYNC);
}

Error operation_error(const IoOp& op, int os_errno) {
  ErrorCode code = ErrorCode::io;
  if (os_errno == ENOSPC || os_errno == EDQUOT || os_errno == EFBIG) code = ErrorCode::no_space;
  if (os_errno == EOPNOTSUPP) code = ErrorCode::unsupported;
  return Error{code, os_errno, op.offset_bytes, place_of(op) + " failed"};
}

Error short_medium_error(const IoOp& op) {
  return Error{ErrorCode::io, 0, op.offset_bytes,
               place_of(op) + ": the medium ended early (was it truncated meanwhile?)"};
}

std::optional<Result<void>> perform_at_once(const IoOp& op, const PortDevice& device) {
  const int fd = device.fd.get();
  if (op.kind == IoKind::flush) return ::fdatasync(fd) == 0 ? Result<void>() : operation_error(op, errno);
  const auto position = static_cast<off_t>(device.info.window_offset_bytes + op.offset_bytes);
  ssize_t moved = 0;
  if (op.kind == IoKind::write) {
    moved = ::pwrite(fd, op.memory.data(), op.memory.size(), position);
  } else if (device.is_memory) {
    moved = ::pread(fd, op.memory.data(), op.memory.size(), position);
  } else {
    iovec part{op.memory.data(), op.memory.size()};
    moved = ::preadv2(fd, &part, 1, position, RWF_NOWAIT);
  }
  // What is short or fails is done once more by who can wait and tell why.
  if (moved != static_cast<ssize_t>(op.memory.size())) return std::nullopt;
  return Result<void>();
}

Result<void> discard_now(const IoOp& op, const PortDevice& device) {
  const std::uint64_t start = device.info.window_offset_bytes + op.offset_bytes;
  int outcome = 0;
  do {
    if (device.is_block_device) {
      std::array<std::uint64_t, 2> range{start, op.length_bytes};
      outcome = ::ioctl(device.fd.get(), BLKDISCARD, range.data());
    } else {
      outcome = ::fallocate(device.fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(start),
                            static_cast<off_t>(op.length_bytes));
    }
  } while (outcome != 0 && errno == EINTR);
  if (outcome != 0) return operation_error(op, errno);
  return {};
}

std::uint64_t continuable_bytes(const PortDevice& device, std::uint64_t bytes) noexcept {
  return device.is_direct ? round_down(bytes, device.info.logical_block_bytes) : bytes;
}

}  // namespace wc
