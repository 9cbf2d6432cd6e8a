// SPDX-License-Identifier: LGPL-2.1-or-later
// Copies to and from mapped memory that may fail: a bus error becomes an answer instead of the end of the process.
#pragma once

#include <cstddef>

namespace wc {

/// Takes SIGBUS for the process, once. What comes outside of the copies below goes where it went before.
void catch_bus_errors() noexcept;

/// A plain copy. False where a page cannot be had: it was cut off the file, the file system is full, the medium fails.
bool copy_guarded(std::byte* to, const std::byte* from, std::size_t bytes) noexcept;

/// The same with a copying function of libpmem2's kind.
bool copy_guarded(std::byte* to, const std::byte* from, std::size_t bytes,
                  void* (*copy)(void* to, const void* from, std::size_t bytes, unsigned flags),
                  unsigned flags) noexcept;

/// A plain copy in stores of 8 bytes, each of them whole. `to` and `bytes` are multiples of 8.
bool store_words_guarded(std::byte* to, const std::byte* from, std::size_t bytes) noexcept;

}  // namespace wc
