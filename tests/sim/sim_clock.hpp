// SPDX-License-Identifier: LGPL-2.1-or-later
// SimClock: virtual time that only moves when somebody sleeps or advances it.
#pragma once

#include <cstdint>

#include "writecache/port.hpp"

namespace wc::sim {

class SimClock final : public Clock {
 public:
  std::uint64_t now_ns() noexcept override { return now_ns_; }
  void sleep_ns(std::uint64_t duration_ns) override {
    now_ns_ += duration_ns;
    slept_ns_ += duration_ns;
  }
  void advance_ns(std::uint64_t duration_ns) noexcept { now_ns_ += duration_ns; }

  /// How long callers have slept in all.
  std::uint64_t slept_ns() const noexcept { return slept_ns_; }

 private:
  std::uint64_t now_ns_ = 1'000'000'000;
  std::uint64_t slept_ns_ = 0;
};

}  // namespace wc::sim
