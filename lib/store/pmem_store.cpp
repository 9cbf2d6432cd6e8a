// SPDX-License-Identifier: LGPL-2.1-or-later
// PmemStore: puts entries word by word and fences.
#include "store/pmem_store.hpp"

#include <array>
#include <utility>

#include "media/entry.hpp"

namespace wc::store {
namespace {

constexpr std::uint64_t kSeqCountOffset = 24;  ///< of S in the superblock

}  // namespace

void PmemStore::put(index::Slot slot) noexcept {
  const std::uint64_t offset = Geometry::entry_offset_bytes(slot);
  std::array<std::byte, kEntryBytes> raw{};
  if (table_.is_free(slot)) {
    // The number alone, one word: a free entry's sector means nothing.
    media::store_le(raw.data(), kFreeSequence);
    port_.store(offset + media::kEntrySequenceOffset, std::span(raw).first(sizeof(Sequence)));
  } else {
    media::store_entry(raw.data(), {table_.sector(slot), table_.sequence(slot)});
    port_.store(offset, raw);
  }
  port_.flush(offset, kEntryBytes);
}

void PmemStore::start_sync(Sequence limit) {
  std::size_t kept = 0;
  for (const index::Slot slot : changed_) {
    if (!table_.is_free(slot) && table_.sequence(slot) > limit) {
      changed_[kept++] = slot;
    } else {
      put(slot);
    }
  }
  changed_.resize(kept);
  outcome_ = port_.fence();
}

void PmemStore::start_raise(Sequence seq_count) {
  std::array<std::byte, sizeof(Sequence)> raw{};
  media::store_le(raw.data(), seq_count);
  port_.store(kSeqCountOffset, raw);
  port_.flush(kSeqCountOffset, raw.size());
  outcome_ = port_.fence();
}

std::optional<Result<void>> PmemStore::take_outcome() { return std::exchange(outcome_, std::nullopt); }

}  // namespace wc::store
