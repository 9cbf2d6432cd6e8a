// SPDX-License-Identifier: LGPL-2.1-or-later
// SimPmem: lines with all their versions since they were last durable.
#include "sim/sim_pmem.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace wc::sim {
namespace {

constexpr std::size_t kWordBytes = 8;

[[noreturn]] void misuse(const char* what) {
  std::fprintf(stderr, "SimPmem: the caller broke the contract: %s\n", what);
  std::abort();
}

}  // namespace

SimPmem::SimPmem(Bytes content, std::uint64_t seed, SimPower& power)
    : durable_(std::move(content)), current_(durable_), random_(seed), power_(power) {}

SimPmem::LineBytes SimPmem::line_at(const Bytes& bytes, std::uint64_t line) const {
  LineBytes copy{};
  const std::size_t at = line * kLineBytes;
  std::memcpy(copy.data(), bytes.data() + at, std::min(kLineBytes, bytes.size() - at));
  return copy;
}

void SimPmem::store(std::uint64_t offset_bytes, std::span<const std::byte> data) noexcept {
  if (offset_bytes > current_.size() || data.size() > current_.size() - offset_bytes) misuse("a store outside");
  if (!power_.is_on()) {
    // Programs do not notice before the next fence; what a cut leaves is decided.
    std::memcpy(current_.data() + offset_bytes, data.data(), data.size());
    return;
  }
  while (!data.empty()) {
    const std::size_t part = std::min<std::size_t>(data.size(), kLineBytes - offset_bytes % kLineBytes);
    store_in_line(offset_bytes, data.first(part));
    offset_bytes += part;
    data = data.subspan(part);
  }
}

void SimPmem::store_in_line(std::uint64_t offset_bytes, std::span<const std::byte> data) {
  const std::uint64_t number = offset_bytes / kLineBytes;
  const LineBytes before = line_at(current_, number);
  std::memcpy(current_.data() + offset_bytes, data.data(), data.size());
  const LineBytes after = line_at(current_, number);
  Line& line = lines_[number];
  // Torn at a word: the first part alone, the last part alone, and any words.
  for (unsigned kind = 0; kind < 3 && data.size() > kWordBytes; ++kind) {
    LineBytes torn = before;
    for (std::size_t at = 0; at < kLineBytes; at += kWordBytes) {
      const bool is_late = offset_bytes % kLineBytes + data.size() / 2 <= at;
      const bool survives = kind == 2 ? random_.one_in(2) : is_late == (kind == 1);
      if (survives) std::memcpy(torn.data() + at, after.data() + at, kWordBytes);
    }
    line.versions.push_back(torn);
  }
  line.versions.push_back(after);
  power_.note_change();
}

void SimPmem::flush(std::uint64_t offset_bytes, std::uint64_t length_bytes) noexcept {
  if (offset_bytes > current_.size() || length_bytes > current_.size() - offset_bytes) misuse("a flush outside");
  const auto end = lines_.lower_bound((offset_bytes + length_bytes + kLineBytes - 1) / kLineBytes);
  for (auto it = lines_.lower_bound(offset_bytes / kLineBytes); it != end; ++it)
    it->second.flushed = it->second.versions.size();
}

Result<void> SimPmem::fence() {
  power_.tick();
  if (!power_.is_on()) return Error{ErrorCode::io, EIO, 0, "the power is off"};
  const std::uint64_t number = fences_++;
  if (fault_ && (number == fault_->nth || (fault_->persistent && number > fault_->nth))) {
    has_faulted_ = true;
    return Error{ErrorCode::io, EIO, 0, "injected fault"};
  }
  if (!drops_ || !drops_()) settle();
  power_.tick();
  return {};
}

void SimPmem::settle() {
  for (auto it = lines_.begin(); it != lines_.end();) {
    Line& line = it->second;
    if (line.flushed != 0) {
      const std::size_t at = it->first * kLineBytes;
      std::memcpy(durable_.data() + at, line.versions[line.flushed - 1].data(),
                  std::min(kLineBytes, durable_.size() - at));
      line.versions.erase(line.versions.begin(), line.versions.begin() + static_cast<std::ptrdiff_t>(line.flushed));
      line.flushed = 0;
      power_.note_change();
    }
    it = line.versions.empty() ? lines_.erase(it) : std::next(it);
  }
}

void SimPmem::inject(std::uint64_t nth, bool persistent) { fault_ = Fault{nth, persistent}; }

void SimPmem::clear_faults() {
  fault_.reset();
  has_faulted_ = false;
}

std::vector<UnsettledLine> SimPmem::unsettled() const {
  std::vector<UnsettledLine> result;
  for (const auto& [number, line] : lines_) {
    UnsettledLine unsettled_line{number, {line_at(durable_, number)}};
    for (const LineBytes& version : line.versions) {
      auto& kept = unsettled_line.versions;
      const auto same = std::find(kept.begin(), kept.end(), version);
      if (same == kept.end()) {
        kept.push_back(version);
      } else if (same != kept.begin()) {
        std::rotate(same, same + 1, kept.end());  // the newest stays the last
      }
    }
    if (unsettled_line.versions.size() > 1) result.push_back(std::move(unsettled_line));
  }
  return result;
}

}  // namespace wc::sim
