// SPDX-License-Identifier: LGPL-2.1-or-later
// The rules of wc-check: which findings a superblock and its entries give, with their words.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ops/rebuild.hpp"
#include "store/scan.hpp"
#include "writecache/check.hpp"

namespace wc::ops {

/// S at and above this is `sequence-exhausted`.
inline constexpr Sequence kSequenceExhausted = kFreeSequence - (Sequence{1} << 32);

/// What the rules look at.
struct Examined {
  std::uint64_t area_bytes = 0;
  std::optional<Superblock> superblock;
  std::optional<Geometry> geometry;            ///< where block size and count are sound
  std::optional<std::uint32_t> table_block_bytes;
  std::optional<Sector> origin_sectors;
  const store::Scan* scan = nullptr;           ///< null where the entries were not read
  const std::vector<RebuildCandidate>* candidates = nullptr;  ///< null where none were looked for
  std::string identical_message;  ///< the kernel's line for the first pair of identical entries, if there is one
  bool has_data_of_other_layout = false;  ///< entries with data that do not fit the block size or count that was given
};

/// All findings, errors first, then in the order of FindingCode.
std::vector<Finding> find_all(const Examined& examined);

/// The kernel's line for a pair of identical entries, of which it names the later one.
std::string identical_message(const store::IdenticalPair& pair, const Entry& kept_entry);

}  // namespace wc::ops
