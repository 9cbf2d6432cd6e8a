// SPDX-License-Identifier: LGPL-2.1-or-later
// SystemClock: monotonic time and sleep from the kernel.
#include "io/system_clock.hpp"

#include <ctime>

namespace wc {
namespace {
constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
}

std::uint64_t SystemClock::now_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kNanosecondsPerSecond + static_cast<std::uint64_t>(now.tv_nsec);
}

void SystemClock::sleep_ns(std::uint64_t duration_ns) {
  timespec duration{};
  duration.tv_sec = static_cast<time_t>(duration_ns / kNanosecondsPerSecond);
  duration.tv_nsec = static_cast<long>(duration_ns % kNanosecondsPerSecond);
  ::nanosleep(&duration, nullptr);
}

}  // namespace wc
