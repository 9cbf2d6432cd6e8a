// SPDX-License-Identifier: LGPL-2.1-or-later
// BitMap: one large zeroed piece of memory of which only what is touched costs anything.
#pragma once

#include <cstddef>
#include <cstdint>

namespace wc::index {

/// A power of two of bits, all clear at first, in huge pages where the kernel has them.
class BitMap {
 public:
  /// Rounds down to a power of two of bytes, at least 4096.
  explicit BitMap(std::uint64_t max_bytes);
  ~BitMap();
  BitMap(const BitMap&) = delete;
  BitMap& operator=(const BitMap&) = delete;

  std::uint64_t bit_count() const noexcept { return std::uint64_t{size_bytes_} * 8; }
  [[gnu::always_inline]] void prefetch(std::uint64_t bit) const noexcept { __builtin_prefetch(&words_[bit / 64], 1); }
  /// Sets a bit and tells whether it was set before. Does neither, without a branch, where not `wanted`.
  bool test_and_set(std::uint64_t bit, bool wanted = true) noexcept {
    std::uint64_t& word = words_[bit / 64];
    const std::uint64_t mask = std::uint64_t{wanted} << (bit % 64);
    const bool was_set = (word & mask) != 0;
    word |= mask;
    return was_set;
  }
  /// Clears everything and gives the memory back to the system.
  void clear() noexcept;

  /// The same memory for another use between two maps; call clear() before bits are used again.
  std::byte* memory() noexcept { return reinterpret_cast<std::byte*>(words_); }
  std::size_t size_bytes() const noexcept { return size_bytes_; }

 private:
  std::uint64_t* words_ = nullptr;
  std::size_t size_bytes_ = 0;
  void* mapping_ = nullptr;
  std::size_t mapping_bytes_ = 0;
};

}  // namespace wc::index
