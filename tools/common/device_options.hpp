// SPDX-License-Identifier: LGPL-2.1-or-later
// locate_devices: CACHE and --origin, or --lvm, as what open_devices takes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/command.hpp"
#include "writecache/device.hpp"

namespace wc::tools {

/// What a command wants to do with its devices.
struct DeviceUse {
  Access cache = Access::read_shared;
  Access origin = Access::read_shared;
  bool needs_origin = false;  ///< else it goes without, where --lvm cannot give one
  DirectIo origin_direct = DirectIo::automatic;
};

/// What a device bears, for messages: `ext4 (filesystem) labelled "home"`.
std::string describe(const Signature& signature);

struct LocatedDevices {
  OpenOptions options;
  std::string name;                          ///< for messages: CACHE, or VG/LV
  std::optional<std::uint32_t> block_bytes;  ///< what LVM would put into the table line
  std::string when_busy;                     ///< what to do where LVM's other volumes are in use; may be empty
};

/// With --lvm asks LVM, through `lvs` and `pvs` in PATH; writes nothing and activates nothing.
/// Errors: not_found, not_a_cache, busy (the volume is active), unsupported (no LVM; its report is not as expected; the
/// volume does not lie in one piece: the text has the command that makes one device of the pieces).
Result<LocatedDevices> locate_devices(Console& console, const DeviceUse& use);

/// open_devices, with the advice where a device is busy.
Result<std::unique_ptr<Devices>> open_located(Console& console, const LocatedDevices& located);

}  // namespace wc::tools
