// SPDX-License-Identifier: LGPL-2.1-or-later
// The simulated disks: volatile caches, seeded completion, faults and power cuts.
#include "sim/sim_disk.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace wc::sim {
namespace {

constexpr std::byte kPoison{0xdb};
constexpr std::uint64_t kPollNs = 100'000;

[[noreturn]] void misuse(const char* what) {
  std::fprintf(stderr, "SimDisk: the caller broke the contract: %s\n", what);
  std::abort();
}

std::uint64_t length_of(const IoOp& op) noexcept {
  return op.kind == IoKind::discard ? op.length_bytes : op.memory.size();
}

Error refused(ErrorCode code, const IoOp& op, const char* text) { return Error{code, 0, op.offset_bytes, text}; }

}  // namespace

SimDisk::SimDisk(SimDevice cache, SimDevice origin, std::uint64_t seed, SimPower& power, SimClock* clock)
    : random_(seed), power_(power), clock_(clock) {
  disk(DeviceId::cache).options = std::move(cache);
  disk(DeviceId::origin).options = std::move(origin);
  for (auto& each : disks_) {
    each.durable = std::move(each.options.content);
    each.options.content.clear();
  }
}

SimDisk::~SimDisk() = default;

DeviceInfo SimDisk::info(DeviceId device) const noexcept {
  const auto& of = disk(device);
  return DeviceInfo{.size_bytes = of.durable.size(),
                    .window_offset_bytes = of.options.window_offset_bytes,
                    .logical_block_bytes = of.options.logical_block_bytes,
                    .max_io_bytes = of.options.max_io_bytes,
                    .present = !of.durable.empty(),
                    .writable = !of.durable.empty() && of.options.writable};
}

void SimDisk::add_bad_sectors(DeviceId device, IoKind kind, Sector first, Sector count) {
  disk(device).bad.push_back({kind, first, count});
}

void SimDisk::clear_faults() {
  faults_.clear();
  for (auto& each : disks_)
    each.bad.clear();
  has_faulted_ = false;
}

std::uint64_t SimDisk::completed(DeviceId device, IoKind kind) const noexcept {
  return disk(device).completed[static_cast<std::size_t>(kind)];
}

std::uint64_t SimDisk::completed_fua(DeviceId device) const noexcept { return disk(device).completed_fua; }

std::optional<Error> SimDisk::refusal_of(const IoOp& op) const {
  const auto about = info(op.device);
  if (!about.present) return refused(ErrorCode::invalid_argument, op, "no such device");
  if (op.kind != IoKind::read && !about.writable && op.kind != IoKind::flush) {
    return refused(ErrorCode::permission, op, "the device is read-only");
  }
  if (op.kind == IoKind::flush) return std::nullopt;
  const auto length = length_of(op);
  if (length == 0) return refused(ErrorCode::invalid_argument, op, "empty operation");
  if (op.offset_bytes % about.logical_block_bytes != 0 || length % about.logical_block_bytes != 0) {
    return refused(ErrorCode::invalid_argument, op, "not a multiple of the logical block");
  }
  if (op.offset_bytes > about.size_bytes || length > about.size_bytes - op.offset_bytes) {
    return refused(ErrorCode::invalid_argument, op, "outside the device");
  }
  if (op.kind != IoKind::discard && reinterpret_cast<std::uintptr_t>(op.memory.data()) % kIoAlignmentBytes != 0) {
    return refused(ErrorCode::invalid_argument, op, "memory is not aligned");
  }
  return std::nullopt;
}

void SimDisk::observe_power() {
  if (power_.is_on() || has_seen_cut_) return;
  has_seen_cut_ = true;
  at_the_cut_ = in_flight_;
}

void SimDisk::submit(IoOp& op) noexcept {
  observe_power();
  if (op.on_done == nullptr) misuse("an operation without on_done");
  for (const auto& other : in_flight_) {
    if (other.op == &op) misuse("an operation was submitted twice");
  }
  InFlight flight;
  flight.op = &op;
  flight.request = op;
  flight.order = ++order_;
  flight.refusal = refusal_of(op);
  if (!flight.refusal && power_.is_on()) {
    if (op.kind == IoKind::write) {
      flight.written.assign(op.memory.begin(), op.memory.end());
      power_.note_change();
    }
    if (op.kind == IoKind::read) std::fill(op.memory.begin(), op.memory.end(), kPoison);
    if (op.kind == IoKind::discard) power_.note_change();
  }
  in_flight_.push_back(std::move(flight));
}

