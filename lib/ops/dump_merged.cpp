// SPDX-License-Identifier: LGPL-2.1-or-later
// Merged content: what a reader of the activated device sees, in bounded memory for any range and cache.
//
// The range is cut into windows with no more cached blocks than memory allows; one pass over the entries finds
// a window's blocks. Inside a window the origin is read ahead in large pieces, and each piece is overlaid.
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "reached.hpp"
#include "store/block_io.hpp"
#include "store/entry_stream.hpp"
#include "store/superblock_io.hpp"
#include "writecache/dump.hpp"

namespace wc {
namespace {

constexpr std::uint64_t kPieceBytes = 1U << 20;
constexpr std::size_t kPieces = 3;  // origin reads in flight
constexpr std::size_t kRunBytes = 128 << 10;
constexpr std::size_t kRuns = 16;  // cache reads in flight
constexpr std::uint64_t kBuffersBytes = kPieces * kPieceBytes + kRuns * (kRunBytes + 16384);
constexpr std::uint64_t kCachedBytesMin = 1U << 20;

Error reading(const char* device, Error error) {
  error.context = std::string("reading the ") + device + (error.context.empty() ? "" : ": ") + error.context;
  return error;
}

/// A committed block that overlaps the window.
struct Cached {
  Sector sector = 0;
  Sequence sequence = 0;
  BlockIndex index = 0;
};

/// The blocks of one window: ascending sectors, the newest of each.
struct Window {
  Sector first = 0;
  Sector end = 0;
  std::vector<Cached> blocks;
};

// Keeps the newest of equal sectors; of identical ones the higher index, which the driver keeps.
void keep_newest(std::vector<Cached>& blocks) {
  std::sort(blocks.begin(), blocks.end(), [](const Cached& a, const Cached& b) {
    return std::tie(a.sector, b.sequence, b.index) < std::tie(b.sector, a.sequence, a.index);
  });
  const auto same_sector = [](const Cached& a, const Cached& b) { return a.sector == b.sector; };
  blocks.erase(std::unique(blocks.begin(), blocks.end(), same_sector), blocks.end());
}

/// Finds the cached blocks from `first` on. The window ends before `end` where more than `blocks_max` lie in between.
Result<Window> collect(IoPort& port, const store::OpenedCache& cache, Sector first, Sector end, std::size_t blocks_max,
                       Observer& observer) {
  Window window{first, end, {}};
  const std::uint64_t n_blocks = cache.geometry.n_blocks;
  window.blocks.reserve(std::min<std::uint64_t>(blocks_max, n_blocks));
  const Sector per_block = cache.geometry.sectors_per_block();
  const Sequence committed_below = cache.superblock.seq_count;
  store::EntryStream stream(port, 0, n_blocks);
  while (true) {
    if (observer.is_cancelled()) return Error{ErrorCode::cancelled, 0, 0, "reading was interrupted"};
    auto batch = stream.next();
    if (!batch) return reading("cache", batch.error());
    if (!*batch) break;
    for (std::size_t i = 0; i < (*batch)->count; ++i) {
      const Entry entry = (**batch)[i];
      if (entry.seq_count >= committed_below || entry.original_sector >= window.end) continue;
      if (entry.original_sector + per_block <= first) continue;
      if (window.blocks.size() == blocks_max) {
        keep_newest(window.blocks);
        if (window.blocks.size() > blocks_max / 2) {
          WC_REACHED("read merged: a window is cut short");
          window.end = window.blocks[blocks_max / 2].sector;
          window.blocks.resize(blocks_max / 2);
          if (entry.original_sector >= window.end) continue;
        }
      }
      window.blocks.push_back({entry.original_sector, entry.seq_count, (*batch)->first_index + i});
    }
  }
  keep_newest(window.blocks);
  return window;
}

/// A part of the origin in memory. `bytes[0]` lies at `offset_bytes`.
struct Piece {
  std::uint64_t offset_bytes = 0;
  std::span<std::byte> bytes;
  Result<void> outcome;

  std::uint64_t end_bytes() const noexcept { return offset_bytes + bytes.size(); }
};

/// Reads the origin in pieces that end at multiples of kPieceBytes, ahead of the consumer.
class OriginPieces {
 public:
  OriginPieces(IoPort& port, std::uint64_t begin_bytes, std::uint64_t end_bytes)
      : port_(port), next_bytes_(begin_bytes), end_bytes_(end_bytes) {
    for (Slot& slot : slots_) {
      if (next_bytes_ >= end_bytes_) break;
      slot.memory = store::AlignedBuffer(std::min(kPieceBytes, end_bytes - begin_bytes));
      submit(slot);
    }
  }
  ~OriginPieces() {
    for (Slot& slot : slots_) {
      while (slot.in_flight)
        port_.poll(Wait::for_one);
    }
  }
  OriginPieces(const OriginPieces&) = delete;
  OriginPieces& operator=(const OriginPieces&) = delete;

