// SPDX-License-Identifier: LGPL-2.1-or-later
// Opens devices, images and device-DAX nodes and puts the ports on them.
#include "device/open.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "device/lock.hpp"
#include "io/pmem2_port.hpp"
#include "io/pmem_block_port.hpp"
#include "io/sync_port.hpp"
#include "io/system_clock.hpp"
#include "io/uring_port.hpp"

namespace wc {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kDirectBlockBytesMax = 4096;

bool is_device_dax(const SystemRoots& roots, DeviceNumber number) {
  std::error_code failure;
  const fs::path subsystem = fs::read_symlink(roots.sys / "dev/char" / number.text() / "subsystem", failure);
  return !failure && subsystem.filename() == "dax";
}

bool is_same_medium(const Medium& one, const Medium& other) {
  return one.kind == other.kind && one.number == other.number && one.inode == other.inode;
}

Error busy_error(const std::string& path, const std::string& holder) {
  return device_error(ErrorCode::busy, 0, path, "is " + holder);
}

Medium medium_of(const SystemRoots& roots, const std::string& path, const struct stat& status) {
  Medium medium;
  medium.path = path;
  if (S_ISREG(status.st_mode)) {
    medium.kind = MediumKind::image;
    medium.number = DeviceNumber::of(status.st_dev);
    medium.inode = status.st_ino;
  } else {
    medium.number = DeviceNumber::of(status.st_rdev);
    medium.kind = S_ISCHR(status.st_mode) && is_device_dax(roots, medium.number) ? MediumKind::device_dax
                                                                                 : MediumKind::block_device;
  }
  return medium;
}

/// Why nothing can be stored on what a path is, or nullptr.
const char* refuse_type(const SystemRoots& roots, const struct stat& status) {
  if (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode)) return nullptr;
  if (S_ISDIR(status.st_mode)) return "is a directory (give a block device or an image file)";
  if (S_ISFIFO(status.st_mode)) return "is a FIFO (give a block device or an image file)";
  if (S_ISSOCK(status.st_mode)) return "is a socket (give a block device or an image file)";
  if (S_ISCHR(status.st_mode) && is_device_dax(roots, DeviceNumber::of(status.st_rdev))) return nullptr;
  if (S_ISCHR(status.st_mode)) return "is a character device that is not DAX (give a block device or an image file)";
  return "is no block device and no regular file";
}

/// Refuses a medium that somebody else uses; what O_EXCL then finds out has no name.
std::optional<Error> refuse_used(const SystemRoots& roots, const Medium& medium) {
  std::optional<std::string> holder;
  if (medium.kind == MediumKind::block_device) holder = find_device_holder(roots, medium.number);
  if (medium.kind == MediumKind::image) {
    std::error_code failure;
    const fs::path real = fs::canonical(medium.path, failure);
    holder = find_image_holder(roots, failure ? fs::path(medium.path) : real);
  }
  if (!holder) return std::nullopt;
  return busy_error(medium.path, *holder);
}

Error open_error(const SystemRoots& roots, const Medium& medium, int os_errno) {
  if (os_errno == EBUSY) {
    if (auto holder = find_device_holder(roots, medium.number)) return busy_error(medium.path, *holder);
    const std::string openers = describe_openers(roots, medium.number);
    return busy_error(medium.path,
                      openers.empty() ? "held by another program or by the kernel" : "in use by " + openers);
  }
  if (os_errno == EACCES || os_errno == EPERM)
    return device_error(ErrorCode::permission, os_errno, medium.path, "cannot be opened (are you root?)");
  if (os_errno == EROFS)
    return device_error(ErrorCode::permission, os_errno, medium.path, "cannot be opened for writing");
  return device_error(code_of_open_errno(os_errno), os_errno, medium.path, "cannot be opened");
}

/// A file that its owner made read-only is left alone even by root, whom the kernel would let write.
bool is_marked_read_only(const struct stat& status) {
  constexpr mode_t kAnyWrite = S_IWUSR | S_IWGRP | S_IWOTH;
  return S_ISREG(status.st_mode) && (status.st_mode & kAnyWrite) == 0;
}

/// The kernel knows of writers that have no name; a claim that is given up at once leaves other readers alone.
std::optional<Error> refuse_claimed(const SystemRoots& roots, const Medium& medium) {
  const UniqueFd claim(::open(medium.path.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK));
  if (claim || errno != EBUSY) return std::nullopt;
  return open_error(roots, medium, errno);
}

