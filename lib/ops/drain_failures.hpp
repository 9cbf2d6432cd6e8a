// SPDX-License-Identifier: LGPL-2.1-or-later
// FailureList: the parts of the origin that a drain could not bring up to date, joined and bounded.
#pragma once

#include <string>
#include <vector>

#include "writecache/drain.hpp"

namespace wc::ops {

/// Keeps the first kFailedRangesMax ranges, however many are added.
class FailureList {
 public:
  void add(Sector first, Sector count, std::string error);
  /// Ascending; neighbours with the same error are one range.
  std::vector<FailedRange> take();
  /// Every failure below it is in the list; kSectorLimit unless there were too many. Call it after take().
  Sector listed_until() const noexcept { return listed_until_; }

 private:
  void compact();

  std::vector<FailedRange> ranges_;
  Sector listed_until_ = kSectorLimit;
};

}  // namespace wc::ops
