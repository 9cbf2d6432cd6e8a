// SPDX-License-Identifier: LGPL-2.1-or-later
// FuzzInput: takes numbers and pieces from the bytes of one fuzz input; and what a target does when a rule is broken.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

namespace wc::fuzz {

/// Ends the process as a crash that the fuzzer keeps. `what` says which rule the library broke.
[[noreturn]] inline void fail(const std::string& what) {
  std::fprintf(stderr, "fuzz: %s\n", what.c_str());
  std::abort();
}

inline void require(bool is_true, const char* what) {
  if (!is_true) fail(what);
}

/// Reads from the front. Behind the end everything is zero, so that every input means something.
class FuzzInput {
 public:
  FuzzInput(const std::uint8_t* data, std::size_t size) : left_(data, size) {}

  bool is_empty() const noexcept { return left_.empty(); }
  std::size_t size() const noexcept { return left_.size(); }

  std::uint8_t u8() noexcept { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() noexcept { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() noexcept { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() noexcept { return number(8); }

  /// At most `count` bytes.
  std::span<const std::byte> bytes(std::size_t count) noexcept {
    const auto taken = left_.first(std::min(count, left_.size()));
    left_ = left_.subspan(taken.size());
    return std::as_bytes(taken);
  }
  std::span<const std::byte> rest() noexcept { return bytes(left_.size()); }
  std::string text() {
    const auto all = rest();
    return all.empty() ? std::string() : std::string(reinterpret_cast<const char*>(all.data()), all.size());
  }

 private:
  std::uint64_t number(unsigned count) noexcept {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < count && !left_.empty(); ++i) {
      value |= std::uint64_t{left_.front()} << (8 * i);
      left_ = left_.subspan(1);
    }
    return value;
  }

  std::span<const std::uint8_t> left_;
};

}  // namespace wc::fuzz

/// What libFuzzer and the replay program call. Returns 0.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
