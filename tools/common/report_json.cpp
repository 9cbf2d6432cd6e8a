// SPDX-License-Identifier: LGPL-2.1-or-later
// JSON pieces that several commands print alike.
#include "common/report_json.hpp"

#include <nlohmann/json.hpp>

namespace wc::tools {

nlohmann::ordered_json superblock_json(const Superblock& superblock, const std::optional<Geometry>& geometry) {
  nlohmann::ordered_json json{
      {"magic", superblock.magic},       {"version", superblock.version},     {"block_size", superblock.block_size},
      {"n_blocks", superblock.n_blocks}, {"seq_count", superblock.seq_count}, {"data_offset", nullptr},
      {"metadata_bytes", nullptr}};
  if (geometry) {
    json["data_offset"] = geometry->data_offset_bytes;
    json["metadata_bytes"] = geometry->metadata_bytes();
  }
  return json;
}

nlohmann::ordered_json counts_json(const EntryCounts& counts) {
  return {{"free", counts.free},
          {"live", counts.live},
          {"stale", counts.stale},
          {"uncommitted", counts.uncommitted},
          {"future", counts.future},
          {"identical", counts.identical},
          {"misaligned", counts.misaligned},
          {"out_of_range", counts.out_of_range},
          {"beyond_origin", counts.beyond_origin}};
}

}  // namespace wc::tools
