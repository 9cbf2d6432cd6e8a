// SPDX-License-Identifier: LGPL-2.1-or-later
// JSON pieces that several commands print alike.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "writecache/check.hpp"
#include "writecache/superblock.hpp"

namespace wc::tools {

/// {"magic", "version", "block_size", "n_blocks", "seq_count", "data_offset", "metadata_bytes"}; the
/// last two are null where the raw numbers give no geometry.
nlohmann::ordered_json superblock_json(const Superblock& superblock, const std::optional<Geometry>& geometry);

/// {"free", "live", "stale", "uncommitted", "future", "identical", "misaligned", "out_of_range",
/// "beyond_origin"}.
nlohmann::ordered_json counts_json(const EntryCounts& counts);

}  // namespace wc::tools
