// SPDX-License-Identifier: LGPL-2.1-or-later
// Machine: disks, undo log and clock on one mains; and the images that a power cut may leave of it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "sim/bytes.hpp"
#include "sim/memory_undo_log.hpp"
#include "sim/sim_clock.hpp"
#include "sim/sim_disk.hpp"
#include "sim/sim_pmem.hpp"
#include "sim/sim_power.hpp"

namespace wc::sim {

/// Everything durable of a machine. An empty origin: there is none.
struct MachineImage {
  Bytes cache;
  Bytes origin;
  Bytes undo;

  friend bool operator==(const MachineImage&, const MachineImage&) = default;
};

struct MachineOptions {
  std::uint32_t cache_logical_block_bytes = 512;
  std::uint32_t origin_logical_block_bytes = 512;
  std::uint32_t max_io_bytes = 1U << 20;
  bool has_pmem = false;  ///< the cache is persistent memory, not a disk
};

/// A machine that was just switched on.
struct Machine {
  Machine(MachineImage image, const MachineOptions& options, std::uint64_t seed);

  SimPower power;
  SimClock clock;
  SimDisk disk;
  std::optional<SimPmem> memory;  ///< the cache of type p; the disk has no cache then
  MemoryUndoLog undo;
  PmemPort* pmem() noexcept { return memory ? &*memory : nullptr; }
  /// True once an injected fault has failed an operation.
  bool has_faulted() const noexcept;

  /// What programs see now, durable or not.
  MachineImage content() const;
  /// What is durable whatever happens.
  MachineImage durable() const;
  /// The same, without a copy; the machine is of no use afterwards.
  MachineImage take_durable();
  /// True if everything is durable.
  bool is_settled() const;
};

/// All images that a power cut now (or the one that has happened) may leave: every combination where
/// there are at most 2^12 of them; else none of the unsettled sectors, all, each alone, each missing,
/// and 256 seeded choices. Valid while the machine is.
class CrashImages {
 public:
  CrashImages(const Machine& machine, std::uint64_t seed);

  std::uint64_t size() const noexcept { return size_; }
  std::size_t unsettled() const noexcept { return places_.size(); }
  bool is_complete() const noexcept { return is_complete_; }
  MachineImage image(std::uint64_t number) const;
  /// Equal for equal images: hash_of(image(number)).
  std::uint64_t hash(std::uint64_t number);
  static std::uint64_t hash_of(const MachineImage& image);

 private:
  struct Place {
    unsigned part = 0;         // 0 cache, 1 origin, 2 undo, 3 lines of the cache
    std::uint64_t number = 0;  // of the sector, or the line
    std::size_t versions = 0;
    std::size_t newest = 0;
    std::vector<std::uint64_t> hashes;  // of each version at its place, when they are needed
  };
  std::vector<std::size_t> choice(std::uint64_t number) const;
  void prepare_hashes();

  const Machine& machine_;
  std::array<std::vector<UnsettledSector>, 2> sectors_;
  std::vector<UnsettledLine> lines_;
  std::vector<Bytes> undo_versions_;
  std::vector<Place> places_;
  std::uint64_t base_hash_ = 0;  // 0: not computed yet
  std::uint64_t seed_;
  std::uint64_t size_ = 0;
  bool is_complete_ = false;
};

inline constexpr std::uint64_t kAllCombinationsMax = 1U << 12;
inline constexpr std::uint64_t kSeededChoices = 256;
/// Where there is persistent memory: lines are eight times as many as sectors, and each adds two choices of its own.
inline constexpr std::uint64_t kSeededChoicesOfLines = 32;

}  // namespace wc::sim
