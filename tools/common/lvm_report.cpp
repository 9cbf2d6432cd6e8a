// SPDX-License-Identifier: LGPL-2.1-or-later
// read_lvm_report: every field is looked for by name, and every number has to fit the others.
#include "common/lvm_report.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "common/numbers.hpp"
#include "writecache/superblock.hpp"

namespace wc::tools {
namespace {

using nlohmann::json;

constexpr std::size_t kNameBytesMax = 127;  // of LVM

/// The report has not the form that this file knows. Never leaves it.
class UnexpectedForm : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

const std::string& field(const json& row, const char* name) {
  const auto found = row.find(name);
  if (found == row.end()) throw UnexpectedForm("a row has no " + std::string(name));
  if (!found->is_string()) throw UnexpectedForm(std::string(name) + " is not a text");
  return found->get_ref<const std::string&>();
}

Sector number(const json& row, const char* name) {
  const auto value = parse_count(field(row, name));
  if (!value || *value >= kSectorLimit) {
    throw UnexpectedForm(std::string(name) + " is `" + field(row, name) + "`, not a number of sectors");
  }
  return *value;
}

/// "[name]" is how LVM writes a hidden volume.
std::string without_brackets(const std::string& name) {
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') return name.substr(1, name.size() - 2);
  return name;
}

/// The rows of `{"report": [{"lv": [...]}]}`; other members are no concern of ours.
std::vector<json> rows_of(std::string_view text, const char* command, const char* kind) {
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded()) throw UnexpectedForm(std::string(command) + " printed no JSON");
  const auto report = document.find("report");
  if (!document.is_object() || report == document.end() || !report->is_array()) {
    throw UnexpectedForm(std::string(command) + " printed no report");
  }
  std::vector<json> rows;
  bool has_kind = false;
  for (const json& part : *report) {
    const auto list = part.is_object() ? part.find(kind) : part.end();
    if (!part.is_object() || list == part.end()) continue;
    if (!list->is_array()) throw UnexpectedForm(std::string(kind) + " is not a list");
    has_kind = true;
    for (const json& row : *list) {
      if (!row.is_object()) throw UnexpectedForm("a row is not an object");
      rows.push_back(row);
    }
  }
  if (!has_kind) throw UnexpectedForm("the report of " + std::string(command) + " has no list `" + kind + "`");
  return rows;
}

/// Where the extents of each physical volume begin.
std::map<std::string, Sector> devices_of(const std::vector<json>& rows, const std::string& group) {
  std::map<std::string, Sector> devices;
  for (const json& row : rows) {
    if (field(row, "vg_name") != group) continue;
    if (!devices.emplace(field(row, "pv_name"), number(row, "pe_start")).second) {
      throw UnexpectedForm("pvs names " + field(row, "pv_name") + " twice");
    }
  }
  return devices;
}

/// "/dev/sdb(12)": a device and the number of an extent on it.
struct Place {
  std::string device;
  std::uint64_t extent = 0;
};

Place parse_place(const std::string& text) {
  const std::size_t open = text.rfind('(');
  if (open == std::string::npos || open == 0 || text.back() != ')') {
    throw UnexpectedForm("devices is `" + text + "`, not DEVICE(EXTENT)");
  }
  const auto extent = parse_count(std::string_view(text).substr(open + 1, text.size() - open - 2));
  if (!extent) throw UnexpectedForm("devices is `" + text + "`, not DEVICE(EXTENT)");
  return {text.substr(0, open), *extent};
}

/// Why the extents of a row are not simply one after the other, or nothing.
std::string complication_of(const json& row) {
  const std::string& type = field(row, "segtype");
  if (type != "linear" && type != "striped") return "is of type " + type;
  if (field(row, "stripes") != "1") return "is striped over " + field(row, "stripes") + " devices";
  return {};
}

LvmExtent extent_of(const json& row, const std::map<std::string, Sector>& devices) {
  const Place place = parse_place(field(row, "devices"));
  const auto device = devices.find(place.device);
  if (device == devices.end()) {
    throw UnexpectedForm("it lies on " + place.device + ", which pvs does not list (is a device missing?)");
  }
  const Sector extent_sectors = number(row, "vg_extent_size");
  if (extent_sectors == 0 || place.extent > kSectorLimit / extent_sectors) {
    throw UnexpectedForm("extent " + std::to_string(place.extent) + " is on no device");
  }
  LvmExtent extent;
  extent.first = number(row, "seg_start");
  extent.sectors = number(row, "seg_size");
  extent.device = place.device;
  extent.device_first = device->second + place.extent * extent_sectors;
  if (extent.sectors == 0) throw UnexpectedForm("a segment is empty");
  return extent;
}

bool is_active(const json& row) {
  const std::string& state = field(row, "lv_active");
  // Anything that is not a plain no counts as active: "active", "active exclusively", "unknown".
  return !state.empty() && state != "inactive" && state != "0";
}

/// Joins pieces that follow each other on the same device, and makes sure that the whole volume is there.
void arrange(LvmVolume& volume) {
  std::sort(volume.extents.begin(), volume.extents.end(),
            [](const LvmExtent& one, const LvmExtent& other) { return one.first < other.first; });
  std::vector<LvmExtent> joined;
  Sector next = 0;
  for (const LvmExtent& extent : volume.extents) {
    if (extent.first != next) throw UnexpectedForm("the segments of " + volume.name + " do not follow each other");
    next += extent.sectors;
    const bool continues = !joined.empty() && joined.back().device == extent.device &&
                           joined.back().device_first + joined.back().sectors == extent.device_first;
    if (continues) {
      joined.back().sectors += extent.sectors;
    } else {
      joined.push_back(extent);
    }
  }
  if (next != volume.sectors) throw UnexpectedForm("the segments of " + volume.name + " are not as long as it is");
  volume.extents = std::move(joined);
}

LvmVolume volume_of(const std::vector<json>& rows, const std::string& name,
                    const std::map<std::string, Sector>& devices) {
  LvmVolume volume;
  volume.name = name;
  bool is_found = false;
  for (const json& row : rows) {
    if (without_brackets(field(row, "lv_name")) != name) continue;
    is_found = true;
    volume.is_active = volume.is_active || is_active(row);
    volume.sectors = number(row, "lv_size");
    if (volume.complicated.empty()) volume.complicated = complication_of(row);
    if (volume.complicated.empty()) volume.extents.push_back(extent_of(row, devices));
  }
  if (!is_found) throw UnexpectedForm("lvs does not list " + name);
  if (volume.complicated.empty()) {
    arrange(volume);
  } else {
    volume.extents.clear();
  }
  return volume;
}

/// -1 and nothing are how different versions say that there is none.
std::optional<std::uint32_t> block_bytes_of(const json& row) {
  // The report is in sectors, but this field is a plain number of bytes.
  const std::string& text = field(row, "writecache_block_size");
  if (text.empty() || text == "-1" || text == "0") return std::nullopt;
  const auto bytes = parse_count(text);
  if (!bytes || !is_valid_block_size(*bytes)) throw UnexpectedForm("writecache_block_size is `" + text + "`");
  return static_cast<std::uint32_t>(*bytes);
}

Result<LvmCache> read(const LvmName& name, std::string_view lvs_json, std::string_view pvs_json) {
  std::vector<json> rows = rows_of(lvs_json, "lvs", "lv");
  std::erase_if(rows, [&](const json& row) { return field(row, "vg_name") != name.group; });
  const auto top = std::find_if(rows.begin(), rows.end(), [&](const json& row) {
    return without_brackets(field(row, "lv_name")) == name.volume;
  });
  if (top == rows.end()) return Error{ErrorCode::not_found, 0, 0, "LVM knows no such logical volume (see `lvs -a`)"};
  const std::string& type = field(*top, "segtype");
  if (type != "writecache") {
    return Error{ErrorCode::not_a_cache, 0, 0,
                 "this logical volume has no writecache: it is of type " + type +
                     " (name the volume that was cached, not its parts; see `lvs -a -o +segtype`)"};
  }
  const std::map<std::string, Sector> devices = devices_of(rows_of(pvs_json, "pvs", "pv"), name.group);
  LvmCache found;
  found.name = name.group + "/" + name.volume;
  found.is_active = is_active(*top);
  found.block_bytes = block_bytes_of(*top);
  found.cache = volume_of(rows, without_brackets(field(*top, "pool_lv")), devices);
  found.origin = volume_of(rows, without_brackets(field(*top, "origin")), devices);
  return found;
}

}  // namespace

std::optional<LvmName> parse_lvm_name(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto is_name = [](std::string_view name) {
    constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+_.-";
    return !name.empty() && name.size() <= kNameBytesMax && name.front() != '-' && name != "." && name != ".." &&
           name.find_first_not_of(kAllowed) == std::string_view::npos;
  };
  const std::string_view group = text.substr(0, slash);
  const std::string_view volume = text.substr(slash + 1);
  if (!is_name(group) || !is_name(volume)) return std::nullopt;
  return LvmName{std::string(group), std::string(volume)};
}

Result<LvmCache> read_lvm_report(const LvmName& name, std::string_view lvs_json, std::string_view pvs_json) {
  try {
    return read(name, lvs_json, pvs_json);
  } catch (const UnexpectedForm& problem) {
    return Error{ErrorCode::unsupported, 0, 0,
                 std::string("LVM's report is not as expected: ") + problem.what() +
                     " (name the devices yourself: doc/lvm.md shows how)"};
  }
}

}  // namespace wc::tools
