// SPDX-License-Identifier: LGPL-2.1-or-later
// EngineLoad: a handful of slots, each with one request at a time.
#include "sim/engine_load.hpp"

#include <algorithm>
#include <cstdlib>

namespace wc::sim {

struct EngineLoad::Slot {
  Request request;
  std::byte* memory = nullptr;
  EngineLoad* load = nullptr;
  bool is_busy = false;
  std::uint64_t token = 0;  ///< of a flush; of a read: the last change before it
  EngineOracle::Id change = 0;
};

EngineLoad::EngineLoad(Engine& engine, EngineOracle& oracle, SimClock& clock, const LoadOptions& options)
    : engine_(engine), oracle_(oracle), clock_(clock), options_(options), random_(options.seed) {
  const std::size_t bytes = (options.max_blocks + 1) * std::size_t{engine.options().block_bytes};
  for (unsigned i = 0; i < options.depth; ++i) {
    slots_.push_back(std::make_unique<Slot>());
    slots_.back()->memory =
        static_cast<std::byte*>(std::aligned_alloc(kIoAlignmentBytes, round_up(bytes, kIoAlignmentBytes)));
    slots_.back()->load = this;
  }
}

EngineLoad::~EngineLoad() {
  for (const auto& slot : slots_)
    std::free(slot->memory);
}

EngineLoad::Slot* EngineLoad::free_slot() {
  for (const auto& slot : slots_) {
    if (!slot->is_busy) return slot.get();
  }
  return nullptr;
}

void EngineLoad::step() {
  // Where only a timer could go on, time passes.
  if (!engine_.has_io_in_flight()) {
    const auto deadline = engine_.next_deadline_ns();
    if (deadline && *deadline > clock_.now_ns() && random_.one_in(8)) clock_.advance_ns(*deadline - clock_.now_ns());
  }
  engine_.step(random_.one_in(3) ? Wait::no : Wait::for_one);
}

void EngineLoad::settle() {
  while (engine_.is_busy() || is_control_busy_)
    step();
}

/// A random range of the device.
void EngineLoad::place(Slot& slot) {
  const std::uint64_t block_bytes = engine_.options().block_bytes;
  const std::uint64_t device_blocks = engine_.size_bytes() / block_bytes;
  const std::uint64_t blocks =
      options_.span_blocks == 0 ? device_blocks : std::min(device_blocks, options_.span_blocks);
  const std::uint64_t count = 1 + random_.below(std::min<std::uint64_t>(options_.max_blocks, blocks));
  std::uint64_t offset = random_.below(blocks - count + 1) * block_bytes;
  std::uint64_t length = count * block_bytes;
  if (options_.partial_one_in != 0 && random_.one_in(options_.partial_one_in)) {
    const std::uint64_t cut = random_.below(sectors_of_bytes(length)) * kSectorBytes;
    offset += cut;
    length = (1 + random_.below(sectors_of_bytes(length - cut))) * kSectorBytes;
  }
  slot.request.offset_bytes = offset;
  slot.request.length_bytes = length;
}

void EngineLoad::send_random(Slot& slot) {
  Request& request = slot.request;
  request = {};
  request.owner = &slot;
  request.on_done = [](Request& done, Result<void> outcome) {
    auto& self = *static_cast<Slot*>(done.owner);
    self.load->on_done(self, outcome);
  };
  const std::uint64_t choice =
      random_.below(options_.read_weight + options_.write_weight + options_.flush_weight + options_.discard_weight);
  if (choice < options_.flush_weight) return send_flush(slot);
  place(slot);
  const std::uint64_t length = request.length_bytes;
  if (choice < options_.flush_weight + options_.read_weight) {
    request.kind = RequestKind::read;
    request.memory = {slot.memory, length};
    slot.token = oracle_.last();
  } else if (choice < options_.flush_weight + options_.read_weight + options_.write_weight) {
    request.kind = RequestKind::write;
    request.memory = {slot.memory, length};
    request.fua = options_.fua_one_in != 0 && random_.one_in(options_.fua_one_in);
    request.is_metadata = options_.metadata_one_in != 0 && random_.one_in(options_.metadata_one_in);
    slot.change = oracle_.begin_write(request.offset_bytes, request.memory);
  } else {
    request.kind = RequestKind::discard;
    slot.change = oracle_.begin_discard(request.offset_bytes, length);
  }
  slot.is_busy = true;
  engine_.submit(request);
}

void EngineLoad::send_flush(Slot& slot) {
  slot.request.kind = RequestKind::flush;
  slot.token = oracle_.begin_flush();
  slot.is_busy = true;
  engine_.submit(slot.request);
}

void EngineLoad::send_control(ControlKind kind) {
  while (is_control_busy_)
    step();
  control_ = {};
  control_.kind = kind;
  control_.owner = this;
  control_.on_done = [](Control& control, Result<void> outcome) {
    auto& self = *static_cast<EngineLoad*>(control.owner);
    self.is_control_busy_ = false;
    self.has_failed_ = self.has_failed_ || !outcome;
  };
  is_control_busy_ = true;
  engine_.submit(control_);
  if (kind != ControlKind::suspend) return;
  // Nothing but a resume could free a slot.
  while (is_control_busy_)
    step();
  send_control(ControlKind::resume);
}

void EngineLoad::on_done(Slot& slot, const Result<void>& outcome) {
  slot.is_busy = false;
  Request& request = slot.request;
  has_failed_ = has_failed_ || !outcome;
  switch (request.kind) {
    case RequestKind::read:
      // A disk that fails a flush may lose what it had: reads of it prove nothing any more.
      if (outcome && violation_.empty() && engine_.status().error == 0) {
        violation_ = oracle_.check_read(request.offset_bytes, request.memory, slot.token, has_faulted_());
      }
      break;
    case RequestKind::write:
    case RequestKind::discard:
      if (outcome) {
        oracle_.acknowledge(slot.change, request.fua);
      } else {
        oracle_.fail(slot.change);
      }
      break;
    case RequestKind::flush:
      if (outcome) oracle_.end_flush(slot.token);
      break;
  }
}

/// Lets time pass as a program does that waits for I/O and timers alone.
void EngineLoad::idle() {
  constexpr std::uint64_t kNsPerMs = 1'000'000;
  constexpr unsigned kIdleStepsMax = 10'000;
  const std::uint64_t end_ns = clock_.now_ns() + random_.below(options_.idle_ms_max * kNsPerMs + 1);
  unsigned steps_at_once = 0;
  while (clock_.now_ns() < end_ns) {
    if (engine_.has_io_in_flight()) {
      engine_.step(Wait::for_one);
      continue;
    }
    const std::uint64_t next_ns = std::min(engine_.next_deadline_ns().value_or(end_ns), end_ns);
    if (next_ns > clock_.now_ns()) {
      clock_.advance_ns(next_ns - clock_.now_ns());
      steps_at_once = 0;
    } else if (++steps_at_once > kIdleStepsMax) {
      violation_ = "an idle engine asks to be called again and again";
      has_failed_ = true;
      return;
    }
    engine_.step(Wait::no);
  }
}

bool EngineLoad::run(bool flushes_at_end) {
  send_all();
  settle();
  if (flushes_at_end && !has_failed_) {
    Slot& slot = *slots_.front();
    slot.request = {};
    slot.request.owner = &slot;
    slot.request.on_done = [](Request& done, Result<void> outcome) {
      auto& self = *static_cast<Slot*>(done.owner);
      self.load->on_done(self, outcome);
    };
    send_flush(slot);
    settle();
  }
  return !has_failed_;
}

bool EngineLoad::send_all() {
  const std::size_t every = options_.requests / (options_.controls.size() + 1) + 1;
  std::size_t controls_sent = 0;
  for (unsigned sent = 0; sent < options_.requests && !has_failed_; ++sent) {
    if (options_.pause_one_in != 0 && random_.one_in(options_.pause_one_in)) settle();
    if (options_.idle_one_in != 0 && random_.one_in(options_.idle_one_in)) idle();
    if (sent != 0 && sent % every == 0 && controls_sent < options_.controls.size()) {
      send_control(options_.controls[controls_sent++]);
    }
    Slot* slot = free_slot();
    for (; slot == nullptr; slot = free_slot())
      step();
    send_random(*slot);
    if (random_.one_in(2)) step();
  }
  while (controls_sent < options_.controls.size() && !has_failed_)
    send_control(options_.controls[controls_sent++]);
  return !has_failed_;
}

}  // namespace wc::sim