Result<UniqueFd> open_descriptor(const SystemRoots& roots, const Medium& medium, Access access) {
  const bool writes = access == Access::write_exclusive;
  const bool is_block_device = medium.kind == MediumKind::block_device;
  if (access != Access::read_shared)
    if (auto refusal = refuse_used(roots, medium)) return *std::move(refusal);
  if (access == Access::read_stable && is_block_device)
    if (auto refusal = refuse_claimed(roots, medium)) return *std::move(refusal);
  // O_NONBLOCK: if the path has become a FIFO meanwhile, opening it must not wait for its other end.
  int flags = (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  if (writes && is_block_device) flags |= O_EXCL;
  UniqueFd fd(::open(medium.path.c_str(), flags));
  if (!fd) return open_error(roots, medium, errno);

  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return open_error(roots, medium, errno);
  if (refuse_type(roots, status) != nullptr || !is_same_medium(medium, medium_of(roots, medium.path, status)))
    return device_error(ErrorCode::io, 0, medium.path, "was replaced while it was being opened");
  if (writes && is_marked_read_only(status))
    return device_error(ErrorCode::permission, 0, medium.path,
                        "is a read-only file (allow writing with `chmod u+w` if that is meant)");
  // The kernel opens a read-only device for writing and fails only the writes.
  int is_read_only = 0;
  if (writes && is_block_device && ::ioctl(fd.get(), BLKROGET, &is_read_only) == 0 && is_read_only != 0)
    return device_error(ErrorCode::permission, 0, medium.path, "is a read-only device (see `blockdev --setrw`)");
  // io_uring answers EAGAIN instead of waiting for the disk where this flag is set.
  if (::fcntl(fd.get(), F_SETFL, 0) != 0) return open_error(roots, medium, errno);
  if (access != Access::read_shared && !is_block_device) {
    const LockMode mode = writes ? LockMode::exclusive : LockMode::shared;
    if (auto locked = lock_file(roots, fd.get(), medium.path, mode); !locked) return locked.error();
  }
  return fd;
}

Result<std::uint64_t> medium_bytes(const SystemRoots& roots, const Medium& medium, int fd) {
  if (medium.kind == MediumKind::block_device) {
    std::uint64_t bytes = 0;
    if (::ioctl(fd, BLKGETSIZE64, &bytes) != 0)
      return device_error(ErrorCode::io, errno, medium.path, "does not tell its size");
    return bytes;
  }
  if (medium.kind == MediumKind::image) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return device_error(ErrorCode::io, errno, medium.path, "does not tell its size");
    return static_cast<std::uint64_t>(status.st_size);
  }
  const std::string text = read_kernel_file(roots.sys / "dev/char" / medium.number.text() / "size");
  std::uint64_t bytes = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), bytes).ec != std::errc{})
    return device_error(ErrorCode::io, 0, medium.path, "does not tell its size");
  return bytes;
}

bool is_on_tmpfs(int fd) {
  struct statfs status {};
  return ::fstatfs(fd, &status) == 0 && status.f_type == TMPFS_MAGIC;
}

bool set_direct(int fd, bool direct) { return ::fcntl(fd, F_SETFL, direct ? O_DIRECT : 0) == 0; }

/// What O_DIRECT asks of offsets in an image, by trial; 0 where no value that suits us works.
std::uint32_t try_direct_block_bytes(int fd) {
  alignas(kIoAlignmentBytes) std::array<std::byte, kDirectBlockBytesMax> memory;
  // Not from offset 0, which is a multiple of everything.
  for (const std::uint32_t bytes : {kSectorBytes, kDirectBlockBytesMax})
    if (::pread(fd, memory.data(), bytes, bytes) == static_cast<ssize_t>(bytes)) return bytes;
  return 0;
}

std::uint32_t image_direct_block_bytes(int fd) {
#ifdef STATX_DIOALIGN
  struct statx status {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 && (status.stx_mask & STATX_DIOALIGN) != 0) {
    const bool suits = status.stx_dio_mem_align <= kIoAlignmentBytes && status.stx_dio_offset_align > 0 &&
                       status.stx_dio_offset_align <= kDirectBlockBytesMax;
    if (!suits) return 0;
    return status.stx_dio_offset_align < kSectorBytes ? kSectorBytes : status.stx_dio_offset_align;
  }
#endif
  return try_direct_block_bytes(fd);
}

/// Turns O_DIRECT on for an image where the file system can and every sector stays reachable.
void make_image_direct(PortDevice& device, std::uint64_t start_bytes, std::uint64_t end_bytes) {
  if (!set_direct(device.fd.get(), true)) return;
  const std::uint32_t block_bytes = image_direct_block_bytes(device.fd.get());
  const std::uint64_t whole_end = round_down(end_bytes, kSectorBytes);
  if (block_bytes == 0 || start_bytes % block_bytes != 0 || whole_end % block_bytes != 0) {
    set_direct(device.fd.get(), false);
    return;
  }
  device.is_direct = true;
  device.info.logical_block_bytes = block_bytes;
}

