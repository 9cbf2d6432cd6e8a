// SPDX-License-Identifier: LGPL-2.1-or-later
// WC_REACHED("name") marks a rare branch, so that the crash sweep can tell whether it was ever taken.
#pragma once

#ifdef WC_MARKS

#include <atomic>
#include <cstdint>

namespace wc {

/// One marked branch. The linker collects pointers to all of them in the section `wc_marks`, so that
/// a mark is known even where it was never reached.
struct ReachedMark {
  const char* name;
  std::atomic<std::uint64_t> count;
};

}  // namespace wc

/// Counts that this place was reached. `name` is a string literal, "operation: what happened"; equal
/// names add up. For functions in .cpp files only: inside a template or an inline function of a header
/// g++ cannot put the pointer in the section.
#define WC_REACHED(name)                                                                                        \
  do {                                                                                                          \
    static constinit ::wc::ReachedMark wc_reached_mark{"" name, {}};                                            \
    static ::wc::ReachedMark* wc_reached_pointer __attribute__((section("wc_marks"), used)) = &wc_reached_mark; \
    wc_reached_mark.count.fetch_add(1, std::memory_order_relaxed);                                              \
  } while (false)

#else

/// Nothing: marks exist only in builds with the CMake option WC_MARKS.
#define WC_REACHED(name) \
  do {                   \
  } while (false)

#endif
