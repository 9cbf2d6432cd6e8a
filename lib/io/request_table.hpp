// SPDX-License-Identifier: LGPL-2.1-or-later
// RequestTable: the requests a port holds, in first-in first-out lists without an allocation each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "writecache/port.hpp"

namespace wc {

/// One operation that a port has accepted.
struct PortRequest {
  IoOp* op = nullptr;
  std::uint64_t done_bytes = 0;   ///< transferred so far
  std::uint32_t retry_count = 0;  ///< times the system asked to try again
  std::uint32_t next = 0;         ///< link of the list it is in
};

/// Owns the requests. Grows to the largest number ever held at once, then allocates no more.
class RequestTable {
 public:
  using Index = std::uint32_t;
  static constexpr Index kNone = UINT32_MAX;

  explicit RequestTable(std::size_t expected_count) { requests_.reserve(expected_count); }

  Index take(IoOp& op) {
    Index index = first_free_;
    if (index == kNone) {
      index = static_cast<Index>(requests_.size());
      requests_.emplace_back();
    } else {
      first_free_ = requests_[index].next;
    }
    requests_[index] = PortRequest{.op = &op, .next = kNone};
    return index;
  }

  void release(Index index) noexcept {
    requests_[index].op = nullptr;
    requests_[index].next = first_free_;
    first_free_ = index;
  }

  PortRequest& operator[](Index index) noexcept { return requests_[index]; }

 private:
  std::vector<PortRequest> requests_;
  Index first_free_ = kNone;
};

/// A list of requests of one table; a request is in at most one list.
class RequestList {
 public:
  using Index = RequestTable::Index;

  explicit RequestList(RequestTable& table) noexcept : table_(&table) {}

  std::size_t size() const noexcept { return count_; }
  bool empty() const noexcept { return count_ == 0; }

  void push_back(Index index) noexcept {
    (*table_)[index].next = RequestTable::kNone;
    if (empty()) {
      first_ = index;
    } else {
      (*table_)[last_].next = index;
    }
    last_ = index;
    ++count_;
  }

  void push_front(Index index) noexcept {
    (*table_)[index].next = first_;
    if (empty()) {
      (*table_)[index].next = RequestTable::kNone;
      last_ = index;
    }
    first_ = index;
    ++count_;
  }

  /// The list must not be empty.
  Index pop_front() noexcept {
    const Index index = first_;
    first_ = (*table_)[index].next;
    --count_;
    return index;
  }

 private:
  RequestTable* table_;
  Index first_ = RequestTable::kNone;
  Index last_ = RequestTable::kNone;
  std::size_t count_ = 0;
};

}  // namespace wc
