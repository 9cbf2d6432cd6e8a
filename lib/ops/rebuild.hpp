// SPDX-License-Identifier: LGPL-2.1-or-later
// Rebuilding a lost superblock: what the bytes behind it tell about block size, count and sequence.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "writecache/check.hpp"
#include "writecache/observer.hpp"
#include "writecache/port.hpp"

namespace wc::ops {

inline constexpr std::size_t kBlockSizes = 8;  ///< 512 to 65536

/// What the bytes behind the superblock look like if the block size were `block_bytes`.
struct BlockSizeEvidence {
  std::uint32_t block_bytes = 0;
  std::uint64_t capacity = 0;   ///< entries that fill the device; 0: not even one block fits
  std::uint64_t checked = 0;    ///< entries looked at before it was clear that they are not entries
  std::uint64_t free = 0;
  std::uint64_t committed = 0;  ///< entries with a sector and sequence that can be right
  std::uint64_t zeros = 0;      ///< entries of sector 0 and sequence 0
  std::uint64_t bad = 0;        ///< entries that cannot be right, below `capacity`
  BlockIndex first_zero = 0;    ///< the first of them
  std::uint64_t run_end = 0;    ///< where the table seems to end: first_bad, or the zeros right before it
  std::uint64_t first_bad = 0;  ///< index of the first of them, or `checked`
  Sequence highest = 0;         ///< among the committed ones
  std::uint64_t with_highest = 0;  ///< how many of them carry it
  Sector highest_sector = 0;
  bool given_up = false;        ///< too much is bad
};

struct EntryEvidence {
  std::uint64_t zeroed = 0;  ///< entries at the beginning that are zeros, as the superblock is
  std::array<BlockSizeEvidence, kBlockSizes> sizes;
};

/// Reads as much of the device as could be entries, once, in constant memory. Errors: io, cancelled.
Result<EntryEvidence> gather_evidence(IoPort& port, const std::optional<Superblock>& superblock,
                                      Observer& observer);

/// The superblocks that fit, the likeliest kind only: one means it is certain enough to write, several
/// that the user must choose, none that the entries allow no rebuild.
std::vector<RebuildCandidate> find_candidates(const EntryEvidence& evidence,
                                              const std::optional<Superblock>& superblock,
                                              std::uint64_t area_bytes, const CheckOptions& options);

}  // namespace wc::ops
