// SPDX-License-Identifier: LGPL-2.1-or-later
// PmemStore: the commit protocol of type p: stores of entries, cache-line flushes, fences.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "store/cache_store.hpp"
#include "writecache/port.hpp"
#include "writecache/superblock.hpp"

namespace wc::store {

/// Every step ends at once. Relies on words of 8 bytes being whole on the medium or absent.
class PmemStore final : public CacheStore {
 public:
  PmemStore(PmemPort& port, const index::EntryTable& table) : port_(port), table_(table), view_(port.view()) {}

  void changed(index::Slot slot) override {
    changed_.push_back(slot);
    // Its line is stored to at the next sync, and then waited for.
    __builtin_prefetch(view_.data() + Geometry::entry_offset_bytes(slot), 1);
  }
  void start_sync(Sequence limit) override;
  void start_raise(Sequence seq_count) override;
  std::optional<Result<void>> take_outcome() override;
  std::size_t in_flight() const noexcept override { return 0; }

 private:
  void put(index::Slot slot) noexcept;

  PmemPort& port_;
  const index::EntryTable& table_;
  std::span<const std::byte> view_;
  std::vector<index::Slot> changed_;
  std::optional<Result<void>> outcome_;
};

}  // namespace wc::store