  /// The next piece, valid until the next call; nothing at the end.
  std::optional<Piece> next() {
    if (holds_) {
      holds_ = false;
      Slot& used = slots_[current_];
      used.filled = false;
      if (next_bytes_ < end_bytes_) submit(used);
      current_ = (current_ + 1) % kPieces;
    }
    Slot& slot = slots_[current_];
    if (!slot.filled) return std::nullopt;
    while (slot.in_flight)
      port_.poll(Wait::for_one);
    holds_ = true;
    return Piece{slot.op.offset_bytes, slot.op.memory, slot.outcome};
  }

 private:
  struct Slot {
    IoOp op;
    store::AlignedBuffer memory;
    Result<void> outcome;
    bool in_flight = false;
    bool filled = false;
  };

  void submit(Slot& slot) {
    const std::uint64_t boundary = round_down(next_bytes_, kPieceBytes) + kPieceBytes;
    const std::uint64_t stop = std::min({boundary, next_bytes_ + slot.memory.size(), end_bytes_});
    slot.op.kind = IoKind::read;
    slot.op.device = DeviceId::origin;
    slot.op.offset_bytes = next_bytes_;
    slot.op.memory = slot.memory.span(0, stop - next_bytes_);
    slot.op.owner = &slot;
    slot.op.on_done = [](IoOp& op, Result<void> outcome) {
      auto& self = *static_cast<Slot*>(op.owner);
      self.in_flight = false;
      self.outcome = std::move(outcome);
    };
    slot.in_flight = true;
    slot.filled = true;
    next_bytes_ = stop;
    port_.submit(slot.op);
  }

  IoPort& port_;
  std::uint64_t next_bytes_;
  std::uint64_t end_bytes_;
  std::array<Slot, kPieces> slots_;
  std::size_t current_ = 0;
  bool holds_ = false;
};

/// Bytes that lie one behind the other in the cache and on the origin.
struct Run {
  std::uint64_t cache_bytes = 0;
  std::uint64_t origin_bytes = 0;
  std::uint64_t length_bytes = 0;
};

/// Reads runs from the cache into a piece, several at once.
class Overlay {
 public:
  explicit Overlay(IoPort& port) : port_(port), logical_(port.info(DeviceId::cache).logical_block_bytes) {}
  ~Overlay() { settle(); }
  Overlay(const Overlay&) = delete;
  Overlay& operator=(const Overlay&) = delete;

  Result<void> apply(const std::vector<Run>& runs, const Piece& piece) {
    error_.reset();
    piece_ = &piece;
    for (const Run& run : runs) {
      while (in_flight_ == kRuns)
        port_.poll(Wait::for_one);
      if (error_) break;
      submit(run);
    }
    settle();
    if (error_) return reading("cache", *error_);
    return {};
  }

 private:
  struct Slot {
    IoOp op;
    store::AlignedBuffer memory;
    Run run;
    Overlay* overlay = nullptr;
    bool in_flight = false;
  };

  void submit(const Run& run) {
    Slot& slot = *std::find_if(slots_.begin(), slots_.end(), [](const Slot& each) { return !each.in_flight; });
    const std::uint64_t begin = round_down(run.cache_bytes, logical_);
    const std::uint64_t end = round_up(run.cache_bytes + run.length_bytes, logical_);
    if (slot.memory.size() < end - begin) slot.memory = store::AlignedBuffer(end - begin);
    slot.op.kind = IoKind::read;
    slot.op.device = DeviceId::cache;
    slot.op.offset_bytes = begin;
    slot.op.memory = slot.memory.span(0, end - begin);
    slot.op.owner = &slot;
    slot.op.on_done = [](IoOp& op, Result<void> outcome) {
      auto& self = *static_cast<Slot*>(op.owner);
      self.overlay->finish(self, std::move(outcome));
    };
    slot.run = run;
    slot.overlay = this;
    slot.in_flight = true;
    ++in_flight_;
    port_.submit(slot.op);
  }

  void finish(Slot& slot, Result<void> outcome) {
    slot.in_flight = false;
    --in_flight_;
    if (!outcome) {
      if (!error_) error_ = outcome.error();
      return;
    }
    const std::uint64_t skip = slot.run.cache_bytes - slot.op.offset_bytes;
    std::memcpy(piece_->bytes.data() + (slot.run.origin_bytes - piece_->offset_bytes), slot.op.memory.data() + skip,
                slot.run.length_bytes);
  }

  void settle() {
    while (in_flight_ != 0)
      port_.poll(Wait::for_one);
  }

  IoPort& port_;
  std::uint32_t logical_;
  std::array<Slot, kRuns> slots_;
  std::size_t in_flight_ = 0;
  const Piece* piece_ = nullptr;
  std::optional<Error> error_;
};

/// What of a window's blocks belongs into each piece, piece by piece in ascending order.
class Runs {
 public:
  Runs(const Window& window, const Geometry& geometry) : blocks_(window.blocks), geometry_(geometry) {}

