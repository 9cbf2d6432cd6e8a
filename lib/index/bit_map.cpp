// SPDX-License-Identifier: LGPL-2.1-or-later
// BitMap: anonymous memory, aligned for huge pages.
#include "index/bit_map.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <new>

namespace wc::index {
namespace {

constexpr std::size_t kHugePageBytes = 2U << 20;
constexpr std::uint64_t kMinBytes = 4096;

}  // namespace

BitMap::BitMap(std::uint64_t max_bytes)
    : size_bytes_(std::bit_floor(std::max(max_bytes, kMinBytes))),
      mapping_bytes_(size_bytes_ + kHugePageBytes) {
  mapping_ = ::mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping_ == MAP_FAILED) throw std::bad_alloc();
  const auto address = reinterpret_cast<std::uintptr_t>(mapping_);
  words_ = reinterpret_cast<std::uint64_t*>((address + kHugePageBytes - 1) & ~(kHugePageBytes - 1));
  // Fewer page faults; without huge pages everything works the same.
  (void)::madvise(words_, size_bytes_, MADV_HUGEPAGE);
}

BitMap::~BitMap() { ::munmap(mapping_, mapping_bytes_); }

void BitMap::clear() noexcept {
  if (::madvise(words_, size_bytes_, MADV_DONTNEED) != 0) std::fill_n(words_, size_bytes_ / 8, 0U);
}

}  // namespace wc::index
