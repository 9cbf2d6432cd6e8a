// SPDX-License-Identifier: LGPL-2.1-or-later
// Operation: one request of a client while the engine works on it.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/transfer.hpp"
#include "writecache/engine.hpp"

namespace wc::engine {

/// Where an operation stands. Each kind uses some of these, in this order.
enum class Stage : std::uint8_t {
  begin,
  fetch,    ///< blocks that are written in part are being read
  issue,    ///< transfers are being submitted
  settle,   ///< none is left to submit, some are in flight
  commit,   ///< waiting for a cycle of the commit
  pass_on,  ///< the origin's own flush or discard is in flight
};

struct Operation {
  Request* request = nullptr;
  Operation* next = nullptr;  ///< in the queue of those that are ready or wait

  // The blocks that the range lock holds for it; none for a flush.
  std::uint64_t first_block = 0;
  std::uint64_t end_block = 0;
  bool is_exclusive = false;
  bool is_locked = false;
  Operation* lock_previous = nullptr;
  Operation* lock_following = nullptr;
  Operation* blocked_by = nullptr;

  Stage stage = Stage::begin;
  bool is_waiting = false;      ///< in a queue of waiters: transfers that finish do not make it ready
  bool has_cached = false;      ///< something of it was written to the cache
  std::uint32_t in_flight = 0;  ///< transfers
  std::uint64_t position = 0;   ///< reads: the next byte; writes: the next block
  std::uint64_t cycle_target = 0;
  Buffer* head = nullptr;  ///< first block where it is written in part
  Buffer* tail = nullptr;  ///< last block, likewise
  std::optional<Error> error;
};

}  // namespace wc::engine
