// SPDX-License-Identifier: LGPL-2.1-or-later
// Pmem2Port: mapping, stores, and durability by cache lines or by pages.
#include "io/pmem2_port.hpp"

#include <libpmem2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "io/bus_error.hpp"
#include "writecache/units.hpp"

namespace wc {
namespace {

constexpr std::size_t kWordStoreBytesMax = 64;

struct SourceDeleter {
  void operator()(pmem2_source* source) const noexcept { ::pmem2_source_delete(&source); }
};
struct ConfigDeleter {
  void operator()(pmem2_config* config) const noexcept { ::pmem2_config_delete(&config); }
};

Error mapping_error(int answer) {
  // libpmem2 answers with a negative errno, or with a number of its own far below.
  if (answer > PMEM2_E_UNKNOWN) {
    const ErrorCode code = answer == -EACCES || answer == -EPERM ? ErrorCode::permission : ErrorCode::io;
    return Error{code, -answer, 0, "cannot be mapped as persistent memory"};
  }
  const ErrorCode code = answer == PMEM2_E_NO_ACCESS ? ErrorCode::permission : ErrorCode::unsupported;
  return Error{code, 0, 0, std::string("cannot be mapped as persistent memory: ") + ::pmem2_errormsg()};
}

}  // namespace

Result<std::unique_ptr<Pmem2Port>> Pmem2Port::create(UniqueFd fd, const PmemWindow& window) {
  if (window.size_bytes == 0) return std::unique_ptr<Pmem2Port>(new Pmem2Port(std::move(fd), window, nullptr));

  pmem2_source* raw_source = nullptr;
  if (const int answer = ::pmem2_source_from_fd(&raw_source, fd.get())) return mapping_error(answer);
  const std::unique_ptr<pmem2_source, SourceDeleter> source(raw_source);
  pmem2_config* raw_config = nullptr;
  if (const int answer = ::pmem2_config_new(&raw_config)) return mapping_error(answer);
  const std::unique_ptr<pmem2_config, ConfigDeleter> config(raw_config);
  catch_bus_errors();
  // The least that is asked for: libpmem2 tells afterwards what the medium really is.
  ::pmem2_config_set_required_store_granularity(config.get(), PMEM2_GRANULARITY_PAGE);
  const unsigned protection = window.writable ? PMEM2_PROT_READ | PMEM2_PROT_WRITE : PMEM2_PROT_READ;
  if (const int answer = ::pmem2_config_set_protection(config.get(), protection)) return mapping_error(answer);

  // The whole medium is mapped, because a window need not begin on a page.
  pmem2_map* map = nullptr;
  if (const int answer = ::pmem2_map_new(&map, config.get(), source.get())) return mapping_error(answer);
  if (::pmem2_map_get_size(map) < window.offset_bytes + window.size_bytes) {
    ::pmem2_map_delete(&map);
    return Error{ErrorCode::io, 0, 0, "is shorter than a moment ago"};
  }
  return std::unique_ptr<Pmem2Port>(new Pmem2Port(std::move(fd), window, map));
}

Pmem2Port::Pmem2Port(UniqueFd fd, const PmemWindow& window, pmem2_map* map)
    : fd_(std::move(fd)), window_(window), map_(map) {
  struct stat status {};
  is_regular_file_ = ::fstat(fd_.get(), &status) == 0 && S_ISREG(status.st_mode);
  if (map_ == nullptr) return;
  base_ = static_cast<std::byte*>(::pmem2_map_get_address(map_)) + window_.offset_bytes;
  has_page_granularity_ = ::pmem2_map_get_store_granularity(map_) == PMEM2_GRANULARITY_PAGE;
  flush_lines_ = ::pmem2_get_flush_fn(map_);
  drain_ = ::pmem2_get_drain_fn(map_);
  copy_ = ::pmem2_get_memcpy_fn(map_);
  page_bytes_ = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

Pmem2Port::~Pmem2Port() {
  if (map_ != nullptr) ::pmem2_map_delete(&map_);
}

std::span<const std::byte> Pmem2Port::view() const noexcept { return {base_, window_.size_bytes}; }

bool Pmem2Port::contains(std::uint64_t offset_bytes, std::uint64_t length_bytes) const noexcept {
  return offset_bytes <= window_.size_bytes && length_bytes <= window_.size_bytes - offset_bytes;
}

bool Pmem2Port::holds(std::uint64_t offset_bytes, std::uint64_t length_bytes) const noexcept {
  if (!contains(offset_bytes, length_bytes)) return false;
  if (!is_regular_file_) return true;
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) return false;
  return static_cast<std::uint64_t>(status.st_size) >= window_.offset_bytes + offset_bytes + length_bytes;
}

void Pmem2Port::store(std::uint64_t offset_bytes, std::span<const std::byte> data) noexcept {
  if (!window_.writable || !contains(offset_bytes, data.size())) std::abort();  // a bug of the caller
  std::byte* target = base_ + offset_bytes;
  constexpr std::size_t kWordBytes = sizeof(std::uint64_t);
  const bool is_words = data.size() <= kWordStoreBytesMax && data.size() % kWordBytes == 0 &&
                        reinterpret_cast<std::uintptr_t>(target) % kWordBytes == 0;
  const bool is_done =
      is_words ? store_words_guarded(target, data.data(), data.size()) : copy_guarded(target, data.data(), data.size());
  if (!is_done) fail_store(offset_bytes);
}

void Pmem2Port::fail_store(std::uint64_t offset_bytes) noexcept {
  fail({ErrorCode::io, EIO, offset_bytes, "storing in the mapped memory failed (is it full, or cut off?)"});
}

Result<void> Pmem2Port::load(std::uint64_t offset_bytes, std::span<std::byte> memory) const {
  if (!contains(offset_bytes, memory.size())) std::abort();  // a bug of the caller
  if (copy_guarded(memory.data(), base_ + offset_bytes, memory.size())) return {};
  return Error{ErrorCode::io, EIO, offset_bytes, "reading the mapped memory failed (was it cut off?)"};
}

void Pmem2Port::fail(Error error) noexcept {
  if (!failure_) failure_ = std::move(error);
}

void Pmem2Port::flush(std::uint64_t offset_bytes, std::uint64_t length_bytes) noexcept {
  if (!contains(offset_bytes, length_bytes)) std::abort();  // a bug of the caller
  if (length_bytes == 0) return;
  if (has_page_granularity_) {
    remember_pages(offset_bytes, length_bytes);
  } else {
    flush_lines_(base_ + offset_bytes, length_bytes);
  }
}

void Pmem2Port::write(std::uint64_t offset_bytes, std::span<const std::byte> data) noexcept {
  if (has_page_granularity_ || data.size() <= kWordStoreBytesMax) {
    PmemPort::write(offset_bytes, data);
    return;
  }
  if (!window_.writable || !contains(offset_bytes, data.size())) std::abort();  // a bug of the caller
  constexpr unsigned kFlags = PMEM2_F_MEM_NONTEMPORAL | PMEM2_F_MEM_NODRAIN;
  if (!copy_guarded(base_ + offset_bytes, data.data(), data.size(), copy_, kFlags)) fail_store(offset_bytes);
}

Result<void> Pmem2Port::fence() {
  if (map_ == nullptr) return {};
  if (has_page_granularity_) {
    sync_pages();
  } else {
    drain_();
  }
  // What was stored in pages that were cut off since is gone, and nobody was told.
  if (!failure_ && !holds(0, window_.size_bytes)) {
    fail({ErrorCode::io, EIO, 0, "the mapped file was cut off"});
  }
  if (failure_) return *failure_;
  return {};
}

/// libpmem2's own page flush aborts the process when msync fails; here the caller hears of it.
void Pmem2Port::sync_pages() noexcept {
  const Range range = std::exchange(unsynced_, {});
  if (failure_ || range.begin == range.end) return;
  std::byte* const start = base_ - window_.offset_bytes;
  if (::msync(start + range.begin, range.end - range.begin, MS_SYNC) != 0) {
    fail({ErrorCode::io, errno, 0, "making the mapped memory durable failed"});
  }
}

void Pmem2Port::remember_pages(std::uint64_t offset_bytes, std::uint64_t length_bytes) noexcept {
  const std::uint64_t begin = round_down(window_.offset_bytes + offset_bytes, page_bytes_);
  const std::uint64_t end = round_up(window_.offset_bytes + offset_bytes + length_bytes, page_bytes_);
  const bool is_first = unsynced_.begin == unsynced_.end;
  unsynced_ = is_first ? Range{begin, end} : Range{std::min(unsynced_.begin, begin), std::max(unsynced_.end, end)};
}

}  // namespace wc
