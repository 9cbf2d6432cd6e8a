// SPDX-License-Identifier: LGPL-2.1-or-later
// Plain one-at-a-time I/O on a port, for everything that is not worth a queue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "writecache/port.hpp"
#include "writecache/units.hpp"

namespace wc::store {

/// Memory that suits O_DIRECT. Zeroed when made; never copied.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size_bytes);

  std::byte* data() noexcept { return memory_.get(); }
  const std::byte* data() const noexcept { return memory_.get(); }
  std::size_t size() const noexcept { return size_bytes_; }
  std::span<std::byte> span(std::size_t offset, std::size_t count) noexcept {
    return {memory_.get() + offset, count};
  }

 private:
  struct Release {
    void operator()(std::byte* memory) const noexcept;
  };
  std::unique_ptr<std::byte[], Release> memory_;
  std::size_t size_bytes_ = 0;
};

/// Submits one operation and polls until it is done. Other operations in flight complete meanwhile.
Result<void> run(IoPort& port, IoOp& op);

/// Reads any byte range of a device, aligned or not. Errors: io, invalid_argument (beyond the end).
Result<void> read_bytes(IoPort& port, DeviceId device, std::uint64_t offset_bytes,
                        std::span<std::byte> memory);

/// Writes any byte range of a device; the rest of the logical blocks it touches stays. Not durable
/// before a flush. Errors: io, permission, invalid_argument (beyond the end).
Result<void> write_bytes(IoPort& port, DeviceId device, std::uint64_t offset_bytes,
                         std::span<const std::byte> data);

/// Makes everything written to the device durable.
Result<void> flush(IoPort& port, DeviceId device);

}  // namespace wc::store
