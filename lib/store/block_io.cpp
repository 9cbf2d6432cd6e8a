// SPDX-License-Identifier: LGPL-2.1-or-later
// Plain one-at-a-time I/O on a port.
#include "store/block_io.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>

namespace wc::store {

AlignedBuffer::AlignedBuffer(std::size_t size_bytes)
    : size_bytes_(round_up(size_bytes, kIoAlignmentBytes)) {
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kIoAlignmentBytes, size_bytes_)));
  if (!memory_) throw std::bad_alloc();
  std::memset(memory_.get(), 0, size_bytes_);
}

void AlignedBuffer::Release::operator()(std::byte* memory) const noexcept { std::free(memory); }

Result<void> run(IoPort& port, IoOp& op) {
  std::optional<Result<void>> outcome;
  op.owner = &outcome;
  op.on_done = [](IoOp& done, Result<void> result) {
    *static_cast<std::optional<Result<void>>*>(done.owner) = std::move(result);
  };
  port.submit(op);
  while (!outcome) port.poll(Wait::for_one);
  return *outcome;
}

Result<void> read_bytes(IoPort& port, DeviceId device, std::uint64_t offset_bytes,
                        std::span<std::byte> memory) {
  constexpr std::size_t kBounceBytes = 64 << 10;
  const std::uint32_t logical = port.info(device).logical_block_bytes;
  AlignedBuffer bounce(std::min<std::size_t>(kBounceBytes, round_up(memory.size(), logical) + logical));
  while (!memory.empty()) {
    const std::uint64_t start = round_down(offset_bytes, logical);
    const std::size_t skip = offset_bytes - start;
    const std::size_t length = std::min<std::size_t>(bounce.size(), round_up(skip + memory.size(), logical));
    IoOp op;
    op.kind = IoKind::read;
    op.device = device;
    op.offset_bytes = start;
    op.memory = bounce.span(0, length);
    if (auto done = run(port, op); !done) return done;
    const std::size_t take = std::min(length - skip, memory.size());
    std::memcpy(memory.data(), bounce.data() + skip, take);
    memory = memory.subspan(take);
    offset_bytes += take;
  }
  return {};
}

Result<void> write_bytes(IoPort& port, DeviceId device, std::uint64_t offset_bytes,
                         std::span<const std::byte> data) {
  constexpr std::size_t kBounceBytes = 64 << 10;
  const std::uint32_t logical = port.info(device).logical_block_bytes;
  AlignedBuffer bounce(std::max<std::size_t>(kBounceBytes, logical));
  while (!data.empty()) {
    const std::uint64_t start = round_down(offset_bytes, logical);
    const std::size_t skip = offset_bytes - start;
    const std::size_t length = std::min<std::size_t>(bounce.size(), round_up(skip + data.size(), logical));
    const std::size_t take = std::min(length - skip, data.size());
    IoOp op;
    op.device = device;
    op.offset_bytes = start;
    op.memory = bounce.span(0, length);
    if (take != length) {
      op.kind = IoKind::read;
      if (auto done = run(port, op); !done) return done;
    }
    std::memcpy(bounce.data() + skip, data.data(), take);
    op.kind = IoKind::write;
    if (auto done = run(port, op); !done) return done;
    data = data.subspan(take);
    offset_bytes += take;
  }
  return {};
}

Result<void> flush(IoPort& port, DeviceId device) {
  IoOp op;
  op.kind = IoKind::flush;
  op.device = device;
  return run(port, op);
}

}  // namespace wc::store
