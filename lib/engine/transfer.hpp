// SPDX-License-Identifier: LGPL-2.1-or-later
// Transfers: the engine's reads and writes of data, on ports or in mapped memory, with bounce buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "engine/pool.hpp"
#include "index/entry_table.hpp"
#include "store/block_io.hpp"
#include "writecache/port.hpp"

namespace wc::engine {

/// Aligned memory for data that cannot go straight to or from the client's.
struct Buffer {
  static constexpr std::size_t kBytes = 64 << 10;  ///< the largest block
  store::AlignedBuffer memory{kBytes};
};

/// What a transfer did to the cache, for who started it.
enum class TransferRole : std::uint8_t {
  other,
  fresh,     ///< data of newly allocated blocks
  in_place,  ///< data of blocks that are there already
};

class Transfers;

/// One I/O of data. `on_done` runs inside poll() or run_local(); afterwards the transfer is released.
struct Transfer {
  IoOp io;
  void (*on_done)(Transfer& transfer, Result<void> outcome) = nullptr;
  void* owner = nullptr;
  void* part = nullptr;             ///< for the owner
  Buffer* bounce = nullptr;         ///< released with the transfer
  std::span<std::byte> copy_to;     ///< read through a bounce buffer: where the data go
  std::size_t copy_skip_bytes = 0;  ///< how far behind the buffer's start they begin
  TransferRole role = TransferRole::other;
  index::Slot slot = index::kNoSlot;  ///< first of `slot_count` neighbours that are written
  std::uint32_t slot_count = 0;
  bool overwrites_committed = false;  ///< some of them are
  bool has_uncommitted = false;       ///< some of them belong to the commit of `epoch`
  Sequence epoch = 0;

 private:
  friend class Transfers;
  Transfers* home_ = nullptr;
  bool has_failed_ = false;  ///< in mapped memory
  std::uint64_t ticket_ = 0;
  Transfer* previous_ = nullptr;
  Transfer* following_ = nullptr;
};

inline constexpr std::uint32_t kTransfersMax = 32;  ///< of one request in flight

/// Reads of the cache carry tickets, so that a block is not handed out while an older read of it is in flight.
class Transfers {
 public:
  Transfers(IoPort& port, PmemPort* memory)
      : port_(port),
        memory_(memory),
        cache_alignment_bytes_(memory != nullptr ? 1 : port.info(DeviceId::cache).memory_alignment_bytes),
        origin_alignment_bytes_(port.info(DeviceId::origin).memory_alignment_bytes) {}

  /// A transfer with everything but io reset.
  Transfer& take();
  Buffer& take_buffer() { return buffers_.take(); }
  void release_buffer(Buffer& buffer) noexcept { buffers_.release(buffer); }

  void submit(Transfer& transfer);
  /// Runs `on_done` of what mapped memory did at once. Returns how many.
  std::size_t run_local();

  std::size_t in_flight() const noexcept { return in_flight_; }
  bool has_local() const noexcept { return !local_.empty(); }
  /// Finished ones, all in all.
  std::uint64_t finished() const noexcept { return finished_; }
  /// Can an operation on this device work in this memory, or must it be copied to aligned memory?
  bool can_use(const std::byte* memory, DeviceId device) const noexcept {
    const std::uint32_t bytes = device == DeviceId::cache ? cache_alignment_bytes_ : origin_alignment_bytes_;
    return reinterpret_cast<std::uintptr_t>(memory) % bytes == 0;
  }
  bool maps_cache() const noexcept { return memory_ != nullptr; }
  /// Copies from the mapped cache. Errors: io.
  Result<void> load(std::uint64_t offset_bytes, std::span<std::byte> memory) const {
    return memory_->load(offset_bytes, memory);
  }

  /// Reads of the cache that start from now on have tickets above this one.
  std::uint64_t last_ticket() const noexcept { return last_ticket_; }
  /// Of the reads in flight; the largest number if there are none.
  std::uint64_t oldest_ticket() const noexcept {
    return oldest_read_ == nullptr ? std::numeric_limits<std::uint64_t>::max() : oldest_read_->ticket_;
  }

 private:
  Result<void> perform_mapped(const IoOp& op);
  void enter(Transfer& read) noexcept;
  void leave(Transfer& read) noexcept;
  void finish(Transfer& transfer, Result<void> outcome);

  IoPort& port_;
  PmemPort* memory_;
  std::uint32_t cache_alignment_bytes_;
  std::uint32_t origin_alignment_bytes_;
  Pool<Transfer> pool_;
  Pool<Buffer> buffers_;
  std::vector<Transfer*> local_;
  std::vector<Transfer*> running_;
  std::optional<Error> local_failure_;  ///< the first one, of mapped memory
  std::size_t in_flight_ = 0;
  std::uint64_t finished_ = 0;
  std::uint64_t last_ticket_ = 0;
  Transfer* oldest_read_ = nullptr;
  Transfer* newest_read_ = nullptr;
};

}  // namespace wc::engine
