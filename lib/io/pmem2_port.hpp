// SPDX-License-Identifier: LGPL-2.1-or-later
// Pmem2Port: the PmemPort of production, a mapping made by libpmem2.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "io/unique_fd.hpp"
#include "writecache/port.hpp"

struct pmem2_map;

namespace wc {

/// Where the window lies on the medium that is mapped.
struct PmemWindow {
  std::uint64_t offset_bytes = 0;
  std::uint64_t size_bytes = 0;
  bool writable = false;
};

/// A mapped device-DAX node, DAX file or ordinary file. Durable by cache-line flushes where the
/// memory is persistent, by msync where it is the page cache.
/// An aligned store of up to 64 bytes is made of 8-byte words, each whole on the medium or absent.
/// Where a page cannot be had (it was cut off the file, the file system is full, the medium fails), load and store
/// fail; touching the view there raises SIGBUS.
class Pmem2Port final : public PmemPort {
 public:
  /// Errors: unsupported (the medium cannot be mapped), permission, io.
  static Result<std::unique_ptr<Pmem2Port>> create(UniqueFd fd, const PmemWindow& window);

  ~Pmem2Port() override;
  Pmem2Port(const Pmem2Port&) = delete;
  Pmem2Port& operator=(const Pmem2Port&) = delete;

  std::span<const std::byte> view() const noexcept override;
  Result<void> load(std::uint64_t offset_bytes, std::span<std::byte> memory) const override;
  void store(std::uint64_t offset_bytes, std::span<const std::byte> data) noexcept override;
  void flush(std::uint64_t offset_bytes, std::uint64_t length_bytes) noexcept override;
  void write(std::uint64_t offset_bytes, std::span<const std::byte> data) noexcept override;
  Result<void> fence() override;
  const Error* failure() const noexcept override { return failure_ ? &*failure_ : nullptr; }

  /// Whether what lies in the window can still be touched: false when the file was cut meanwhile.
  bool holds(std::uint64_t offset_bytes, std::uint64_t length_bytes) const noexcept;

 private:
  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };

  Pmem2Port(UniqueFd fd, const PmemWindow& window, pmem2_map* map);
  void fail(Error error) noexcept;
  void fail_store(std::uint64_t offset_bytes) noexcept;
  void remember_pages(std::uint64_t offset_bytes, std::uint64_t length_bytes) noexcept;
  void sync_pages() noexcept;
  bool contains(std::uint64_t offset_bytes, std::uint64_t length_bytes) const noexcept;

  UniqueFd fd_;
  PmemWindow window_;
  pmem2_map* map_;  ///< null where the window is empty
  std::byte* base_ = nullptr;
  bool is_regular_file_ = false;
  bool has_page_granularity_ = false;
  void (*flush_lines_)(const void*, std::size_t) = nullptr;
  void (*drain_)() = nullptr;
  void* (*copy_)(void*, const void*, std::size_t, unsigned) = nullptr;
  std::uint64_t page_bytes_ = 0;
  /// Around all pages on the medium that the next fence makes durable. One msync of it is as quick as many small
  /// ones: the kernel writes the dirty pages among them, and nobody dirties others.
  Range unsynced_;
  std::optional<Error> failure_;  ///< of a store, or of an msync, which forgets what it lost: no later fence counts
};

}  // namespace wc