std::size_t SimDisk::poll(Wait wait) {
  power_.tick();
  observe_power();
  if (in_flight_.empty()) return 0;
  if (clock_ != nullptr) clock_->advance_ns(kPollNs);
  // Half of the time one operation, else any number: code must not count on either.
  std::size_t wanted = 1 + (random_.one_in(2) ? 0 : random_.below(in_flight_.size()));
  if (wait != Wait::for_one && random_.one_in(2)) wanted = 0;
  std::vector<InFlight> chosen;
  for (std::size_t i = 0; i < wanted; ++i) {
    const auto at = static_cast<std::ptrdiff_t>(random_.below(in_flight_.size()));
    chosen.push_back(std::move(in_flight_[static_cast<std::size_t>(at)]));
    in_flight_.erase(in_flight_.begin() + at);
  }
  std::vector<Result<void>> outcomes;
  for (auto& flight : chosen)
    outcomes.push_back(execute(flight));
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    chosen[i].op->on_done(*chosen[i].op, std::move(outcomes[i]));
  }
  power_.tick();
  observe_power();
  return chosen.size();
}

std::optional<Error> SimDisk::fault_of(const IoOp& op) {
  auto& of = disk(op.device);
  const auto number = of.completed[static_cast<std::size_t>(op.kind)]++;
  if (op.kind == IoKind::write && op.fua) ++of.completed_fua;
  for (const auto& fault : faults_) {
    if (fault.device != op.device || fault.kind != op.kind) continue;
    if (number == fault.nth || (fault.persistent && number > fault.nth)) {
      has_faulted_ = true;
      const auto code = fault.os_errno == ENOSPC ? ErrorCode::no_space : ErrorCode::io;
      return Error{code, fault.os_errno, op.offset_bytes, "injected fault"};
    }
  }
  if (op.kind == IoKind::flush) return std::nullopt;
  const auto first = sectors_of_bytes(op.offset_bytes);
  const auto end = first + sectors_of_bytes(length_of(op));
  for (const auto& bad : of.bad) {
    if (bad.kind == op.kind && first < bad.first + bad.count && bad.first < end) {
      has_faulted_ = true;
      return Error{ErrorCode::io, EIO, bytes_of_sectors(std::max(first, bad.first)), "bad sector"};
    }
  }
  return std::nullopt;
}

Result<void> SimDisk::execute(InFlight& flight) {
  const IoOp& op = *flight.op;
  if (flight.refusal) return *flight.refusal;
  if (!power_.is_on()) return Error{ErrorCode::io, EIO, op.offset_bytes, "the power is off"};
  if (op.kind == IoKind::write &&
      !std::equal(op.memory.begin(), op.memory.end(), flight.written.begin(), flight.written.end())) {
    misuse("the memory of a write changed while it was in flight");
  }
  if (auto error = fault_of(op)) return fail(flight, *error);
  switch (op.kind) {
    case IoKind::read:
      execute_read(op);
      break;
    case IoKind::write:
      execute_write(flight);
      break;
    case IoKind::flush:
      execute_flush(flight);
      break;
    case IoKind::discard:
      execute_discard(op);
      break;
  }
  return {};
}

Result<void> SimDisk::fail(const InFlight& flight, Error error) {
  auto& of = disk(flight.op->device);
  if (flight.op->kind == IoKind::write) {
    const auto first = sectors_of_bytes(flight.op->offset_bytes);
    for (std::size_t at = 0; at < flight.written.size(); at += kSectorBytes) {
      if (random_.one_in(2)) {
        cache_sector(of, first + sectors_of_bytes(at), flight.written.data() + at);
      }
    }
  }
  if (flight.op->kind == IoKind::flush) {
    for (auto it = of.cached.begin(); it != of.cached.end();) {
      it = random_.one_in(2) ? of.cached.erase(it) : std::next(it);
    }
  }
  power_.note_change();
  return error;
}

const std::byte* SimDisk::sector_bytes(const Disk& disk, Sector sector) const {
  const auto it = disk.cached.find(sector);
  if (it != disk.cached.end()) return it->second.back().bytes.data();
  return disk.durable.data() + bytes_of_sectors(sector);
}

void SimDisk::cache_sector(Disk& disk, Sector sector, const std::byte* bytes) {
  Version version;
  version.order = ++order_;
  std::memcpy(version.bytes.data(), bytes, kSectorBytes);
  disk.cached[sector].push_back(version);
}

