// SPDX-License-Identifier: LGPL-2.1-or-later
// FailureList: joins on arrival where it can, sorts and joins the rest when the list is full.
#include "ops/drain_failures.hpp"

#include <algorithm>
#include <utility>

#include "reached.hpp"

namespace wc::ops {

void FailureList::add(Sector first, Sector count, std::string error) {
  if (!ranges_.empty()) {
    FailedRange& last = ranges_.back();
    if (last.first + last.count == first && last.error == error) {
      last.count += count;
      return;
    }
  }
  if (ranges_.size() == 2 * kFailedRangesMax) compact();
  ranges_.push_back({first, count, std::move(error)});
}

void FailureList::compact() {
  // Several runs are in flight, so that failures come nearly, but not quite, in ascending order.
  std::stable_sort(ranges_.begin(), ranges_.end(),
                   [](const FailedRange& a, const FailedRange& b) { return a.first < b.first; });
  std::size_t kept = 0;
  for (std::size_t i = 1; i < ranges_.size(); ++i) {
    FailedRange& last = ranges_[kept];
    if (last.first + last.count == ranges_[i].first && last.error == ranges_[i].error) {
      last.count += ranges_[i].count;
    } else if (++kept != i) {
      ranges_[kept] = std::move(ranges_[i]);
    }
  }
  if (!ranges_.empty()) ranges_.resize(kept + 1);
  if (ranges_.size() > kFailedRangesMax) {
    WC_REACHED("drain: more failed ranges than are listed");
    ranges_.resize(kFailedRangesMax);
    listed_until_ = std::min(listed_until_, ranges_.back().first + ranges_.back().count);
  }
}

std::vector<FailedRange> FailureList::take() {
  compact();
  return std::exchange(ranges_, {});
}

}  // namespace wc::ops
