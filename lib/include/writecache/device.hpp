// SPDX-License-Identifier: LGPL-2.1-or-later
// Opening real devices and images: tags, signatures, locks, "who holds it", and the ports on them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "writecache/api.hpp"
#include "writecache/port.hpp"
#include "writecache/result.hpp"
#include "writecache/undo.hpp"
#include "writecache/units.hpp"

namespace wc {

enum class Access : std::uint8_t {
  read_shared,      ///< read-only, beside others; fails only where reading is not allowed
  /// Read-only, for long: refused beside a user who may write, as write_exclusive is (one that is mounted or attached
  /// read-only counts too). The suite's own writers of an image are kept away by an advisory lock, which readers share;
  /// from a block device nobody is kept away who comes later.
  read_stable,
  write_exclusive,  ///< O_EXCL on block devices, an advisory lock on images; `busy` says who holds it
};

/// How reads and writes go past the page cache.
enum class DirectIo : std::uint8_t {
  automatic,  ///< block devices: O_DIRECT; images: through the page cache
  always,     ///< O_DIRECT wherever the file system can, images included
};

/// One device as the user names it.
struct DeviceSpec {
  std::string path;         ///< block device, regular file, DAX file, device-DAX node, or a tag:
                            ///< UUID=, PARTUUID=, LABEL=, PARTLABEL= (resolved with libblkid)
  Sector start_sector = 0;  ///< the window begins here; offset 0 of the port
  Access access = Access::read_shared;
  DirectIo direct = DirectIo::automatic;
  /// The window ends after so many sectors; nothing: at the end of the device.
  std::optional<Sector> sectors = std::nullopt;
};

struct OpenOptions {
  DeviceSpec cache;
  std::optional<DeviceSpec> origin;
  bool maps_cache = false;  ///< the cache is mapped (Devices::pmem) and not a device of the port: type p
};

/// Opened devices with their port and a clock. Closing releases the locks.
class WC_API Devices {
 public:
  virtual ~Devices() = default;
  virtual IoPort& port() noexcept = 0;
  virtual Clock& clock() noexcept = 0;
  virtual PmemPort* pmem() noexcept { return nullptr; }         ///< the cache if it was to be mapped
  virtual const std::string& cache_path() const noexcept = 0;   ///< resolved, for messages
  virtual const std::string& origin_path() const noexcept = 0;  ///< empty without an origin
};

/// Opens what `options` names. Nothing is written.
/// Errors: not_found, permission, busy (mounted, swap, md, dm, another of the suite, or a busy whole
/// disk; the text names the holder), invalid_argument (directory, FIFO, character device that is not
/// DAX, cache and origin the same or overlapping, start_sector or window beyond the end), io, unsupported.
/// Error::context begins with the path it is about.
WC_API Result<std::unique_ptr<Devices>> open_devices(const OpenOptions& options);

/// What libblkid sees on a device, if anything.
struct Signature {
  std::string type;   ///< "ext4", "LVM2_member", "gpt", ...
  std::string usage;  ///< "filesystem", "raid", "partition table", ...
  std::string label;  ///< may be empty
  std::uint32_t sector_bytes = 0;  ///< smallest I/O the file system does; 0 where unknown
};

/// Probes the window of `device` for a foreign signature (a file system, RAID, LVM, partition table).
/// Errors: as open_devices. No signature is std::nullopt.
WC_API Result<std::optional<Signature>> probe_signature(const DeviceSpec& device);

/// Turns UUID=, PARTUUID=, LABEL=, PARTLABEL= into a device path; any other text is returned as it is.
/// Errors: not_found.
WC_API Result<std::string> resolve_tag(const std::string& name);

enum class UndoFileMode : std::uint8_t {
  save,  ///< created, or continued where an interrupted repair of the same device left it
  read,  ///< must exist; never written
};

/// An undo log in a file of its own. Errors: not_found, permission, busy, io, no_space.
WC_API Result<std::unique_ptr<UndoLog>> open_undo_file(const std::string& path, UndoFileMode mode);

}  // namespace wc
