// SPDX-License-Identifier: LGPL-2.1-or-later
// SimDisk: an IoPort on two simulated disks with volatile write caches, faults and power cuts.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "sim/bytes.hpp"
#include "sim/random.hpp"
#include "sim/sim_clock.hpp"
#include "sim/sim_power.hpp"
#include "writecache/port.hpp"
#include "writecache/units.hpp"

namespace wc::sim {

/// One device as it is before the first operation. An empty content means: not present.
struct SimDevice {
  Bytes content;                            ///< durable; its size is the window's
  std::uint32_t logical_block_bytes = 512;  ///< 512 or 4096
  std::uint32_t max_io_bytes = 1U << 20;
  std::uint64_t window_offset_bytes = 0;  ///< only reported by info()
  bool writable = true;
};

/// How an operation fails. Counted are operations of `kind` on `device` that are valid, from 0, in
/// the order they complete.
struct Fault {
  DeviceId device = DeviceId::cache;
  IoKind kind = IoKind::write;
  std::uint64_t nth = 0;
  bool persistent = false;  ///< the nth and all later ones
  int os_errno = 5;         ///< EIO or ENOSPC
};

/// One sector that a power cut may leave in several versions. versions[0] is the durable one;
/// all of them differ.
struct UnsettledSector {
  Sector sector = 0;
  std::vector<std::array<std::byte, kSectorBytes>> versions;
};

/// Two disks behind one port.
///
/// A completed write lies in a volatile cache, sector by sector; a flush makes durable what had
/// completed when the flush was submitted, and nothing else; a write with `fua` is durable when it
/// completes. Operations complete only in poll(), in a seeded order and number. A failed write may have
/// changed some of its sectors. A failed flush may have lost what was written since the last good one.
/// A discarded sector reads as before or as zeros. Until a read completes its memory holds 0xdb; memory
/// of a write that changes while in flight aborts the test.
class SimDisk final : public IoPort {
 public:
  SimDisk(SimDevice cache, SimDevice origin, std::uint64_t seed, SimPower& power, SimClock* clock = nullptr);
  ~SimDisk() override;
  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;

  DeviceInfo info(DeviceId device) const noexcept override;
  void submit(IoOp& op) noexcept override;
  std::size_t poll(Wait wait) override;

  /// Adds a fault; all of them stay until clear_faults().
  void inject(const Fault& fault) { faults_.push_back(fault); }
  /// Every `kind` (read or write) that touches the sectors fails with EIO.
  void add_bad_sectors(DeviceId device, IoKind kind, Sector first, Sector count);
  void clear_faults();
  /// True once a fault or bad sector has failed an operation since the last clear_faults().
  bool has_faulted() const noexcept { return has_faulted_; }

  /// Operations that completed, failed ones included.
  std::uint64_t completed(DeviceId device, IoKind kind) const noexcept;
  /// Writes with `fua` among them.
  std::uint64_t completed_fua(DeviceId device) const noexcept;

  /// What a read would return now.
  Bytes content(DeviceId device) const;
  /// What is durable whatever happens.
  const Bytes& durable(DeviceId device) const noexcept { return disk(device).durable; }
  /// True if nothing is in flight or only cached: what is durable is all there is.
  bool is_settled() const noexcept;
  /// Gives the durable content away; the disk is of no use afterwards.
  Bytes take_durable(DeviceId device) noexcept { return std::move(disk(device).durable); }
  /// What a power cut at this moment (or the one that has happened) leaves open.
  std::vector<UnsettledSector> unsettled(DeviceId device) const;

 private:
  using SectorBytes = std::array<std::byte, kSectorBytes>;
  struct Version {
    std::uint64_t order = 0;  // of completion, or of submission while in flight
    SectorBytes bytes{};
  };
  struct BadSectors {
    IoKind kind;
    Sector first;
    Sector count;
  };
  struct Disk {
    SimDevice options;
    Bytes durable;
    std::map<Sector, std::vector<Version>> cached;  // completed, not durable; oldest first
    std::vector<BadSectors> bad;
    std::array<std::uint64_t, 4> completed{};
    std::uint64_t completed_fua = 0;
  };
  struct InFlight {
    IoOp* op = nullptr;
    IoOp request;             // a copy: after a cut the caller's may be gone
    std::uint64_t order = 0;  // when it was submitted
    Bytes written;            // what a write held at submission
    std::optional<Error> refusal;
  };

  Disk& disk(DeviceId device) noexcept { return disks_[static_cast<std::size_t>(device)]; }
  const Disk& disk(DeviceId device) const noexcept { return disks_[static_cast<std::size_t>(device)]; }
  std::optional<Error> refusal_of(const IoOp& op) const;
  std::optional<Error> fault_of(const IoOp& op);
  void observe_power();
  Result<void> execute(InFlight& flight);
  Result<void> fail(const InFlight& flight, Error error);
  void execute_read(const IoOp& op);
  void execute_write(const InFlight& flight);
  void execute_flush(const InFlight& flight);
  void execute_discard(const IoOp& op);
  const std::byte* sector_bytes(const Disk& disk, Sector sector) const;
  void cache_sector(Disk& disk, Sector sector, const std::byte* bytes);
  void settle_sector(Disk& disk, Sector sector, const std::byte* bytes);

  std::array<Disk, 2> disks_;
  std::vector<InFlight> in_flight_;
  std::vector<InFlight> at_the_cut_;  // in flight when power failed
  std::vector<Fault> faults_;
  Random random_;
  SimPower& power_;
  SimClock* clock_;
  std::uint64_t order_ = 0;
  bool has_faulted_ = false;
  bool has_seen_cut_ = false;
};

}  // namespace wc::sim
