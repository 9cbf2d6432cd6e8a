// SPDX-License-Identifier: LGPL-2.1-or-later
// What the production ports share: one opened device, the checks of the port contract, and errors.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "io/unique_fd.hpp"
#include "writecache/port.hpp"

namespace wc {

/// One opened device of a port. `info.present` is false where the port has no such device.
struct PortDevice {
  UniqueFd fd;
  DeviceInfo info;
  bool is_block_device = false;
  bool is_direct = false;  ///< opened with O_DIRECT: transfers do not run inside the system call
  bool is_memory = false;  ///< a file on tmpfs: nothing ever waits for a disk
};

/// The devices of a port, indexed by DeviceId.
struct PortDevices {
  PortDevice cache;
  PortDevice origin;

  PortDevice& operator[](DeviceId id) noexcept { return id == DeviceId::cache ? cache : origin; }
  const PortDevice& operator[](DeviceId id) const noexcept { return id == DeviceId::cache ? cache : origin; }
};

/// Bytes that `op` reads, writes or discards; 0 for a flush.
std::uint64_t operation_bytes(const IoOp& op) noexcept;

/// Point 5 of the port contract: what forbids `op` on a device, or nothing.
/// Errors: invalid_argument, permission.
std::optional<Error> refuse_operation(const IoOp& op, const DeviceInfo& info);

/// Has an image become shorter than its window since it was opened? Nothing may be written then: that would make it
/// longer again, and what was cut off would read as zeros from then on.
bool has_shrunk(const PortDevice& device);

/// The error of an operation that the system answered with `os_errno`.
Error operation_error(const IoOp& op, int os_errno);

/// The error of an operation for which the medium was shorter than its window.
Error short_medium_error(const IoOp& op);

/// A read, write or flush in the calling thread. It waits for a disk only as far as the page cache makes it. Nothing
/// where the page cache cannot answer at once: not present, or only in part.
std::optional<Result<void>> perform_at_once(const IoOp& op, const PortDevice& device);

/// Frees the range of a discard on the medium. Blocks.
/// Errors: unsupported where the medium cannot, otherwise as operation_error.
Result<void> discard_now(const IoOp& op, const PortDevice& device);

/// Largest transfer handed to the system at once; it would cut longer ones itself.
inline constexpr std::uint64_t kTransferBytesMax = 1U << 30;

/// How far a transfer of `device` may be continued after `bytes`: whole blocks for O_DIRECT.
std::uint64_t continuable_bytes(const PortDevice& device, std::uint64_t bytes) noexcept;

}  // namespace wc
