// SPDX-License-Identifier: LGPL-2.1-or-later
// Reads: a request is split where hits and misses meet, and where cache blocks are not neighbours.
#pragma once

#include "engine/core.hpp"

namespace wc::engine {

class Reads {
 public:
  explicit Reads(Core& core) : core_(core) {}
  /// Goes on with a read that holds its range.
  void run(Operation& operation);

 private:
  struct Segment {
    DeviceId device;
    std::uint64_t device_offset_bytes;
    std::uint64_t length_bytes;
  };
  Segment next_segment(const Operation& operation, std::uint64_t limit_bytes) const;
  void submit_next(Operation& operation);

  Core& core_;
};

}  // namespace wc::engine
