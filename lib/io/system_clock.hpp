// SPDX-License-Identifier: LGPL-2.1-or-later
// SystemClock: the Clock of production.
#pragma once

#include "writecache/port.hpp"

namespace wc {

/// CLOCK_MONOTONIC and nanosleep.
class SystemClock final : public Clock {
 public:
  std::uint64_t now_ns() noexcept override;
  void sleep_ns(std::uint64_t duration_ns) override;
};

}  // namespace wc
