// SPDX-License-Identifier: LGPL-2.1-or-later
// ScanReference: what a scan must find, computed the plain way with one map over all entries.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "store/scan.hpp"
#include "writecache/check.hpp"
#include "writecache/superblock.hpp"

namespace wc::test {

/// Every number that store::Scan reports, and the state of every entry.
struct ScanReference {
  EntryCounts counts;
  std::vector<BlockIndex> uncommitted, future, stale, identical, misaligned, out_of_range, beyond_origin;
  std::set<std::pair<BlockIndex, BlockIndex>> pairs;  ///< loser, kept
  std::optional<Sequence> highest;
  std::vector<EntryState> states;

  ScanReference(const std::vector<Entry>& entries, std::uint32_t block_bytes, Sequence superblock,
                const store::ScanOptions& options)
      : states(entries.size(), EntryState::free) {
    std::unordered_map<Sector, std::vector<BlockIndex>> committed;
    for (BlockIndex i = 0; i < entries.size(); ++i) {
      const auto [sector, sequence] = entries[i];
      if (sequence == kFreeSequence) {
        ++counts.free;
        continue;
      }
      if (!highest || *highest < sequence) highest = sequence;
      if (sequence > superblock) {
        states[i] = EntryState::future;
        future.push_back(i);
      } else if (sequence == superblock && !options.uncommitted_is_live) {
        states[i] = EntryState::uncommitted;
        uncommitted.push_back(i);
      } else {
        states[i] = EntryState::live;
        committed[sector].push_back(i);
        if (sector * 512 % block_bytes != 0) misaligned.push_back(i);
        // Named once: as out of range, where it is both.
        if (sector >> 54 != 0) {
          out_of_range.push_back(i);
        } else if (options.origin_sectors && sector >= *options.origin_sectors) {
          beyond_origin.push_back(i);
        }
      }
    }
    std::set<BlockIndex> twins;
    for (const auto& [sector, indexes] : committed) {
      BlockIndex kept = indexes.front();
      for (std::size_t i = 1; i < indexes.size(); ++i) {
        const BlockIndex next = indexes[i];
        if (entries[next].seq_count < entries[kept].seq_count) {
          states[next] = EntryState::stale;
          continue;
        }
        states[kept] = EntryState::stale;
        if (entries[next].seq_count == entries[kept].seq_count) {
          pairs.insert({kept, next});
          twins.insert({kept, next});
        }
        kept = next;
      }
    }
    std::set<BlockIndex> losers;
    for (const auto& pair : pairs) losers.insert(pair.first);
    for (BlockIndex i = 0; i < entries.size(); ++i) {
      if (states[i] == EntryState::live) ++counts.live;
      if (states[i] != EntryState::stale) continue;
      ++counts.stale;
      if (losers.count(i) == 0) stale.push_back(i);
    }
    identical.assign(twins.begin(), twins.end());
    counts.uncommitted = uncommitted.size();
    counts.future = future.size();
    counts.identical = identical.size();
    counts.misaligned = misaligned.size();
    counts.out_of_range = out_of_range.size();
    counts.beyond_origin = beyond_origin.size();
  }
};

}  // namespace wc::test
