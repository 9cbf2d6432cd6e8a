// SPDX-License-Identifier: LGPL-2.1-or-later
// Oracle: reads a cache directly from its bytes, to say what the library's results must be.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/bytes.hpp"
#include "writecache/superblock.hpp"
#include "writecache/units.hpp"

namespace wc::sim {

/// A reference reader that shares no code with lib/. It exists only for images whose superblock the
/// driver would accept.
struct ReferenceCache {
  Superblock superblock;
  std::uint64_t data_offset_bytes = 0;
  std::vector<Entry> entries;

  bool is_committed(BlockIndex index) const noexcept { return entries[index].seq_count < superblock.seq_count; }
  std::span<const std::byte> block(const Bytes& image, BlockIndex index) const {
    return std::span(image).subspan(data_offset_bytes + index * superblock.block_size, superblock.block_size);
  }
  /// The live entry of every sector; among identical ones the higher index, as the driver chooses.
  std::map<Sector, BlockIndex> live() const;
};

/// Nothing where magic, version, block size or block count would be refused, or the device is blank.
std::optional<ReferenceCache> read_reference(const Bytes& cache);

/// What a reader of the activated device sees.
struct MergedContent {
  Bytes origin;                   ///< the origin overlaid with every live block inside it
  std::map<Sector, Bytes> other;  ///< live blocks that are misaligned or (partly) beyond the origin

  friend bool operator==(const MergedContent&, const MergedContent&) = default;
};

/// The merged content of a cache and its origin. A device that is no cache adds nothing.
MergedContent merged_content(const Bytes& cache, const Bytes& origin);

/// Like merged_content, but an uncommitted entry supersedes the committed one of its sector (the
/// highest index where there are several), as `--uncommitted=flush` has it.
MergedContent merged_with_uncommitted(const Bytes& cache, const Bytes& origin);

/// Names the first difference of two contents, for a test's message; empty if there is none.
std::string difference(const MergedContent& expected, const MergedContent& actual);

/// Live blocks that no damage touches: aligned, below 2^54 sectors, inside an origin of
/// `origin_sectors` (where given), and without an identical twin of other data.
std::map<Sector, Bytes> undamaged_live_blocks(const Bytes& cache, std::optional<Sector> origin_sectors);

}  // namespace wc::sim
