// SPDX-License-Identifier: LGPL-2.1-or-later
// LVM's reports as values: where the cache and the origin of a cached logical volume lie.
//
// Only what `lvs` and `pvs` print with --reportformat json is read, never LVM's metadata. A report that does not have
// exactly the expected form is refused: a guess would be a wrong place on a disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "writecache/result.hpp"
#include "writecache/units.hpp"

namespace wc::tools {

/// The fields of `lvs` that read_lvm_report needs, for -o.
inline constexpr const char* kLvmVolumeFields =
    "vg_name,lv_name,lv_active,lv_size,segtype,stripes,seg_start,seg_size,devices,pool_lv,origin,"
    "writecache_block_size,vg_extent_size";
/// The same for `pvs`.
inline constexpr const char* kLvmDeviceFields = "vg_name,pv_name,pe_start";

/// A part of a volume that lies in one piece on one device, as a line of a linear table has it.
struct LvmExtent {
  Sector first = 0;  ///< within the volume
  Sector sectors = 0;
  std::string device;
  Sector device_first = 0;
};

/// A component of a cached volume.
struct LvmVolume {
  std::string name;  ///< without the brackets of a hidden volume
  bool is_active = false;
  Sector sectors = 0;
  std::string complicated;         ///< why it is not made of linear extents, such as "is of type raid1"; empty: it is
  std::vector<LvmExtent> extents;  ///< ascending, without a gap; empty where complicated

  bool is_one_piece() const noexcept { return extents.size() == 1; }
};

struct LvmCache {
  std::string name;  ///< VG/LV
  bool is_active = false;
  std::optional<std::uint32_t> block_bytes;
  LvmVolume cache;
  LvmVolume origin;
};

/// "VG/LV" in its two parts, or nothing where LVM would not take such names.
struct LvmName {
  std::string group;
  std::string volume;
};
std::optional<LvmName> parse_lvm_name(std::string_view text);

/// Finds the volume in the reports of its volume group.
/// Errors: not_found (no such volume), not_a_cache (it has no writecache), unsupported (unexpected form).
Result<LvmCache> read_lvm_report(const LvmName& name, std::string_view lvs_json, std::string_view pvs_json);

}  // namespace wc::tools
