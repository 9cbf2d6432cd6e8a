// SPDX-License-Identifier: LGPL-2.1-or-later
// The simulated machine and the enumeration of what a power cut may leave of it.
#include "sim/machine.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace wc::sim {
namespace {

constexpr unsigned kUndoPart = 2;
constexpr unsigned kLinePart = 3;

std::uint64_t placed_hash(unsigned part, std::uint64_t place, std::span<const std::byte> bytes) {
  return mix_bits(hash_bytes(bytes) ^ mix_bits(place * 4 + part));
}

/// Made of the hashes of the sectors, so that one of them can be exchanged.
std::uint64_t hash_parts(std::array<const Bytes*, 2> disks, const Bytes& undo) {
  std::uint64_t hash = placed_hash(kUndoPart, 0, undo);
  for (unsigned part = 0; part < 2; ++part) {
    const auto& bytes = *disks[part];
    for (std::size_t at = 0; at + kSectorBytes <= bytes.size(); at += kSectorBytes) {
      hash ^= placed_hash(part, sectors_of_bytes(at), std::span(bytes).subspan(at, kSectorBytes));
    }
  }
  return hash;
}

}  // namespace

Machine::Machine(MachineImage image, const MachineOptions& options, std::uint64_t seed)
    : disk(SimDevice{.content = options.has_pmem ? Bytes{} : std::move(image.cache),
                     .logical_block_bytes = options.cache_logical_block_bytes,
                     .max_io_bytes = options.max_io_bytes},
           SimDevice{.content = std::move(image.origin),
                     .logical_block_bytes = options.origin_logical_block_bytes,
                     .max_io_bytes = options.max_io_bytes},
           seed, power, &clock),
      undo(std::move(image.undo), seed + 1, power) {
  if (options.has_pmem) memory.emplace(std::move(image.cache), seed + 2, power);
}

bool Machine::has_faulted() const noexcept {
  return disk.has_faulted() || undo.has_faulted() || (memory && memory->has_faulted());
}

MachineImage Machine::content() const {
  return {memory ? memory->content() : disk.content(DeviceId::cache), disk.content(DeviceId::origin), undo.content()};
}

MachineImage Machine::durable() const {
  return {memory ? memory->durable() : disk.durable(DeviceId::cache), disk.durable(DeviceId::origin), undo.durable()};
}

MachineImage Machine::take_durable() {
  return {memory ? memory->take_durable() : disk.take_durable(DeviceId::cache), disk.take_durable(DeviceId::origin),
          undo.durable()};
}

bool Machine::is_settled() const {
  return disk.is_settled() && undo.content() == undo.durable() && (!memory || memory->is_settled());
}

CrashImages::CrashImages(const Machine& machine, std::uint64_t seed)
    : machine_(machine),
      sectors_{machine.disk.unsettled(DeviceId::cache), machine.disk.unsettled(DeviceId::origin)},
      lines_(machine.memory ? machine.memory->unsettled() : std::vector<UnsettledLine>{}),
      undo_versions_(machine.undo.crash_versions(seed)),
      seed_(seed) {
  for (unsigned part = 0; part < 2; ++part) {
    for (const auto& sector : sectors_[part]) {
      const auto versions = sector.versions.size();
      places_.push_back({part, sector.sector, versions, versions - 1, {}});
    }
  }
  for (const auto& line : lines_)
    places_.push_back({kLinePart, line.line, line.versions.size(), line.versions.size() - 1, {}});
  if (undo_versions_.size() > 1) places_.push_back({kUndoPart, 0, undo_versions_.size(), 1, {}});
  std::uint64_t combinations = 1;
  for (const auto& place : places_) {
    combinations *= place.versions;
    if (combinations > kAllCombinationsMax) break;
  }
  is_complete_ = combinations <= kAllCombinationsMax;
  size_ = is_complete_ ? combinations : 2 + 2 * places_.size() + (lines_.empty() ? kSeededChoices : kSeededChoicesOfLines);
}

void CrashImages::prepare_hashes() {
  const Bytes& cache = machine_.memory ? machine_.memory->durable() : machine_.disk.durable(DeviceId::cache);
  base_hash_ = hash_parts({&cache, &machine_.disk.durable(DeviceId::origin)}, machine_.undo.durable());
  std::size_t at = 0;
  for (unsigned part = 0; part < 2; ++part) {
    for (const auto& sector : sectors_[part]) {
      for (const auto& version : sector.versions) {
        places_[at].hashes.push_back(placed_hash(part, sector.sector, version));
      }
      ++at;
    }
  }
  if (at == places_.size()) return;
  for (const auto& version : undo_versions_) {
    places_[at].hashes.push_back(placed_hash(kUndoPart, 0, version));
  }
}

std::vector<std::size_t> CrashImages::choice(std::uint64_t number) const {
  std::vector<std::size_t> chosen(places_.size(), 0);
  if (is_complete_) {
    for (std::size_t i = 0; i < places_.size(); ++i) {
      chosen[i] = number % places_[i].versions;
      number /= places_[i].versions;
    }
    return chosen;
  }
  const auto count = places_.size();
  if (number == 0) return chosen;
  if (number <= count) {
    chosen[number - 1] = places_[number - 1].newest;
    return chosen;
  }
  if (number <= 2 * count + 1) {
    for (std::size_t i = 0; i < count; ++i)
      chosen[i] = places_[i].newest;
    if (number > count + 1) chosen[number - count - 2] = 0;
    return chosen;
  }
  Random random(seed_ ^ mix_bits(number));
  for (std::size_t i = 0; i < count; ++i)
    chosen[i] = random.below(places_[i].versions);
  return chosen;
}

MachineImage CrashImages::image(std::uint64_t number) const {
  auto image = machine_.durable();
  const auto chosen = choice(number);
  std::size_t at = 0;
  for (unsigned part = 0; part < 2; ++part) {
    auto& bytes = part == 0 ? image.cache : image.origin;
    for (const auto& sector : sectors_[part]) {
      std::memcpy(bytes.data() + bytes_of_sectors(sector.sector), sector.versions[chosen[at++]].data(), kSectorBytes);
    }
  }
  for (const auto& line : lines_) {
    const std::size_t offset = line.line * kLineBytes;
    std::memcpy(image.cache.data() + offset, line.versions[chosen[at++]].data(),
                std::min(kLineBytes, image.cache.size() - offset));
  }
  if (at < places_.size()) image.undo = undo_versions_[chosen[at]];
  return image;
}

std::uint64_t CrashImages::hash(std::uint64_t number) {
  if (!lines_.empty()) return hash_of(image(number));  // lines are parts of the sectors that are hashed
  if (base_hash_ == 0) prepare_hashes();
  auto hash = base_hash_;
  const auto chosen = choice(number);
  for (std::size_t i = 0; i < places_.size(); ++i) {
    hash ^= places_[i].hashes[0] ^ places_[i].hashes[chosen[i]];
  }
  return hash;
}

std::uint64_t CrashImages::hash_of(const MachineImage& image) {
  return hash_parts({&image.cache, &image.origin}, image.undo);
}

}  // namespace wc::sim
