// SPDX-License-Identifier: LGPL-2.1-or-later
// EngineLoad: a client of an engine that sends seeded requests and checks every answer against an oracle.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/engine_oracle.hpp"
#include "sim/random.hpp"
#include "sim/sim_clock.hpp"
#include "writecache/engine.hpp"

namespace wc::sim {

/// What is sent. Weights are relative; 0 never.
struct LoadOptions {
  std::uint64_t seed = 1;
  unsigned requests = 40;
  unsigned depth = 4;             ///< requests in flight
  unsigned max_blocks = 4;        ///< of one request
  std::uint64_t span_blocks = 0;  ///< of the device that is used, 0: all
  unsigned read_weight = 4;
  unsigned write_weight = 8;
  unsigned flush_weight = 2;
  unsigned discard_weight = 0;
  unsigned fua_one_in = 0;            ///< of writes
  unsigned metadata_one_in = 0;       ///< of writes
  unsigned partial_one_in = 0;        ///< of reads and writes: not aligned to blocks
  unsigned pause_one_in = 0;          ///< between requests: until nothing is in flight and timers have run
  unsigned idle_one_in = 0;           ///< between requests: nothing is sent for a while
  std::uint64_t idle_ms_max = 0;      ///< how long at most
  std::vector<ControlKind> controls;  ///< sent between the requests, evenly
};

class EngineLoad {
 public:
  EngineLoad(Engine& engine, EngineOracle& oracle, SimClock& clock, const LoadOptions& options);
  ~EngineLoad();

  /// Tells whether a device has failed: then reads may show what was there before.
  void set_fault_probe(std::function<bool()> probe) { has_faulted_ = std::move(probe); }

  /// Runs all requests and, if asked to, a flush at the end. False if a request failed.
  bool run(bool flushes_at_end);
  /// Sends all requests and leaves the last ones in flight, for a power cut: the engine must go before the load does.
  bool send_all();
  /// What a request may not have answered; empty if all is well.
  const std::string& violation() const noexcept { return violation_; }

 private:
  struct Slot;
  void send_random(Slot& slot);
  void send_flush(Slot& slot);
  void send_control(ControlKind kind);
  void place(Slot& slot);
  void on_done(Slot& slot, const Result<void>& outcome);
  Slot* free_slot();
  void step();
  void settle();
  void idle();

  Engine& engine_;
  EngineOracle& oracle_;
  SimClock& clock_;
  LoadOptions options_;
  Random random_;
  std::vector<std::unique_ptr<Slot>> slots_;
  Control control_;
  bool is_control_busy_ = false;
  bool has_failed_ = false;
  std::function<bool()> has_faulted_ = [] { return false; };
  std::string violation_;
};

}  // namespace wc::sim
