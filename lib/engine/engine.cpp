// SPDX-License-Identifier: LGPL-2.1-or-later
// Engine: takes requests in, drives the state machines, reaps the ports.
#include "writecache/engine.hpp"

#include <utility>

#include "engine/impl.hpp"
#include "store/pmem_store.hpp"
#include "store/ssd_store.hpp"

namespace wc {

using engine::Operation;
using engine::Queue;

namespace {

constexpr unsigned kTurnsAtOnceMax = 16;

}  // namespace

Engine::Impl::Impl(const EnginePorts& ports, const EngineOptions& filled_in, const engine::Settings& settings,
                   const Geometry& geometry, Sequence seq_count)
    : options(filled_in),
      core(ports, settings, geometry, seq_count),
      cycle(core),
      reads(core),
      writes(core, cycle),
      flushes(core, cycle),
      discards(core, cycle),
      writeback(core, cycle),
      controls(core, cycle, writeback) {
  cycle.add_source(writeback);
  cycle.add_source(discards);
}

Engine::Impl::~Impl() {
  // Ports hold pointers to what is in flight. No client is told anything any more, and nothing new is started
  // but what a sync still has to write.
  core.fail({ErrorCode::cancelled, 0, 0, "the engine is gone"});
  while (io_in_flight() != 0)
    core.ports.io->poll(Wait::for_one);
}

std::optional<Error> Engine::Impl::refusal_of(const Request& request) const {
  const auto invalid = [&](const char* what) {
    return Error{ErrorCode::invalid_argument, 0, request.offset_bytes, what};
  };
  if (request.kind == RequestKind::flush) return std::nullopt;
  const std::uint64_t length =
      request.kind == RequestKind::discard ? request.length_bytes : std::uint64_t{request.memory.size()};
  if (request.offset_bytes % kSectorBytes != 0 || length % kSectorBytes != 0) return invalid("not in whole sectors");
  if (request.offset_bytes > core.size_bytes || length > core.size_bytes - request.offset_bytes) {
    return invalid("beyond the end of the device");
  }
  if (request.kind != RequestKind::read && core.settings.is_read_only) {
    return Error{ErrorCode::permission, 0, request.offset_bytes, "the view is read-only"};
  }
  return std::nullopt;
}

void Engine::Impl::accept(Request& request) {
  Operation& operation = core.operations.take();
  operation = {};
  operation.request = &request;
  if (const auto refusal = refusal_of(request)) {
    core.finish(operation, *refusal);
    return;
  }
  const bool is_discard = request.kind == RequestKind::discard;
  const std::uint64_t length = is_discard ? request.length_bytes : std::uint64_t{request.memory.size()};
  const std::uint64_t end = request.offset_bytes + length;
  // A discard takes the whole blocks inside its range, everything else what it touches.
  const std::uint64_t shrink = is_discard ? core.block_bytes() - 1 : 0;
  operation.first_block = core.block_of(request.offset_bytes + shrink);
  operation.end_block = core.block_of(end + (is_discard ? 0 : core.block_bytes() - 1));
  operation.is_exclusive = request.kind != RequestKind::read;
  if (request.kind != RequestKind::flush) {
    if (length == 0 || operation.first_block >= operation.end_block) {
      core.finish(operation, {});
      return;
    }
    core.blocks.table().prefetch(core.sector_of(operation.first_block));
    if (!core.range_lock.enter(operation)) return;
  }
  core.ready.push(operation);
}

void Engine::Impl::start_incoming() {
  if (!can_start_incoming()) return;
  Queue<Request> requests = incoming.take_all();
  while (Request* request = requests.pop())
    accept(*request);
}

/// Runs what can go on, and what mapped memory did for it.
void Engine::Impl::run_ready() {
  do {
    while (Operation* operation = core.ready.pop())
      run(*operation);
  } while (core.transfers.run_local() != 0);
}

void Engine::Impl::run(Operation& operation) {
  if (const Operation* const next = core.ready.front(); next != nullptr)
    core.blocks.table().prefetch_entry(core.sector_of(next->first_block));
  switch (operation.request->kind) {
    case RequestKind::read:
      reads.run(operation);
      break;
    case RequestKind::write:
      writes.run(operation);
      break;
    case RequestKind::flush:
      flushes.run(operation);
      break;
    case RequestKind::discard:
      discards.run(operation);
      break;
  }
}

/// Freed blocks that nobody reads any more go to those who wait for one.
bool Engine::Impl::hand_out_freed() {
  if (!core.blocks.release(core.transfers.oldest_ticket())) {
    if (!core.free_waiters.empty() && core.blocks.has_marked()) cycle.want_frees();
    return false;
  }
  Queue<Operation> waiters = core.free_waiters.take_all();
  while (Operation* operation = waiters.pop())
    core.ready.push(*operation);
  discards.retry();
  return true;
}

void Engine::Impl::release_all_waiters() {
  Queue<Operation> waiters = core.free_waiters.take_all();
  while (Operation* operation = waiters.pop())
    core.ready.push(*operation);
  discards.release_waiters();
  cycle.release_waiters();
}

/// Who sets a goal stands before who reaches for it, so that nothing is left to do when nothing has happened.
bool Engine::Impl::run_machines() {
  bool any = writes.run_timer();
  any = controls.advance() || any;
  any = hand_out_freed() || any;
  if (!controls.is_suspended()) any = writeback.advance() || any;
  return cycle.advance() || any;
}

/// Requests that were held by a suspension that nobody ends.
void Engine::Impl::refuse_incoming() {
  Queue<Request> requests = incoming.take_all();
  while (Request* request = requests.pop())
    request->on_done(*request, Error{ErrorCode::cancelled, 0, request->offset_bytes, "the engine is closed"});
}

void Engine::Impl::pump() {
  bool any = true;
  while (any) {
    start_incoming();
    run_ready();
    any = store ? run_machines() : controls.advance();
    if (core.error) release_all_waiters();
    any = any || !core.ready.empty() || core.transfers.has_local() || can_start_incoming();
  }
}

std::size_t Engine::Impl::step(Wait wait) {
  core.completed = 0;
  core.now_ns = core.ports.clock->now_ns();
  pump();
  if (wait == Wait::for_one && core.completed != 0) wait = Wait::no;
  // A client's thread goes on until something of a client is done, but does not write back half the cache.
  const unsigned turns_max = wait == Wait::at_once ? kTurnsAtOnceMax : 1;
  for (unsigned turn = 0; turn < turns_max && io_in_flight() != 0; ++turn) {
    if (wait == Wait::at_once && core.completed != 0) break;
    const std::size_t finished = core.ports.io->poll(wait);
    core.now_ns = core.ports.clock->now_ns();
    pump();
    if (finished == 0) break;
  }
  return core.completed;
}

Engine::Engine(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Engine::~Engine() = default;

void Engine::announce(const Request& request) const noexcept {
  const engine::Core& core = impl_->core;
  if (request.offset_bytes < core.size_bytes)
    core.blocks.table().prefetch(core.sector_of(core.block_of(request.offset_bytes)));
}

void Engine::submit(Request& request) noexcept { impl_->incoming.push(request); }
void Engine::submit(Control& control) noexcept { impl_->controls.submit(control); }

std::size_t Engine::step(Wait wait) { return impl_->step(wait); }

std::optional<std::uint64_t> Engine::next_deadline_ns() const noexcept {
  if (impl_->core.error || impl_->core.settings.is_read_only || impl_->controls.is_suspended()) return std::nullopt;
  const auto commit = impl_->writes.autocommit_deadline_ns();
  const auto writeback = impl_->writeback.deadline_ns();
  if (!commit || !writeback) return commit ? commit : writeback;
  return std::min(*commit, *writeback);
}

bool Engine::has_io_in_flight() const noexcept { return impl_->io_in_flight() != 0; }

bool Engine::is_busy() const noexcept {
  return !impl_->incoming.empty() || impl_->core.operations.taken() != 0 || impl_->controls.is_busy();
}

std::uint64_t Engine::size_bytes() const noexcept { return impl_->core.size_bytes; }
const EngineOptions& Engine::options() const noexcept { return impl_->options; }
const Geometry& Engine::geometry() const noexcept { return impl_->core.geometry; }

EngineStatus Engine::status() const noexcept {
  const engine::Core& core = impl_->core;
  EngineStatus status = core.stats;
  status.error = core.error ? 1 : 0;
  status.n_blocks = core.geometry.n_blocks;
  status.free = core.blocks.unused();
  status.writeback = core.blocks.in_writeback();
  return status;
}

EngineDetails Engine::details() const {
  const engine::Core& core = impl_->core;
  EngineDetails details;
  details.uncommitted = core.blocks.uncommitted_total();
  details.seq_count = core.blocks.seq_count();
  details.is_cleaner = core.settings.is_cleaner;
  details.is_suspended = impl_->controls.is_suspended();
  details.is_draining = impl_->writeback.is_draining();
  details.first_error = core.error;
  return details;
}

Result<void> Engine::close() {
  std::optional<Result<void>> outcome;
  Control suspend;
  suspend.kind = ControlKind::suspend;
  suspend.owner = &outcome;
  suspend.on_done = [](Control& control, Result<void> result) {
    *static_cast<std::optional<Result<void>>*>(control.owner) = std::move(result);
  };
  submit(suspend);
  while (!outcome)
    impl_->step(Wait::for_one);
  impl_->refuse_incoming();
  return *outcome;
}

}  // namespace wc
