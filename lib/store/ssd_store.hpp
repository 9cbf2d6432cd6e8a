// SPDX-License-Identifier: LGPL-2.1-or-later
// SsdStore: the commit protocol of type s: pages of entries, a flush, the superblock with FUA.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "store/block_io.hpp"
#include "store/cache_store.hpp"
#include "writecache/port.hpp"
#include "writecache/superblock.hpp"

namespace wc::store {

/// Entries stand in the table only; pages that hold changed ones are written, neighbours together, up to 64 KiB.
class SsdStore final : public CacheStore {
 public:
  SsdStore(IoPort& port, const index::EntryTable& table, const Geometry& geometry, const Superblock& superblock);

  void changed(index::Slot slot) override { mark(Geometry::entry_offset_bytes(slot) / page_bytes_); }
  void start_sync(Sequence limit) override;
  void start_raise(Sequence seq_count) override;
  std::optional<Result<void>> take_outcome() override;
  std::size_t in_flight() const noexcept override { return in_flight_; }

 private:
  static constexpr std::size_t kWritesMax = 16;
  static constexpr std::uint64_t kWriteBytes = 64 << 10;
  enum class Step : std::uint8_t { none, pages, flush, raise, finished };
  struct Write {
    IoOp op;
    AlignedBuffer memory;
    bool is_free = true;
  };

  void mark(std::uint64_t page) noexcept { dirty_[page / 64] |= std::uint64_t{1} << (page % 64); }
  bool is_dirty(std::uint64_t page) const noexcept { return (dirty_[page / 64] >> (page % 64) & 1U) != 0; }
  std::uint64_t next_dirty(std::uint64_t page) const noexcept;
  void write_pages();
  bool encode(std::uint64_t begin, std::uint64_t end, std::byte* to) const noexcept;
  void encode_superblock(std::byte* to) const noexcept;
  void submit(IoOp& op);
  void on_done(IoOp& op, Result<void> outcome);

  IoPort& port_;
  const index::EntryTable& table_;
  Geometry geometry_;
  Superblock superblock_;
  std::uint64_t page_bytes_;
  std::uint64_t page_count_;
  std::uint64_t end_bytes_;  ///< of the entries, whole logical blocks
  std::uint32_t logical_bytes_;
  std::vector<std::uint64_t> dirty_;  // one bit a page
  std::array<Write, kWritesMax> writes_;
  IoOp flush_op_;
  Step step_ = Step::none;
  Sequence limit_ = 0;
  std::uint64_t next_page_ = 0;
  std::size_t in_flight_ = 0;
  Result<void> outcome_;
};

}  // namespace wc::store
