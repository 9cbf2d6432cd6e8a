// SPDX-License-Identifier: LGPL-2.1-or-later
// MemoryUndoLog: an UndoLog in memory with the crash model of a file, and faults.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "sim/bytes.hpp"
#include "sim/random.hpp"
#include "sim/sim_power.hpp"
#include "writecache/undo.hpp"

namespace wc::sim {

enum class UndoCall : std::uint8_t { read, append, truncate, sync };

/// How a call of the log fails. Calls of one kind count from 0.
struct UndoFault {
  UndoCall call = UndoCall::append;
  std::uint64_t nth = 0;
  bool persistent = false;
  int os_errno = 28;  ///< ENOSPC or EIO
};

/// What was synced survives a power cut. Of what was appended later any leading part survives; a
/// truncation without a sync may be undone. A failed append may have appended a part. After a failed
/// sync nothing that was not synced before ever becomes durable.
class MemoryUndoLog final : public UndoLog {
 public:
  MemoryUndoLog(Bytes content, std::uint64_t seed, SimPower& power);

  Result<std::uint64_t> size_bytes() override;
  Result<void> read(std::uint64_t offset_bytes, std::span<std::byte> memory) override;
  Result<void> append(std::span<const std::byte> data) override;
  Result<void> truncate(std::uint64_t size_bytes) override;
  Result<void> sync() override;

  void inject(const UndoFault& fault) { faults_.push_back(fault); }
  void clear_faults() {
    faults_.clear();
    has_faulted_ = false;
  }
  bool has_faulted() const noexcept { return has_faulted_; }
  std::uint64_t calls(UndoCall call) const noexcept { return calls_[static_cast<std::size_t>(call)]; }

  const Bytes& content() const noexcept { return content_; }
  const Bytes& durable() const noexcept { return durable_; }
  /// What a power cut may leave, the durable content first: it, everything, and some cut short.
  std::vector<Bytes> crash_versions(std::uint64_t seed) const;

 private:
  std::optional<Error> fault_of(UndoCall call);

  Bytes durable_;
  Bytes content_;
  std::size_t kept_ = 0;  // leading bytes of content_ that are certain
  std::vector<UndoFault> faults_;
  std::array<std::uint64_t, 4> calls_{};
  Random random_;
  SimPower& power_;
  bool has_faulted_ = false;
  bool has_failed_sync_ = false;
};

}  // namespace wc::sim
