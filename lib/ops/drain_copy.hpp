// SPDX-License-Identifier: LGPL-2.1-or-later
// CopyPipeline: copies cache blocks to the origin, or compares them with it, many runs at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "store/block_io.hpp"
#include "writecache/port.hpp"
#include "writecache/superblock.hpp"

namespace wc::ops {

/// A cache block and the place on the origin where it belongs.
struct CopyBlock {
  Sector sector = 0;
  BlockIndex index = 0;
};

enum class CopyMode : std::uint8_t {
  write,    ///< cache to origin
  compare,  ///< both are read, nothing is written
};

struct CopyLimits {
  unsigned writes_in_flight = 32;
  std::size_t slots = 64;             ///< runs being read, waiting or written
  std::uint64_t run_bytes = 1U << 20; ///< longest run; a single block may be longer
  unsigned retries = 3;               ///< of a single block
};

/// What becomes of the blocks. Every block added is reported exactly once.
class CopyResults {
 public:
  virtual ~CopyResults() = default;
  /// Completed writes (not yet durable), or contents that are equal. `bytes` counts what lies on the
  /// origin.
  virtual void on_copied(std::span<const CopyBlock> blocks, std::uint64_t bytes) = 0;
  /// `what` failed: "read of the cache", ... `error` is null where the contents differ.
  virtual void on_failed(const CopyBlock& block, const char* what, const Error* error) = 0;
};

/// Blocks come in ascending order of sector. Neighbours are joined into runs; a run has a slot that
/// goes through reading, waiting for its turn, and writing, independently of the others. Runs in
/// flight never share a logical block of the origin, so that a run that covers one only in part may
/// read, change and write it. A run of several blocks that fails is done again block by block.
class CopyPipeline {
 public:
  CopyPipeline(IoPort& port, const Geometry& geometry, CopyMode mode, const CopyLimits& limits,
               CopyResults& results);
  ~CopyPipeline();
  CopyPipeline(const CopyPipeline&) = delete;
  CopyPipeline& operator=(const CopyPipeline&) = delete;

  /// True if the block would go into the run that is being collected.
  bool joins(const CopyBlock& block) const noexcept;
  /// Takes a block that begins below the origin's end. May wait for others to finish.
  void add(const CopyBlock& block);
  /// Lets things happen without adding anything.
  void turn(Wait wait);
  /// Returns when every block has been reported.
  void finish();

  /// The part of a block that lies on the origin.
  std::uint64_t origin_bytes_of(const CopyBlock& block) const noexcept;

 private:
  /// One read of the cache: blocks of a slot that are neighbours on both devices.
  struct Transfer {
    std::size_t first = 0;          ///< block of the slot
    std::size_t count = 0;
    std::size_t scratch = 0;        ///< offset of the first block's bytes in the scratch memory
    bool is_direct = false;         ///< straight into the memory that is written
  };
  struct Slot {
    CopyPipeline* owner = nullptr;
    std::vector<CopyBlock> blocks;
    std::size_t first = 0;          ///< the blocks being copied now: all, or one after a failure
    std::size_t count = 0;
    std::uint64_t span_begin = 0;   ///< of those blocks on the origin, whole logical blocks
    std::uint64_t span_end = 0;
    std::uint64_t data_bytes = 0;
    unsigned attempts = 0;
    bool is_writing = false;
    bool needs_origin = false;      ///< the origin is read first: to compare, or to fill gaps
    std::size_t transfers = 0;      ///< used ones of `reads`
    std::vector<Transfer> transfer_list;
    std::vector<IoOp> reads;
    IoOp origin_op;
    std::size_t in_flight = 0;
    const char* failed_what = nullptr;
    std::optional<Error> error;
    store::AlignedBuffer memory;    ///< the span as it goes to the origin
    store::AlignedBuffer scratch;   ///< cache blocks that cannot be read in place
  };

  static void on_done(IoOp& op, Result<void> outcome);
  static void reserve(store::AlignedBuffer& memory, std::uint64_t bytes);

  std::uint64_t begin_of(const CopyBlock& block) const noexcept { return bytes_of_sectors(block.sector); }
  std::size_t scratch_bytes_of(const CopyBlock& block, bool adjoins) const noexcept;
  Slot& take_slot();
  void dispatch_open();
  void start(Slot& slot);
  void plan(Slot& slot);
  std::size_t plan_transfers(Slot& slot);
  void advance(Slot& slot);
  void read_finished(Slot& slot);
  void write(Slot& slot);
  void fail(Slot& slot);
  void succeed(Slot& slot);
  void next_single(Slot& slot);
  std::span<std::byte> bytes_of(Slot& slot, const Transfer& transfer, std::size_t block) noexcept;

  IoPort& port_;
  Geometry geometry_;
  CopyMode mode_;
  CopyLimits limits_;
  CopyResults& results_;
  std::uint64_t origin_end_;
  std::uint32_t origin_logical_;
  std::uint32_t cache_logical_;
  std::uint64_t cache_io_bytes_;
  bool reads_in_place_;             ///< block size and devices allow it
  std::vector<Slot> slots_;
  std::vector<Slot*> free_;
  std::vector<Slot*> settled_;      ///< nothing of theirs is in flight any more
  std::vector<Slot*> settled_now_;
  std::vector<Slot*> waiting_;      ///< read, to be written in this order from waiting_head_ on
  std::size_t waiting_head_ = 0;
  std::size_t busy_ = 0;
  unsigned writing_ = 0;
  unsigned dispatched_ = 0;         ///< runs; wraps
  Slot* open_ = nullptr;            ///< the run being collected
  std::uint64_t open_begin_ = 0;
  std::uint64_t open_end_ = 0;      ///< end of the last block, not rounded
  std::size_t open_scratch_ = 0;
  std::size_t open_transfers_ = 0;
  std::uint64_t frontier_ = 0;      ///< end of everything dispatched since the last moment of rest
};

}  // namespace wc::ops