void SimDisk::settle_sector(Disk& disk, Sector sector, const std::byte* bytes) {
  std::memcpy(disk.durable.data() + bytes_of_sectors(sector), bytes, kSectorBytes);
  power_.note_change();
}

void SimDisk::execute_read(const IoOp& op) {
  const auto& of = disk(op.device);
  const auto first = sectors_of_bytes(op.offset_bytes);
  std::memcpy(op.memory.data(), of.durable.data() + op.offset_bytes, op.memory.size());
  const auto end = of.cached.lower_bound(first + sectors_of_bytes(op.memory.size()));
  for (auto it = of.cached.lower_bound(first); it != end; ++it) {
    std::memcpy(op.memory.data() + bytes_of_sectors(it->first - first), it->second.back().bytes.data(), kSectorBytes);
  }
}

void SimDisk::execute_write(const InFlight& flight) {
  auto& of = disk(flight.op->device);
  const auto first = sectors_of_bytes(flight.op->offset_bytes);
  for (std::size_t at = 0; at < flight.written.size(); at += kSectorBytes) {
    const auto sector = first + sectors_of_bytes(at);
    if (flight.op->fua) {
      of.cached.erase(sector);
      settle_sector(of, sector, flight.written.data() + at);
    } else {
      cache_sector(of, sector, flight.written.data() + at);
    }
  }
}

void SimDisk::execute_flush(const InFlight& flight) {
  auto& of = disk(flight.op->device);
  for (auto it = of.cached.begin(); it != of.cached.end();) {
    auto& versions = it->second;
    const auto later = std::find_if(versions.begin(), versions.end(),
                                    [&](const Version& version) { return version.order > flight.order; });
    if (later != versions.begin()) settle_sector(of, it->first, std::prev(later)->bytes.data());
    versions.erase(versions.begin(), later);
    it = versions.empty() ? of.cached.erase(it) : std::next(it);
  }
}

void SimDisk::execute_discard(const IoOp& op) {
  auto& of = disk(op.device);
  const SectorBytes zeros{};
  const auto first = sectors_of_bytes(op.offset_bytes);
  for (Sector i = 0; i < sectors_of_bytes(op.length_bytes); ++i) {
    if (random_.one_in(2)) cache_sector(of, first + i, zeros.data());
  }
}

Bytes SimDisk::content(DeviceId device) const {
  const auto& of = disk(device);
  auto bytes = of.durable;
  for (const auto& [sector, versions] : of.cached) {
    std::memcpy(bytes.data() + bytes_of_sectors(sector), versions.back().bytes.data(), kSectorBytes);
  }
  return bytes;
}

bool SimDisk::is_settled() const noexcept {
  return in_flight_.empty() && disks_[0].cached.empty() && disks_[1].cached.empty();
}

std::vector<UnsettledSector> SimDisk::unsettled(DeviceId device) const {
  const auto& of = disk(device);
  std::map<Sector, std::vector<SectorBytes>> open;
  for (const auto& [sector, versions] : of.cached) {
    for (const auto& version : versions)
      open[sector].push_back(version.bytes);
  }
  for (const auto& flight : has_seen_cut_ ? at_the_cut_ : in_flight_) {
    const auto& op = flight.request;
    if (flight.refusal || op.device != device) continue;
    const auto first = sectors_of_bytes(op.offset_bytes);
    for (std::size_t at = 0; at < flight.written.size(); at += kSectorBytes) {
      SectorBytes bytes{};
      std::memcpy(bytes.data(), flight.written.data() + at, kSectorBytes);
      open[first + sectors_of_bytes(at)].push_back(bytes);
    }
    for (Sector i = 0; op.kind == IoKind::discard && i < sectors_of_bytes(op.length_bytes); ++i) {
      open[first + i].push_back(SectorBytes{});
    }
  }
  std::vector<UnsettledSector> result;
  for (const auto& [sector, versions] : open) {
    UnsettledSector unsettled_sector{sector, {}};
    auto& kept = unsettled_sector.versions;
    kept.emplace_back();
    std::memcpy(kept.front().data(), of.durable.data() + bytes_of_sectors(sector), kSectorBytes);
    for (const auto& version : versions) {
      if (std::find(kept.begin(), kept.end(), version) == kept.end()) kept.push_back(version);
    }
    if (kept.size() > 1) result.push_back(std::move(unsettled_sector));
  }
  return result;
}

}  // namespace wc::sim