/// Of a partition the whole disk tells.
bool can_discard(const SystemRoots& roots, DeviceNumber number) {
  for (const char* const file : {"queue/discard_max_bytes", "../queue/discard_max_bytes"}) {
    std::error_code failure;
    const fs::path path = fs::canonical(roots.sys / "dev/block" / number.text(), failure) / file;
    if (!failure && fs::exists(path, failure)) return std::atoll(read_kernel_file(path).c_str()) > 0;
  }
  return false;
}

void make_block_device_direct(PortDevice& device, std::uint64_t start_bytes) {
  int block_bytes = 0;
  if (::ioctl(device.fd.get(), BLKSSZGET, &block_bytes) == 0 && block_bytes > 0)
    device.info.logical_block_bytes = static_cast<std::uint32_t>(block_bytes);
  // A window that begins inside a logical block is reachable through the page cache only.
  if (start_bytes % device.info.logical_block_bytes == 0) device.is_direct = set_direct(device.fd.get(), true);
}

Result<std::unique_ptr<IoPort>> make_block_port(PortDevices devices, const OpenInternals& internals) {
  if (!internals.without_io_uring) {
    auto uring = UringPort::create(devices);
    if (uring) return std::unique_ptr<IoPort>(std::move(*uring));
    if (uring.error().code != ErrorCode::unsupported) return uring.error();
  }
  return std::unique_ptr<IoPort>(std::make_unique<SyncPort>(std::move(devices)));
}

/// Cache and origin, each window reaching to the end of its device, overlap wherever they share one.
std::optional<Error> refuse_shared(const SystemRoots& roots, const Medium& cache, const Medium& origin) {
  if (is_same_medium(cache, origin))
    return device_error(ErrorCode::invalid_argument, 0, origin.path,
                        "is the cache and the origin at once (both reach to the end of the device, so one would "
                        "overwrite the other; name two devices)");
  const bool are_blocks = cache.kind == MediumKind::block_device && origin.kind == MediumKind::block_device;
  if (are_blocks && is_partition_of_other(roots, cache.number, origin.number))
    return device_error(ErrorCode::invalid_argument, 0, origin.path,
                        "overlaps the cache " + cache.path + ": one is a partition of the other (name two devices)");
  return std::nullopt;
}

struct OpenedPorts {
  std::unique_ptr<IoPort> io;
  std::unique_ptr<PmemPort> memory;  ///< the cache, where it is mapped for the engine
};

class OpenedDevices final : public Devices {
 public:
  OpenedDevices(OpenedPorts ports, std::string cache_path, std::string origin_path)
      : ports_(std::move(ports)), cache_path_(std::move(cache_path)), origin_path_(std::move(origin_path)) {}

  IoPort& port() noexcept override { return *ports_.io; }
  PmemPort* pmem() noexcept override { return ports_.memory.get(); }
  Clock& clock() noexcept override { return clock_; }
  const std::string& cache_path() const noexcept override { return cache_path_; }
  const std::string& origin_path() const noexcept override { return origin_path_; }

 private:
  OpenedPorts ports_;
  SystemClock clock_;
  std::string cache_path_;
  std::string origin_path_;
};

Result<std::unique_ptr<Pmem2Port>> map_cache(const Medium& medium, PortDevice cache) {
  auto memory = Pmem2Port::create(
      std::move(cache.fd), PmemWindow{cache.info.window_offset_bytes, cache.info.size_bytes, cache.info.writable});
  if (memory) return memory;
  Error error = memory.error();
  error.context = medium.path + ": " + error.context;
  if (medium.kind == MediumKind::block_device) {
    error.context += " (a block device cannot be mapped: type s serves the same cache through block I/O)";
  }
  return error;
}

/// The ports over an opened cache and origin; device-DAX cannot be read(2) and is always mapped.
Result<OpenedPorts> make_ports(const Medium& cache, PortDevices devices, bool maps_cache,
                               const OpenInternals& internals) {
  OpenedPorts ports;
  if (cache.kind != MediumKind::device_dax && !maps_cache) {
    auto made = make_block_port(std::move(devices), internals);
    if (!made) return made.error();
    ports.io = std::move(*made);
    return ports;
  }
  const DeviceInfo info = devices.cache.info;
  auto memory = map_cache(cache, std::move(devices.cache));
  if (!memory) return memory.error();
  if (devices.origin.info.present) {
    PortDevices origin_only;
    origin_only.origin = std::move(devices.origin);
    auto made = make_block_port(std::move(origin_only), internals);
    if (!made) return made.error();
    ports.io = std::move(*made);
  }
  if (maps_cache && ports.io) {
    ports.memory = std::move(*memory);
  } else {
    ports.io = std::make_unique<PmemBlockPort>(std::move(*memory), info, std::move(ports.io));
  }
  return ports;
}

}  // namespace

