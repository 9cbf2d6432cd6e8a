// SPDX-License-Identifier: LGPL-2.1-or-later
// The undo log in memory: what of it survives a power cut, and how it fails.
#include "sim/memory_undo_log.hpp"

#include <algorithm>
#include <cerrno>

namespace wc::sim {

MemoryUndoLog::MemoryUndoLog(Bytes content, std::uint64_t seed, SimPower& power)
    : durable_(std::move(content)), content_(durable_), kept_(durable_.size()), random_(seed), power_(power) {}

std::optional<Error> MemoryUndoLog::fault_of(UndoCall call) {
  if (!power_.is_on()) return Error{ErrorCode::io, EIO, 0, "the power is off"};
  const auto number = calls_[static_cast<std::size_t>(call)]++;
  for (const auto& fault : faults_) {
    if (fault.call != call) continue;
    if (number == fault.nth || (fault.persistent && number > fault.nth)) {
      has_faulted_ = true;
      const auto code = fault.os_errno == ENOSPC ? ErrorCode::no_space : ErrorCode::io;
      return Error{code, fault.os_errno, 0, "injected fault of the undo log"};
    }
  }
  return std::nullopt;
}

Result<std::uint64_t> MemoryUndoLog::size_bytes() {
  if (!power_.is_on()) return Error{ErrorCode::io, EIO, 0, "the power is off"};
  return std::uint64_t{content_.size()};
}

Result<void> MemoryUndoLog::read(std::uint64_t offset_bytes, std::span<std::byte> memory) {
  if (auto error = fault_of(UndoCall::read)) return *error;
  if (offset_bytes > content_.size() || memory.size() > content_.size() - offset_bytes) {
    return Error{ErrorCode::io, 0, offset_bytes, "beyond the end of the undo log"};
  }
  std::copy_n(content_.begin() + static_cast<std::ptrdiff_t>(offset_bytes), memory.size(), memory.begin());
  return {};
}

Result<void> MemoryUndoLog::append(std::span<const std::byte> data) {
  power_.tick();
  const auto error = fault_of(UndoCall::append);
  if (!power_.is_on()) return *error;
  if (error) data = data.first(random_.below(data.size()));
  content_.insert(content_.end(), data.begin(), data.end());
  power_.note_change();
  power_.tick();
  if (error) return *error;
  return {};
}

Result<void> MemoryUndoLog::truncate(std::uint64_t size_bytes) {
  power_.tick();
  if (auto error = fault_of(UndoCall::truncate)) return *error;
  if (size_bytes > content_.size()) {
    return Error{ErrorCode::invalid_argument, 0, size_bytes, "beyond the end of the undo log"};
  }
  content_.resize(size_bytes);
  kept_ = std::min(kept_, content_.size());
  power_.note_change();
  power_.tick();
  return {};
}

Result<void> MemoryUndoLog::sync() {
  power_.tick();
  if (auto error = fault_of(UndoCall::sync)) {
    if (power_.is_on()) has_failed_sync_ = true;
    return *error;
  }
  if (!has_failed_sync_) {
    durable_ = content_;
    kept_ = content_.size();
  }
  power_.note_change();
  power_.tick();
  return {};
}

std::vector<Bytes> MemoryUndoLog::crash_versions(std::uint64_t seed) const {
  std::vector<Bytes> versions{durable_};
  const auto add = [&](std::size_t size) {
    Bytes version(content_.begin(), content_.begin() + static_cast<std::ptrdiff_t>(size));
    if (std::find(versions.begin(), versions.end(), version) == versions.end()) {
      versions.push_back(std::move(version));
    }
  };
  add(content_.size());
  add(kept_);
  const auto open = content_.size() - kept_;
  if (open > 0) {
    Random random(seed);
    add(kept_ + 1);
    add(content_.size() - 1);
    add(kept_ + random.below(open));
    add(kept_ + random.below(open) / 512 * 512);
  }
  return versions;
}

}  // namespace wc::sim
