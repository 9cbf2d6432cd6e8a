// SPDX-License-Identifier: LGPL-2.1-or-later
// The steps of opening: what a path is, whether it may be used, its window and descriptor.
#pragma once

#include "device/holders.hpp"
#include "io/port_device.hpp"
#include "writecache/device.hpp"

namespace wc {

enum class MediumKind : std::uint8_t { block_device, image, device_dax };

/// What a path turned out to be, before it is opened.
struct Medium {
  std::string path;  ///< resolved
  MediumKind kind = MediumKind::image;
  DeviceNumber number;      ///< of the node; for an image of its file system
  std::uint64_t inode = 0;  ///< images only
};

/// What the public options do not offer: for tests, and for machines that forbid io_uring.
struct OpenInternals {
  SystemRoots roots;
  bool without_io_uring = false;
};

/// Resolves a tag and looks at what is there. Opens nothing: opening a FIFO, a tape or a watchdog
/// would already do something.
/// Errors: not_found, permission, invalid_argument.
Result<Medium> identify_medium(const SystemRoots& roots, const std::string& name);

/// Opens a medium; for Access::write_exclusive also makes sure that nobody else uses it.
/// Errors: as open_devices.
Result<PortDevice> open_medium(const SystemRoots& roots, const Medium& medium, const DeviceSpec& spec);

/// open_devices with every choice open.
Result<std::unique_ptr<Devices>> open_devices_with(const OpenOptions& options, const OpenInternals& internals);

/// "PATH: what is wrong", as every error of lib/device begins.
Error device_error(ErrorCode code, int os_errno, const std::string& path, const std::string& what);

/// The kind of a failed open(2) or stat(2).
ErrorCode code_of_open_errno(int os_errno) noexcept;

}  // namespace wc
