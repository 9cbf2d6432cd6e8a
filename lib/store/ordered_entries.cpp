// SPDX-License-Identifier: LGPL-2.1-or-later
// OrderedEntries: keeps the smallest keys of each pass over the metadata in a buffer of fixed size.
#include "store/ordered_entries.hpp"

#include <algorithm>

#include "reached.hpp"

namespace wc::store {
namespace {

/// Below this a round is not worth its pass over the metadata.
constexpr std::size_t kRoundMin = 4;

std::uint64_t key_of(const ListedEntry& entry, EntryOrder order) noexcept {
  return order == EntryOrder::sequence ? entry.seq_count : entry.sector;
}

struct Less {
  EntryOrder order;
  bool operator()(const ListedEntry& a, const ListedEntry& b) const noexcept {
    const std::uint64_t left = key_of(a, order);
    const std::uint64_t right = key_of(b, order);
    return left != right ? left < right : a.index < b.index;
  }
};

std::uint64_t matching(const EntryCounts& counts, EntryStateSet states) noexcept {
  std::uint64_t total = 0;
  if (states.contains(EntryState::live)) total += counts.live;
  if (states.contains(EntryState::stale)) total += counts.stale;
  if (states.contains(EntryState::uncommitted)) total += counts.uncommitted;
  if (states.contains(EntryState::future)) total += counts.future;
  if (states.contains(EntryState::free)) total += counts.free;
  return total;
}

}  // namespace

OrderedEntries::OrderedEntries(const Scan& scan, EntryStateSet states, EntryOrder order,
                               std::uint64_t memory_bytes)
    : scan_(scan),
      states_(states),
      order_(order),
      round_max_(std::max<std::size_t>(kRoundMin, memory_bytes / sizeof(ListedEntry))) {
  // One more than there are: a buffer that never fills needs no second pass.
  round_max_ = std::max<std::size_t>(
      kRoundMin, std::min<std::uint64_t>(round_max_, matching(scan.counts(), states) + 1));
}

Result<std::span<const ListedEntry>> OrderedEntries::next_round(Observer& observer) {
  round_.clear();
  if (finished_) return std::span<const ListedEntry>{};
  round_.reserve(round_max_);
  const Less less{order_};
  // Once the buffer was full, entries from here on wait for a later round.
  std::optional<ListedEntry> bound;
  const auto halve = [&] {
    const auto middle = round_.begin() + static_cast<std::ptrdiff_t>(round_.size() / 2);
    std::nth_element(round_.begin(), middle, round_.end(), less);
    bound = *middle;
    round_.erase(middle, round_.end());
  };
  const auto visited = scan_.visit(
      [&](const ClassifiedBatch& batch) -> Result<void> {
        for (std::size_t i = 0; i < batch.size(); ++i) {
          const Entry raw = batch.entry(i);
          const EntryState state = batch.state(i, raw.seq_count);
          if (!states_.contains(state)) continue;
          const ListedEntry entry{batch.first_index() + i, raw.original_sector, raw.seq_count, state};
          if (last_ && !less(*last_, entry)) continue;
          if (bound && !less(entry, *bound)) continue;
          if (round_.size() == round_max_) {
            WC_REACHED("ordered entries: more than one round");
            halve();
            if (!less(entry, *bound)) continue;
          }
          round_.push_back(entry);
        }
        return {};
      },
      observer);
  if (!visited) {
    round_.clear();
    return visited.error();
  }
  std::sort(round_.begin(), round_.end(), less);
  if (!bound) finished_ = true;
  if (!round_.empty()) last_ = round_.back();
  return std::span<const ListedEntry>(round_);
}

}  // namespace wc::store
