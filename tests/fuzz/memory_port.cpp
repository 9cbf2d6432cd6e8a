// SPDX-License-Identifier: LGPL-2.1-or-later
// MemoryPort: the contract's rules, then a copy.
#include "fuzz/memory_port.hpp"

#include <algorithm>
#include <utility>

#include "fuzz/fuzz_input.hpp"

namespace wc::fuzz {

MemoryPort::MemoryPort(Device cache, Device origin) : devices_{std::move(cache), std::move(origin)} {
  for (const Device& device : devices_) {
    require(device.content.size() % device.logical_block_bytes == 0, "a target made a device of broken blocks");
  }
}

MemoryPort::~MemoryPort() { require(in_flight_.empty(), "an operation was left in flight"); }

DeviceInfo MemoryPort::info(DeviceId device) const noexcept {
  const Device& found = device_of(device);
  DeviceInfo info;
  info.size_bytes = found.content.size();
  info.logical_block_bytes = found.logical_block_bytes;
  info.present = !found.content.empty();
  info.writable = info.present && found.writable;
  return info;
}

void MemoryPort::submit(IoOp& op) noexcept {
  const Device& device = device_of(op.device);
  const std::uint64_t length = op.kind == IoKind::discard ? op.length_bytes : op.memory.size();
  require(op.on_done != nullptr, "an operation without on_done");
  require(!device.content.empty(), "an operation on a device that is not there");
  require(op.kind == IoKind::read || op.kind == IoKind::flush || device.writable, "a write to a read-only device");
  if (op.kind != IoKind::flush) {
    require(op.offset_bytes <= device.content.size() && length <= device.content.size() - op.offset_bytes,
            "an operation outside the device");
    require(op.offset_bytes % device.logical_block_bytes == 0 && length % device.logical_block_bytes == 0,
            "an operation that is no multiple of the logical block");
    require(reinterpret_cast<std::uintptr_t>(op.memory.data()) % kIoAlignmentBytes == 0, "misaligned memory");
  }
  in_flight_.push_back(&op);
}

std::size_t MemoryPort::poll(Wait) {
  if (in_flight_.empty()) return 0;
  IoOp& op = *in_flight_.back();
  in_flight_.pop_back();
  sim::Bytes& content = devices_[static_cast<std::size_t>(op.device)].content;
  const auto place = content.begin() + static_cast<std::ptrdiff_t>(op.offset_bytes);
  if (op.kind == IoKind::read) std::copy_n(place, op.memory.size(), op.memory.begin());
  if (op.kind == IoKind::write) std::copy(op.memory.begin(), op.memory.end(), place);
  if (op.kind == IoKind::discard) std::fill_n(place, op.length_bytes, std::byte{0});
  op.on_done(op, {});
  return 1;
}

}  // namespace wc::fuzz
