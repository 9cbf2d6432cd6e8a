// SPDX-License-Identifier: LGPL-2.1-or-later
// RangeLock: a list of operations in order, and counts that make the search rare.
#include "engine/range_lock.hpp"

#include "reached.hpp"

namespace wc::engine {

bool RangeLock::may_overlap(const Operation& operation) const {
  if (oldest_ == nullptr) return false;
  if (wide_count_ != 0 || !is_narrow(operation)) return true;
  std::uint32_t found = 0;
  each_region(operation, [&](std::size_t region) { found |= regions_[region]; });
  return found != 0;
}

Operation* RangeLock::conflict(const Operation& operation) noexcept {
  for (Operation* other = operation.lock_previous; other != nullptr; other = other->lock_previous) {
    if (other->first_block < operation.end_block && operation.first_block < other->end_block &&
        (other->is_exclusive || operation.is_exclusive)) {
      return other;
    }
  }
  return nullptr;
}

void RangeLock::count(const Operation& operation, std::uint32_t change) {
  if (is_narrow(operation)) {
    each_region(operation, [&](std::size_t region) { regions_[region] += change; });
  } else {
    wide_count_ += change;
  }
}

bool RangeLock::enter(Operation& operation) {
  const bool must_search = may_overlap(operation);
  operation.is_locked = true;
  operation.lock_previous = newest_;
  operation.lock_following = nullptr;
  (newest_ == nullptr ? oldest_ : newest_->lock_following) = &operation;
  newest_ = &operation;
  count(operation, 1);
  operation.blocked_by = must_search ? conflict(operation) : nullptr;
  if (operation.blocked_by == nullptr) return true;
  WC_REACHED("engine: a request waits for another one of the same blocks");
  ++waiting_count_;
  return false;
}

void RangeLock::leave(Operation& operation, Queue<Operation>& ready) {
  (operation.lock_previous == nullptr ? oldest_ : operation.lock_previous->lock_following) = operation.lock_following;
  (operation.lock_following == nullptr ? newest_ : operation.lock_following->lock_previous) = operation.lock_previous;
  operation.is_locked = false;
  count(operation, ~std::uint32_t{0});
  Operation* other = waiting_count_ == 0 ? nullptr : operation.lock_following;
  for (; other != nullptr; other = other->lock_following) {
    if (other->blocked_by != &operation) continue;
    other->blocked_by = conflict(*other);
    if (other->blocked_by != nullptr) continue;
    --waiting_count_;
    ready.push(*other);
  }
}

}  // namespace wc::engine
