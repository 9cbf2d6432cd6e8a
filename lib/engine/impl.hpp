// SPDX-License-Identifier: LGPL-2.1-or-later
// Engine::Impl: the parts of a live cache, and the loop that drives them.
#pragma once

#include <memory>

#include "engine/commit_cycle.hpp"
#include "engine/control_op.hpp"
#include "engine/core.hpp"
#include "engine/discard_op.hpp"
#include "engine/flush_op.hpp"
#include "engine/read_op.hpp"
#include "engine/write_op.hpp"
#include "engine/writeback_op.hpp"
#include "writecache/engine.hpp"

namespace wc {

struct Engine::Impl {
  Impl(const EnginePorts& ports, const EngineOptions& filled_in, const engine::Settings& settings,
       const Geometry& geometry, Sequence seq_count);
  ~Impl();

  /// Everything that can go on without waiting goes on.
  void pump();
  std::size_t step(Wait wait);
  void accept(Request& request);
  void refuse_incoming();
  std::size_t io_in_flight() const noexcept { return core.transfers.in_flight() + (store ? store->in_flight() : 0); }

  EngineOptions options;
  engine::Core core;
  std::unique_ptr<store::CacheStore> store;  ///< null: read-only
  engine::CommitCycle cycle;
  engine::Reads reads;
  engine::Writes writes;
  engine::Flushes flushes;
  engine::Discards discards;
  engine::Writeback writeback;
  engine::Controls controls;
  engine::Queue<Request> incoming;

 private:
  bool can_start_incoming() const noexcept { return !incoming.empty() && !controls.holds_requests(); }
  void start_incoming();
  void run_ready();
  void run(engine::Operation& operation);
  bool hand_out_freed();
  void release_all_waiters();
  bool run_machines();
  std::optional<Error> refusal_of(const Request& request) const;
};

}  // namespace wc
