// SPDX-License-Identifier: LGPL-2.1-or-later
// Reads mounts, swaps, locks, holders and loop devices out of /proc and /sys.
#include "device/holders.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

namespace wc {
namespace {

namespace fs = std::filesystem;

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  std::size_t begin = text.find_first_not_of(separators);
  while (begin != std::string_view::npos) {
    const std::size_t end = std::min(text.find_first_of(separators, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(separators, end);
  }
  return parts;
}

template <class Number>
std::optional<Number> parse_number(std::string_view text, int base = 10) {
  Number value{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<DeviceNumber> parse_device_number(std::string_view text, int base = 10) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto major_number = parse_number<std::uint32_t>(text.substr(0, colon), base);
  const auto minor_number = parse_number<std::uint32_t>(text.substr(colon + 1), base);
  if (!major_number || !minor_number) return std::nullopt;
  return DeviceNumber{*major_number, *minor_number};
}

/// The kernel writes blanks and backslashes of a path as a backslash and three octal digits.
std::string unescape(std::string_view text) {
  constexpr std::size_t kDigits = 3;
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\' && at + kDigits < text.size()) {
      if (const auto code = parse_number<unsigned char>(text.substr(at + 1, kDigits), 8)) {
        plain += static_cast<char>(*code);
        at += kDigits;
        continue;
      }
    }
    plain += text[at];
  }
  return plain;
}

/// What is in a directory, by name; nothing where it cannot be read.
std::vector<fs::path> entries_of(const fs::path& directory) {
  std::vector<fs::path> entries;
  std::error_code failure;
  for (fs::directory_iterator it(directory, failure), end; !failure && it != end; it.increment(failure))
    entries.push_back(it->path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

bool is_there(const fs::path& path) {
  std::error_code failure;
  return fs::exists(path, failure);
}

/// Everything about the machine that one question needs, read once.
struct Usage {
  explicit Usage(const SystemRoots& system)
      : roots(system),
        mounts(parse_mountinfo(read_kernel_file(system.proc / "self/mountinfo"))),
        swaps(parse_swaps(read_kernel_file(system.proc / "swaps"))) {}

  const SystemRoots& roots;
  std::vector<Mount> mounts;
  std::vector<std::string> swaps;
};

bool is_same_file(const std::string& one, const fs::path& other) {
  if (one == other) return true;
  std::error_code failure;
  return fs::equivalent(one, other, failure) && !failure;
}

/// The paths under which programs know a device.
std::vector<std::string> names_of(const fs::path& node) {
  std::vector<std::string> names{"/dev/" + node.filename().string()};
  if (const std::string mapped = read_kernel_file(node / "dm/name"); !mapped.empty())
    names.push_back("/dev/mapper/" + mapped);
  return names;
}

std::string describe_holder(const fs::path& holder) {
  const std::string name = holder.filename().string();
  if (const std::string mapped = read_kernel_file(holder / "dm/name"); !mapped.empty())
    return "held by the device-mapper device " + mapped;
  if (is_there(holder / "md")) return "held by the RAID array " + name;
  return "held by " + name;
}

/// Loop devices whose backing file is one of `paths`.
std::vector<fs::path> loops_on(const SystemRoots& roots, const std::vector<std::string>& paths) {
  std::vector<fs::path> loops;
  for (const fs::path& entry : entries_of(roots.sys / "block")) {
    if (!entry.filename().string().starts_with("loop")) continue;
    const std::string backing = read_kernel_file(entry / "loop/backing_file");
    if (backing.empty()) continue;
    const auto is_backing = [&](const std::string& path) { return is_same_file(backing, path); };
    if (std::any_of(paths.begin(), paths.end(), is_backing)) loops.push_back(entry);
  }
  return loops;
}

/// What uses exactly this node of /sys, not its partitions or disk.
std::optional<std::string> find_node_holder(const Usage& usage, const fs::path& node) {
  const auto number = parse_device_number(read_kernel_file(node / "dev"));
  const std::vector<std::string> names = names_of(node);
  const auto is_name = [&](const std::string& text) {
    return std::find(names.begin(), names.end(), text) != names.end();
  };
  for (const Mount& mount : usage.mounts)
    if ((number && mount.device == *number) || is_name(mount.source)) return "mounted on " + mount.mount_point;
  for (const std::string& swap : usage.swaps)
    if (is_name(swap)) return "used as swap";
  const std::vector<fs::path> holders = entries_of(node / "holders");
  if (!holders.empty()) return describe_holder(holders.front());
  return std::nullopt;
}

std::vector<fs::path> partitions_of(const fs::path& disk) {
  std::vector<fs::path> partitions;
  for (const fs::path& entry : entries_of(disk))
    if (is_there(entry / "partition")) partitions.push_back(entry);
  return partitions;
}

/// What uses this node or one of its partitions.
std::optional<std::string> find_disk_holder(const Usage& usage, const fs::path& node) {
  if (auto holder = find_node_holder(usage, node)) return holder;
  for (const fs::path& partition : partitions_of(node))
    if (auto holder = find_node_holder(usage, partition))
      return "in use: its partition " + partition.filename().string() + " is " + *holder;
  return std::nullopt;
}

std::optional<std::string> find_loop_holder(const Usage& usage, const std::vector<std::string>& paths) {
  const std::vector<fs::path> loops = loops_on(usage.roots, paths);
  if (loops.empty()) return std::nullopt;
  for (const fs::path& loop : loops)
    if (auto holder = find_disk_holder(usage, loop)) return *holder + " through " + loop.filename().string();
  const std::string name = loops.front().filename().string();
  return "attached to " + name + " (detach it with `losetup --detach /dev/" + name + "`)";
}

/// Where /sys describes a block device; empty where it does not.
fs::path node_of(const SystemRoots& roots, DeviceNumber device) {
  std::error_code failure;
  return fs::canonical(roots.sys / "dev/block" / device.text(), failure);
}

}  // namespace

DeviceNumber DeviceNumber::of(std::uint64_t kernel_number) noexcept {
  return {major(kernel_number), minor(kernel_number)};
}

std::string DeviceNumber::text() const { return std::to_string(major_number) + ":" + std::to_string(minor_number); }

std::string read_kernel_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

std::vector<Mount> parse_mountinfo(std::string_view text) {
  // id parent major:minor root mount-point options [tags...] - type source super-options
  constexpr std::size_t kDevice = 2;
  constexpr std::size_t kMountPoint = 4;
  constexpr std::size_t kFirstTag = 6;
  std::vector<Mount> mounts;
  for (const std::string_view line : split(text, "\n")) {
    const std::vector<std::string_view> words = split(line, " ");
    if (words.size() < kFirstTag) continue;
    const auto dash = std::find(words.begin() + kFirstTag, words.end(), "-");
    const auto device = parse_device_number(words[kDevice]);
    if (!device || std::distance(dash, words.end()) < 3) continue;
    mounts.push_back({*device, unescape(*(dash + 2)), unescape(words[kMountPoint])});
  }
  return mounts;
}

std::vector<std::string> parse_swaps(std::string_view text) {
  std::vector<std::string> paths;
  for (const std::string_view line : split(text, "\n")) {
    const std::vector<std::string_view> words = split(line, " \t");
    if (!words.empty() && words.front().starts_with('/')) paths.push_back(unescape(words.front()));
  }
  return paths;
}

std::vector<FileLock> parse_locks(std::string_view text) {
  // number: kind ADVISORY mode pid major:minor:inode start end; a waiting one has "->" as its second word
  constexpr std::size_t kWords = 8;
  std::vector<FileLock> locks;
  for (const std::string_view line : split(text, "\n")) {
    const std::vector<std::string_view> words = split(line, " ");
    if (words.size() < kWords || words[1] == "->") continue;
    const std::string_view place = words[5];
    const std::size_t colon = place.rfind(':');
    if (colon == std::string_view::npos) continue;
    const auto pid = parse_number<std::int64_t>(words[4]);
    const auto device = parse_device_number(place.substr(0, colon), 16);
    const auto inode = parse_number<std::uint64_t>(place.substr(colon + 1));
    if (!pid || !device || !inode) continue;
    locks.push_back({std::string(words[1]), *pid, *device, *inode});
  }
  return locks;
}

std::optional<std::string> find_device_holder(const SystemRoots& roots, DeviceNumber device) {
  const Usage usage(roots);
  const fs::path node = node_of(roots, device);
  if (node.empty()) {
    for (const Mount& mount : usage.mounts)
      if (mount.device == device) return "mounted on " + mount.mount_point;
    return std::nullopt;
  }
  if (auto holder = find_disk_holder(usage, node)) return holder;
  if (is_there(node / "partition")) {
    const fs::path disk = node.parent_path();
    if (auto holder = find_node_holder(usage, disk))
      return "in use: its whole disk " + disk.filename().string() + " is " + *holder;
  }
  return find_loop_holder(usage, names_of(node));
}

std::optional<std::string> find_image_holder(const SystemRoots& roots, const fs::path& image) {
  const Usage usage(roots);
  for (const Mount& mount : usage.mounts)
    if (mount.source.starts_with('/') && mount.source == image) return "mounted on " + mount.mount_point;
  for (const std::string& swap : usage.swaps)
    if (is_same_file(swap, image)) return "used as swap";
  return find_loop_holder(usage, {image.string()});
}

bool is_partition_of_other(const SystemRoots& roots, DeviceNumber one, DeviceNumber other) {
  const fs::path first = node_of(roots, one);
  const fs::path second = node_of(roots, other);
  if (first.empty() || second.empty()) return false;
  const auto is_part = [](const fs::path& part, const fs::path& whole) {
    return is_there(part / "partition") && part.parent_path() == whole;
  };
  return is_part(first, second) || is_part(second, first);
}

std::string describe_process(const SystemRoots& roots, std::int64_t pid) {
  const std::string number = "process " + std::to_string(pid);
  const std::string name = read_kernel_file(roots.proc / std::to_string(pid) / "comm");
  return name.empty() ? number : name + ", " + number;
}

std::string describe_openers(const SystemRoots& roots, DeviceNumber device) {
  std::string text;
  for (const fs::path& process : entries_of(roots.proc)) {
    const auto pid = parse_number<std::int64_t>(process.filename().string());
    if (!pid || *pid == ::getpid()) continue;
    for (const fs::path& file : entries_of(process / "fd")) {
      struct stat status {};
      if (::stat(file.c_str(), &status) != 0 || !S_ISBLK(status.st_mode)) continue;
      if (DeviceNumber::of(status.st_rdev) != device) continue;
      text += (text.empty() ? "" : "; ") + describe_process(roots, *pid);
      break;
    }
  }
  return text;
}

}  // namespace wc