Error device_error(ErrorCode code, int os_errno, const std::string& path, const std::string& what) {
  return Error{code, os_errno, 0, path + ": " + what};
}

ErrorCode code_of_open_errno(int os_errno) noexcept {
  switch (os_errno) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case ENXIO:
    case ENODEV:
    case ENOMEDIUM:
      return ErrorCode::not_found;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::permission;
    case EBUSY:
    case ETXTBSY:
      return ErrorCode::busy;
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::no_space;
    default:
      return ErrorCode::io;
  }
}

Result<Medium> identify_medium(const SystemRoots& roots, const std::string& name) {
  auto path = resolve_tag(name);
  if (!path) return path.error();
  struct stat status {};
  if (::stat(path->c_str(), &status) != 0)
    return device_error(code_of_open_errno(errno), errno, *path, "cannot be opened");
  if (const char* refusal = refuse_type(roots, status))
    return device_error(ErrorCode::invalid_argument, 0, *path, refusal);
  return medium_of(roots, *path, status);
}

Result<PortDevice> open_medium(const SystemRoots& roots, const Medium& medium, const DeviceSpec& spec) {
  auto fd = open_descriptor(roots, medium, spec.access);
  if (!fd) return fd.error();
  PortDevice device;
  device.fd = std::move(*fd);
  const auto end_bytes = medium_bytes(roots, medium, device.fd.get());
  if (!end_bytes) return end_bytes.error();
  const Sector end = sectors_of_bytes(*end_bytes);
  if (spec.start_sector > 0 && spec.start_sector >= end)
    return device_error(ErrorCode::invalid_argument, 0, medium.path,
                        "start sector " + std::to_string(spec.start_sector) + " is not on the device, which has " +
                            std::to_string(end) + " sectors");
  if (spec.sectors && *spec.sectors > end - spec.start_sector)
    return device_error(ErrorCode::invalid_argument, 0, medium.path,
                        "ends before the " + std::to_string(*spec.sectors) + " sectors that begin at sector " +
                            std::to_string(spec.start_sector));

  const std::uint64_t start_bytes = bytes_of_sectors(spec.start_sector);
  const std::uint64_t window_end_bytes = spec.sectors ? start_bytes + bytes_of_sectors(*spec.sectors) : *end_bytes;
  device.is_block_device = medium.kind == MediumKind::block_device;
  device.is_memory = medium.kind == MediumKind::image && is_on_tmpfs(device.fd.get());
  if (medium.kind == MediumKind::block_device) make_block_device_direct(device, start_bytes);
  if (medium.kind == MediumKind::block_device) device.info.can_discard = can_discard(roots, medium.number);
  if (medium.kind == MediumKind::image && spec.direct == DirectIo::always)
    make_image_direct(device, start_bytes, window_end_bytes);
  if (!device.is_direct) device.info.memory_alignment_bytes = 1;
  device.info.present = true;
  device.info.writable = spec.access == Access::write_exclusive;
  device.info.window_offset_bytes = start_bytes;
  device.info.size_bytes = round_down(window_end_bytes - start_bytes, device.info.logical_block_bytes);
  return device;
}

Result<std::unique_ptr<Devices>> open_devices_with(const OpenOptions& options, const OpenInternals& internals) {
  const SystemRoots& roots = internals.roots;
  const auto cache = identify_medium(roots, options.cache.path);
  if (!cache) return cache.error();
  std::optional<Medium> origin;
  if (options.origin) {
    auto found = identify_medium(roots, options.origin->path);
    if (!found) return found.error();
    origin = std::move(*found);
    if (origin->kind == MediumKind::device_dax)
      return device_error(ErrorCode::unsupported, 0, origin->path, "is device-DAX, which cannot be an origin");
    if (auto refusal = refuse_shared(roots, *cache, *origin)) return *std::move(refusal);
  }

  PortDevices devices;
  auto opened = open_medium(roots, *cache, options.cache);
  if (!opened) return opened.error();
  devices.cache = std::move(*opened);
  if (options.maps_cache && !origin)
    return device_error(ErrorCode::invalid_argument, 0, cache->path,
                        "cannot be mapped for an engine without an origin");
  if (origin) {
    opened = open_medium(roots, *origin, *options.origin);
    if (!opened) return opened.error();
    devices.origin = std::move(*opened);
  }
  auto ports = make_ports(*cache, std::move(devices), options.maps_cache, internals);
  if (!ports) return ports.error();
  return std::unique_ptr<Devices>(
      std::make_unique<OpenedDevices>(std::move(*ports), cache->path, origin ? origin->path : std::string()));
}

Result<std::unique_ptr<Devices>> open_devices(const OpenOptions& options) { return open_devices_with(options, {}); }

}  // namespace wc
