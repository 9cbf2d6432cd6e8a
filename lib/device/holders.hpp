// SPDX-License-Identifier: LGPL-2.1-or-later
// Who uses a device or an image, as /sys and /proc tell it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wc {

/// Where the kernel's files are; a test puts a made-up tree here.
struct SystemRoots {
  std::filesystem::path sys = "/sys";
  std::filesystem::path proc = "/proc";
};

/// The number of a device node, or of the file system that holds a file.
struct DeviceNumber {
  std::uint32_t major_number = 0;
  std::uint32_t minor_number = 0;

  static DeviceNumber of(std::uint64_t kernel_number) noexcept;
  std::string text() const;  ///< "8:1"
  friend bool operator==(const DeviceNumber&, const DeviceNumber&) = default;
};

struct Mount {
  DeviceNumber device;
  std::string source;  ///< as given to mount: "/dev/sda1", "tmpfs", ...
  std::string mount_point;
};

/// One advisory lock of /proc/locks.
struct FileLock {
  std::string kind;      ///< "FLOCK", "POSIX", "OFDLCK"
  std::int64_t pid = 0;  ///< -1 where the lock belongs to no process
  DeviceNumber device;
  std::uint64_t inode = 0;
};

/// Lines that do not look right are left out: a wrong guess would only make a message wrong.
std::vector<Mount> parse_mountinfo(std::string_view text);
std::vector<std::string> parse_swaps(std::string_view text);
std::vector<FileLock> parse_locks(std::string_view text);

/// Says what uses a block device, its whole disk or one of its partitions, as the end of the
/// sentence "DEVICE is ...": "mounted on /mnt". Nothing where it is free.
std::optional<std::string> find_device_holder(const SystemRoots& roots, DeviceNumber device);

/// The same for an image: loop devices on it and what is on those, swap, mounts.
std::optional<std::string> find_image_holder(const SystemRoots& roots, const std::filesystem::path& image);

/// Tells whether one of two different block devices is a partition of the other.
bool is_partition_of_other(const SystemRoots& roots, DeviceNumber one, DeviceNumber other);

/// "wc-run, process 4711".
std::string describe_process(const SystemRoots& roots, std::int64_t pid);

/// Other processes that have a device open, described; empty where none may be seen.
std::string describe_openers(const SystemRoots& roots, DeviceNumber device);

/// The text of one of the kernel's files without its final newline; empty where it cannot be read.
std::string read_kernel_file(const std::filesystem::path& path);

}  // namespace wc
