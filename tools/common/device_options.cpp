// SPDX-License-Identifier: LGPL-2.1-or-later
// locate_devices: asks LVM where a cached volume lies, and refuses what it cannot name in one piece.
#include "common/device_options.hpp"

#include <fmt/format.h>

#include <string_view>
#include <utility>
#include <vector>

#include "common/lvm_report.hpp"

namespace wc::tools {
namespace {

/// The part of a program's complaint that fits into a line.
std::string first_line(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \n");
  if (begin == std::string_view::npos) return "it did not say why";
  return std::string(text.substr(begin, text.find('\n', begin) - begin));
}

/// The report of one of LVM's programs.
Result<std::string> ask_lvm(Environment& environment, const std::vector<std::string>& words) {
  auto output = environment.child_output(words, {"LVM_SYSTEM_DIR", "DM_DISABLE_UDEV"});
  if (!output) {
    Error error = output.error();
    error.code = ErrorCode::unsupported;
    error.context += " (install lvm2, or name CACHE and --origin yourself)";
    return error;
  }
  if (output->status != 0) {
    return Error{ErrorCode::not_found, 0, 0,
                 fmt::format("`{}` failed with status {}: {}", words.front(), output->status, first_line(output->err))};
  }
  return std::move(output->out);
}

Result<LvmCache> ask_about(Environment& environment, const LvmName& name) {
  const std::vector<std::string> format{"--reportformat", "json", "--units", "s", "--nosuffix"};
  std::vector<std::string> lvs{"lvs", "-a", "-o", kLvmVolumeFields};
  lvs.insert(lvs.end(), format.begin(), format.end());
  lvs.push_back(name.group);
  std::vector<std::string> pvs{"pvs", "-o", kLvmDeviceFields};
  pvs.insert(pvs.end(), format.begin(), format.end());
  pvs.insert(pvs.end(), {"-S", "vg_name=" + name.group});
  const auto volumes = ask_lvm(environment, lvs);
  if (!volumes) return volumes.error();
  const auto devices = ask_lvm(environment, pvs);
  if (!devices) return devices.error();
  return read_lvm_report(name, *volumes, *devices);
}

/// A device of `dmsetup create --concise`, where a comma ends a field and a semicolon a device.
std::string concise(const std::string& name, const LvmVolume& volume, Access access) {
  std::string text = fmt::format("{},,,{}", name, access == Access::write_exclusive ? "rw" : "ro");
  for (const LvmExtent& extent : volume.extents) {
    std::string device;
    for (const char letter : extent.device) {
      if (letter == ',' || letter == ';' || letter == '\\') device += '\\';
      device += letter;
    }
    text += fmt::format(",{} {} linear {} {}", extent.first, extent.sectors, device, extent.device_first);
  }
  return text;
}

/// What a user can do with volumes that are linear but not one piece, or on devices that are in use.
std::string advice(const LvmCache& found, const DeviceUse& use, bool with_origin) {
  std::string devices = concise("wc-cache", found.cache, use.cache);
  if (with_origin) devices += ";" + concise("wc-origin", found.origin, use.origin);
  return fmt::format(
      "make devices of their extents with `dmsetup create --concise '{}'`, then give {}/dev/mapper/wc-cache instead of "
      "--lvm; `dmsetup remove` them before LVM uses the volume",
      devices, with_origin ? "--origin /dev/mapper/wc-origin and " : "");
}

Error refusal(ErrorCode code, std::string text) { return Error{code, 0, 0, std::move(text)}; }

std::optional<Error> refuse_active(const LvmCache& found, const DeviceUse& use, const std::string& group) {
  if (found.is_active) {
    return refusal(ErrorCode::busy, fmt::format("is active: the kernel is using its cache (deactivate it first: "
                                                "`lvchange -an {}`)",
                                                found.name));
  }
  for (const auto& [volume, access] : {std::pair{&found.cache, use.cache}, std::pair{&found.origin, use.origin}}) {
    if (volume->is_active && access == Access::write_exclusive) {
      return refusal(
          ErrorCode::busy,
          fmt::format("its part {0} is active (deactivate it first: `lvchange -an {1}/{0}`)", volume->name, group));
    }
  }
  return std::nullopt;
}

/// Why the origin cannot be given, or nothing.
std::string trouble_with_origin(const LvmCache& found) {
  if (!found.origin.complicated.empty()) {
    return fmt::format("its origin {} {}", found.origin.name, found.origin.complicated);
  }
  if (!found.origin.is_one_piece()) {
    return fmt::format("its origin {} lies in {} pieces", found.origin.name, found.origin.extents.size());
  }
  if (found.origin.extents.front().device == found.cache.extents.front().device) {
    return "its cache and its origin lie on the same device";
  }
  return {};
}

DeviceSpec spec_of(const LvmExtent& extent, Access access) {
  DeviceSpec spec{extent.device, extent.device_first, access};
  spec.sectors = extent.sectors;
  return spec;
}

Result<LocatedDevices> locate_in_lvm(Console& console, const LvmName& name, const DeviceUse& use) {
  const auto asked = ask_about(console.environment(), name);
  if (!asked) return asked.error();
  const LvmCache& found = *asked;
  if (auto refused = refuse_active(found, use, name.group)) return *std::move(refused);
  if (!found.cache.complicated.empty()) {
    return refusal(ErrorCode::unsupported,
                   fmt::format("its cache {} {}, so no device holds it as a whole (see doc/lvm.md)", found.cache.name,
                               found.cache.complicated));
  }
  const bool is_linear = found.origin.complicated.empty();
  if (!found.cache.is_one_piece()) {
    return refusal(ErrorCode::unsupported, fmt::format("its cache {} lies in {} pieces ({})", found.cache.name,
                                                       found.cache.extents.size(), advice(found, use, is_linear)));
  }
  LocatedDevices located;
  located.name = found.name;
  located.block_bytes = found.block_bytes;
  located.options.cache = spec_of(found.cache.extents.front(), use.cache);
  if (const std::string trouble = trouble_with_origin(found); trouble.empty()) {
    located.options.origin = spec_of(found.origin.extents.front(), use.origin);
    located.options.origin->direct = use.origin_direct;
  } else if (!use.needs_origin) {
    console.warn(found.name, trouble + ": entries are not compared with its size");
  } else if (is_linear) {
    return refusal(ErrorCode::unsupported, fmt::format("{} ({})", trouble, advice(found, use, true)));
  } else {
    return refusal(ErrorCode::unsupported,
                   fmt::format("{}, so no device holds it as a whole (once `wc-check` finds no error, LVM writes the "
                               "cache back itself: `lvconvert --splitcache {}`)",
                               trouble, found.name));
  }
  if (is_linear) located.when_busy = advice(found, use, true);
  return located;
}

}  // namespace

Result<LocatedDevices> locate_devices(Console& console, const DeviceUse& use) {
  const CommonOptions& common = console.options();
  if (common.lvm) return locate_in_lvm(console, *common.lvm, use);
  LocatedDevices located;
  located.name = common.cache;
  located.options.cache = common.cache_spec(use.cache);
  located.options.origin = common.origin_spec(use.origin);
  if (located.options.origin) located.options.origin->direct = use.origin_direct;
  return located;
}

Result<std::unique_ptr<Devices>> open_located(Console& console, const LocatedDevices& located) {
  auto devices = console.environment().open_devices(located.options);
  if (devices || devices.error().code != ErrorCode::busy || located.when_busy.empty()) return devices;
  Error error = devices.error();
  error.context += " (" + located.when_busy + ")";
  return error;
}

std::string describe(const Signature& signature) {
  std::string text = signature.type;
  if (!signature.usage.empty()) text += fmt::format(" ({})", signature.usage);
  if (!signature.label.empty()) text += fmt::format(" labelled \"{}\"", signature.label);
  return text;
}

}  // namespace wc::tools