  const std::vector<Run>& of(std::uint64_t begin_bytes, std::uint64_t end_bytes) {
    runs_.clear();
    while (next_ < blocks_.size() && end_of(next_) <= begin_bytes)
      ++next_;
    for (std::size_t i = next_; i < blocks_.size() && bytes_of_sectors(blocks_[i].sector) < end_bytes; ++i) {
      const std::uint64_t sector_bytes = bytes_of_sectors(blocks_[i].sector);
      const std::uint64_t low = std::max(begin_bytes, sector_bytes);
      const std::uint64_t high = std::min(end_bytes, end_of(i));
      if (low < high) append({geometry_.block_offset_bytes(blocks_[i].index) + (low - sector_bytes), low, high - low});
    }
    return runs_;
  }

 private:
  // Blocks of a damaged cache may overlap: the one with the higher sector wins there.
  std::uint64_t end_of(std::size_t i) const noexcept {
    const std::uint64_t end = bytes_of_sectors(blocks_[i].sector) + geometry_.block_bytes;
    return i + 1 < blocks_.size() ? std::min(end, bytes_of_sectors(blocks_[i + 1].sector)) : end;
  }

  void append(const Run& run) {
    if (!runs_.empty()) {
      Run& last = runs_.back();
      if (last.cache_bytes + last.length_bytes == run.cache_bytes &&
          last.origin_bytes + last.length_bytes == run.origin_bytes &&
          last.length_bytes + run.length_bytes <= kRunBytes) {
        last.length_bytes += run.length_bytes;
        return;
      }
    }
    runs_.push_back(run);
  }

  const std::vector<Cached>& blocks_;
  const Geometry& geometry_;
  std::size_t next_ = 0;
  std::vector<Run> runs_;
};

// A sector of the origin that cannot be read does not matter where the cache holds it, as for the driver.
Result<void> read_around(IoPort& port, const std::vector<Run>& runs, std::uint64_t begin_bytes, std::uint64_t end_bytes,
                         const Piece& piece) {
  WC_REACHED("read merged: an origin piece is read again around the cached blocks");
  std::uint64_t at = begin_bytes;
  const auto read_gap = [&](std::uint64_t until) -> Result<void> {
    if (until <= at) return {};
    return store::read_bytes(port, DeviceId::origin, at, piece.bytes.subspan(at - piece.offset_bytes, until - at));
  };
  for (const Run& run : runs) {
    if (auto read = read_gap(run.origin_bytes); !read) return reading("origin", read.error());
    at = run.origin_bytes + run.length_bytes;
  }
  if (auto read = read_gap(end_bytes); !read) return reading("origin", read.error());
  return {};
}

Result<void> read_window(IoPort& port, const Geometry& geometry, const Window& window, const ByteSink& sink,
                         Observer& observer, Progress& progress) {
  const std::uint32_t logical = port.info(DeviceId::origin).logical_block_bytes;
  const std::uint64_t window_begin = bytes_of_sectors(window.first);
  const std::uint64_t window_end = bytes_of_sectors(window.end);
  OriginPieces pieces(port, round_down(window_begin, logical), round_up(window_end, logical));
  Overlay overlay(port);
  Runs runs(window, geometry);
  while (std::optional<Piece> piece = pieces.next()) {
    if (observer.is_cancelled()) return Error{ErrorCode::cancelled, 0, 0, "reading was interrupted"};
    const std::uint64_t begin = std::max(window_begin, piece->offset_bytes);
    const std::uint64_t end = std::min(window_end, piece->end_bytes());
    const std::vector<Run>& of_piece = runs.of(begin, end);
    if (!piece->outcome) {
      if (auto read = read_around(port, of_piece, begin, end, *piece); !read) return read;
    }
    if (auto applied = overlay.apply(of_piece, *piece); !applied) return applied;
    if (auto handed = sink(piece->bytes.subspan(begin - piece->offset_bytes, end - begin)); !handed) return handed;
    progress.done_bytes += end - begin;
    observer.on_progress(progress);
  }
  return {};
}

}  // namespace

Result<void> read_merged(IoPort& port, Sector sector, Sector count, std::uint64_t memory_bytes, const ByteSink& sink,
                         Observer& observer) {
  auto cache = store::open_cache(port);
  if (!cache) return cache.error();
  const DeviceInfo origin = port.info(DeviceId::origin);
  if (!origin.present) return Error{ErrorCode::invalid_argument, 0, 0, "merged content needs the origin"};
  const Sector origin_sectors = sectors_of_bytes(origin.size_bytes);
  if (sector > origin_sectors || count > origin_sectors - sector) {
    return Error{ErrorCode::invalid_argument, 0, 0,
                 "sectors " + std::to_string(sector) + "+" + std::to_string(count) +
                     " reach beyond the origin's end (it has " + std::to_string(origin_sectors) + " sectors)"};
  }
  const std::uint64_t left_bytes = memory_bytes > kBuffersBytes ? memory_bytes - kBuffersBytes : 0;
  const std::size_t blocks_max = std::max(left_bytes, kCachedBytesMin) / sizeof(Cached);
  Progress progress{"read", 0, bytes_of_sectors(count)};
  const Sector end = sector + count;
  while (sector < end) {
    auto window = collect(port, *cache, sector, end, blocks_max, observer);
    if (!window) return window.error();
    auto read = read_window(port, cache->geometry, *window, sink, observer, progress);
    if (!read) return read;
    sector = window->end;
  }
  return {};
}

}  // namespace wc
