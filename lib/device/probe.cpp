// SPDX-License-Identifier: LGPL-2.1-or-later
// Asks libblkid: which device a tag means, and which foreign signature a device bears.
#include <blkid/blkid.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "device/open.hpp"
#include "io/pmem2_port.hpp"

namespace wc {
namespace {

struct ProbeDeleter {
  void operator()(blkid_probe probe) const noexcept { ::blkid_free_probe(probe); }
};
using Probe = std::unique_ptr<std::remove_pointer_t<blkid_probe>, ProbeDeleter>;

struct CFree {
  void operator()(char* text) const noexcept { std::free(text); }
};

constexpr int kSuperblockFlags = BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_LABEL
#ifdef BLKID_SUBLKS_FSINFO
                                 | BLKID_SUBLKS_FSINFO  // newer libblkid tells BLOCK_SIZE only when asked
#endif
    ;

constexpr std::array<std::string_view, 4> kTags{"UUID=", "PARTUUID=", "LABEL=", "PARTLABEL="};

std::string value_of(blkid_probe probe, const char* name) {
  const char* value = nullptr;
  if (::blkid_probe_lookup_value(probe, name, &value, nullptr) != 0 || value == nullptr) return {};
  return value;
}

std::uint32_t number_of(blkid_probe probe, const char* name) {
  const std::string text = value_of(probe, name);
  std::uint32_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// Looks for one signature in the bytes from `offset_bytes` on.
Result<std::optional<Signature>> probe_bytes(const std::string& path, int fd, std::uint64_t offset_bytes,
                                             std::uint64_t size_bytes) {
  const Probe probe(::blkid_new_probe());
  if (!probe) return device_error(ErrorCode::io, ENOMEM, path, "cannot be probed");
  if (::blkid_probe_set_device(probe.get(), fd, static_cast<blkid_loff_t>(offset_bytes),
                               static_cast<blkid_loff_t>(size_bytes)) != 0)
    return device_error(ErrorCode::io, errno, path, "cannot be probed");
  ::blkid_probe_enable_superblocks(probe.get(), 1);
  ::blkid_probe_set_superblocks_flags(probe.get(), kSuperblockFlags);
  ::blkid_probe_enable_partitions(probe.get(), 1);
  ::blkid_probe_set_partitions_flags(probe.get(), 0);

  // Not blkid_do_safeprobe: where several signatures contradict each other, the first is reason enough.
  errno = 0;
  const int answer = ::blkid_do_probe(probe.get());
  if (answer < 0) return device_error(ErrorCode::io, errno, path, "cannot be probed");
  if (answer > 0) return std::optional<Signature>{};
  Signature signature;
  signature.type = value_of(probe.get(), "TYPE");
  signature.usage = value_of(probe.get(), "USAGE");
  signature.label = value_of(probe.get(), "LABEL");
  signature.sector_bytes = number_of(probe.get(), "BLOCK_SIZE");
  if (signature.type.empty()) {
    signature.type = value_of(probe.get(), "PTTYPE");
    signature.usage = "partition table";
  }
  return std::optional<Signature>(std::move(signature));
}

/// libblkid reads, and device-DAX can only be mapped: it gets a copy of both ends, where signatures are.
Result<std::optional<Signature>> probe_mapping(const std::string& path, UniqueFd fd, const DeviceInfo& info) {
  constexpr std::uint64_t kEndBytes = 2U << 20;
  auto memory = Pmem2Port::create(std::move(fd), {info.window_offset_bytes, info.size_bytes, false});
  if (!memory) return device_error(memory.error().code, memory.error().os_errno, path, memory.error().context);
  const std::span<const std::byte> view = (*memory)->view();
  const UniqueFd copy(::memfd_create("wc-probe", MFD_CLOEXEC));
  if (!copy || ::ftruncate(copy.get(), static_cast<off_t>(view.size())) != 0)
    return device_error(ErrorCode::io, errno, path, "cannot be probed");
  const std::uint64_t part_bytes = std::min<std::uint64_t>(view.size(), kEndBytes);
  for (const std::uint64_t start : {std::uint64_t{0}, view.size() - part_bytes})
    if (::pwrite(copy.get(), view.data() + start, part_bytes, static_cast<off_t>(start)) !=
        static_cast<ssize_t>(part_bytes))
      return device_error(ErrorCode::io, errno, path, "cannot be probed");
  return probe_bytes(path, copy.get(), 0, view.size());
}

}  // namespace

Result<std::string> resolve_tag(const std::string& name) {
  const bool is_tag =
      std::any_of(kTags.begin(), kTags.end(), [&](std::string_view tag) { return name.starts_with(tag); });
  if (!is_tag) return name;
  // The cache of block devices in memory only: looking a tag up shall not change any file.
  blkid_cache cache = nullptr;
  if (::blkid_get_cache(&cache, "/dev/null") != 0) cache = nullptr;
  const std::unique_ptr<char, CFree> path(::blkid_evaluate_spec(name.c_str(), &cache));
  if (cache != nullptr) ::blkid_put_cache(cache);
  if (!path)
    return device_error(ErrorCode::not_found, 0, name,
                        "no block device has this tag (see `blkid`; an image is named by its path)");
  return std::string(path.get());
}

Result<std::optional<Signature>> probe_signature(const DeviceSpec& device) {
  const SystemRoots roots;
  const auto medium = identify_medium(roots, device.path);
  if (!medium) return medium.error();
  DeviceSpec shared = device;
  shared.access = Access::read_shared;
  auto opened = open_medium(roots, *medium, shared);
  if (!opened) return opened.error();
  if (opened->info.size_bytes == 0) return std::optional<Signature>{};
  if (medium->kind == MediumKind::device_dax) return probe_mapping(medium->path, std::move(opened->fd), opened->info);
  // libblkid reads in pieces of any alignment.
  if (::fcntl(opened->fd.get(), F_SETFL, 0) != 0)
    return device_error(ErrorCode::io, errno, medium->path, "cannot be probed");
  return probe_bytes(medium->path, opened->fd.get(), opened->info.window_offset_bytes, opened->info.size_bytes);
}

}  // namespace wc
