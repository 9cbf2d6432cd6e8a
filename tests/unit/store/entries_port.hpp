// SPDX-License-Identifier: LGPL-2.1-or-later
// EntriesPort: a cache that consists of its entries alone, so that a scan of millions of them is quick.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "sim/random.hpp"
#include "writecache/port.hpp"
#include "writecache/superblock.hpp"

namespace wc::test {

/// Answers reads of the metadata, in any order; nothing can be written. SimDisk is the simulator for all
/// else.
class EntriesPort final : public IoPort {
 public:
  EntriesPort(const std::vector<Entry>& entries, std::uint32_t block_bytes, std::uint32_t logical_block_bytes = 512)
      : geometry_{block_bytes, entries.size(),
                  round_up(kSuperblockBytes + kEntryBytes * entries.size(), std::max(block_bytes, logical_block_bytes))},
        metadata_(geometry_.data_offset_bytes, std::byte{0xaa}),
        logical_block_bytes_(logical_block_bytes),
        random_(entries.size()) {
    static_assert(sizeof(Entry) == kEntryBytes, "copied as they are, on a little-endian machine");
    if (!entries.empty()) std::memcpy(metadata_.data() + kSuperblockBytes, entries.data(), entries.size() * kEntryBytes);
  }

  const Geometry& geometry() const noexcept { return geometry_; }
  /// The read with this number, from 0, and all later ones fail.
  void fail_from(std::optional<std::uint64_t> number) { fail_from_ = number; }
  std::uint64_t reads() const noexcept { return reads_; }
  std::uint64_t bytes_read() const noexcept { return bytes_read_; }
  bool is_idle() const noexcept { return queue_.empty(); }

  DeviceInfo info(DeviceId device) const noexcept override {
    DeviceInfo out;
    if (device != DeviceId::cache) return out;
    out.size_bytes = geometry_.end_bytes();
    out.logical_block_bytes = logical_block_bytes_;
    out.present = true;
    return out;
  }
  void submit(IoOp& op) noexcept override { queue_.push_back(&op); }
  std::size_t poll(Wait) override {
    if (queue_.empty()) return 0;
    std::swap(queue_[random_.below(queue_.size())], queue_.back());
    IoOp& op = *queue_.back();
    queue_.pop_back();
    const std::uint64_t number = reads_++;
    bytes_read_ += op.memory.size();
    if (op.kind != IoKind::read || op.offset_bytes % logical_block_bytes_ != 0 ||
        op.memory.size() % logical_block_bytes_ != 0 || op.offset_bytes + op.memory.size() > metadata_.size()) {
      op.on_done(op, Error{ErrorCode::invalid_argument, 0, op.offset_bytes, "not a read of the metadata"});
    } else if (fail_from_ && number >= *fail_from_) {
      op.on_done(op, Error{ErrorCode::io, 5, op.offset_bytes, "injected"});
    } else {
      std::memcpy(op.memory.data(), metadata_.data() + op.offset_bytes, op.memory.size());
      op.on_done(op, {});
    }
    return 1;
  }

 private:
  Geometry geometry_;
  std::vector<std::byte> metadata_;
  std::uint32_t logical_block_bytes_;
  sim::Random random_;
  std::vector<IoOp*> queue_;
  std::optional<std::uint64_t> fail_from_;
  std::uint64_t reads_ = 0;
  std::uint64_t bytes_read_ = 0;
};

}  // namespace wc::test
