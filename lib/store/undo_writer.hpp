// SPDX-License-Identifier: LGPL-2.1-or-later
// UndoWriter: saves bytes of the cache device in an UndoLog before they are overwritten; doc/undo-format.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "writecache/port.hpp"
#include "writecache/undo.hpp"
#include "writecache/units.hpp"

namespace wc::store {

/// What a record of the log holds.
enum class UndoKind : std::uint32_t {
  overwritten = 1,  ///< bytes that stood at `offset_bytes` of the window before a write
  data_block = 2,   ///< a data block whose entry was freed; never written back, it still stands there
  barrier = 3,      ///< what was saved before was durably overwritten before what follows
};

/// The fixed part of a record. Units: bytes; `payload_offset_bytes` counts from the log's start.
struct UndoRecord {
  UndoKind kind = UndoKind::overwritten;
  std::uint64_t offset_bytes = 0;  ///< where on the cache's window
  std::uint64_t length_bytes = 0;
  Sector origin_sector = 0;        ///< data_block only: what its entry said
  std::uint64_t payload_offset_bytes = 0;
};

/// Appends to a log. One writer a log. After the first error every call fails with the same error: what
/// would be appended behind a torn record could not be found again.
class UndoWriter {
 public:
  /// Begins an empty log, or goes on with that of an interrupted repair, whose torn tail is dropped.
  /// Errors: invalid_argument (not an undo log, of another device, or damaged), those of the log.
  static Result<UndoWriter> open(UndoLog& log, const DeviceInfo& cache);

  Result<void> save(std::uint64_t offset_bytes, std::span<const std::byte> old_bytes);
  Result<void> save_block(std::uint64_t offset_bytes, Sector origin_sector,
                          std::span<const std::byte> data);
  /// Call after the device was flushed and before the next save.
  Result<void> barrier();
  /// Makes everything saved so far durable. Must succeed before anything saved is overwritten.
  Result<void> sync();

 private:
  UndoWriter(UndoLog& log, std::uint64_t previous_bytes, std::uint64_t end_bytes)
      : log_(&log), previous_bytes_(previous_bytes), end_bytes_(end_bytes) {}
  Result<void> append(const UndoRecord& record, std::span<const std::byte> payload);
  Result<void> remember(Result<void> outcome);

  UndoLog* log_;
  std::uint64_t previous_bytes_;  ///< where the last record begins, 0 for none
  std::uint64_t end_bytes_;
  std::optional<Error> failure_;
};

/// Calls `visit` for every whole record, the newest first, in constant memory.
/// Errors: invalid_argument (not an undo log, of another device, or damaged), those of log and visitor.
Result<void> visit_undo_backwards(UndoLog& log, const DeviceInfo& cache,
                                  const std::function<Result<void>(const UndoRecord&)>& visit);

}  // namespace wc::store
