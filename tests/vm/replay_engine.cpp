// SPDX-License-Identifier: LGPL-2.1-or-later
// Sends a script to our engine on image files, with the ports of production, and notes the status line after each step.
//
// usage: replay_engine TABLE_LINE SCRIPT RESULT
// The table line is the driver's, with the images' paths. Time is the script's own; everything else is as in wc-run.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <memory>
#include <optional>
#include <vector>

#include "common/table_line.hpp"
#include "script.hpp"
#include "wc-run/server_settings.hpp"
#include "writecache/device.hpp"
#include "writecache/engine.hpp"

namespace {

using namespace wc;
using wc::vm::Step;

constexpr std::uint64_t kNsPerMs = 1'000'000;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "replay_engine: %s\n", what.c_str());
  std::exit(1);
}

template <class T>
T checked(Result<T> result, const std::string& what) {
  if (!result) fail(what + ": " + result.error().message());
  return std::move(*result);
}

/// Time passes only when the script says so.
class ScriptClock final : public Clock {
 public:
  std::uint64_t now_ns() noexcept override { return now_ns_; }
  void sleep_ns(std::uint64_t duration_ns) override { now_ns_ += duration_ns; }

 private:
  std::uint64_t now_ns_ = 1'000'000'000;
};

/// Keeps back what goes to the origin while it is told to, as a suspended device does.
class HoldingPort final : public IoPort {
 public:
  explicit HoldingPort(IoPort& port) : port_(port) {}

  DeviceInfo info(DeviceId device) const noexcept override { return port_.info(device); }
  void submit(IoOp& op) noexcept override {
    if (is_holding_ && op.device == DeviceId::origin) {
      held_.push_back(&op);
    } else {
      pass(op);
    }
  }
  std::size_t poll(Wait wait) override {
    const std::size_t done = port_.poll(wait);
    in_flight_ -= done;
    return done;
  }

  void hold() noexcept { is_holding_ = true; }
  void release() {
    is_holding_ = false;
    for (IoOp* const op : held_)
      pass(*op);
    held_.clear();
  }
  bool is_holding() const noexcept { return is_holding_; }
  std::size_t in_flight() const noexcept { return in_flight_; }

 private:
  void pass(IoOp& op) noexcept {
    ++in_flight_;
    port_.submit(op);
  }
  IoPort& port_;
  bool is_holding_ = false;
  std::deque<IoOp*> held_;
  std::size_t in_flight_ = 0;
};

/// One step under way: a request, or a write with FUA and the flush that the block layer sends behind it, or a message.
struct Job {
  struct FreeMemory {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  Step step;
  Engine* engine = nullptr;
  std::size_t block_bytes = 0;
  std::unique_ptr<std::byte, FreeMemory> memory;
  Request request;
  Control control;
  bool is_done = false;
  std::uint64_t digests = 0;
};

void on_request_done(Request& request, Result<void> outcome) {
  auto& job = *static_cast<Job*>(request.owner);
  if (!outcome) fail(job.step.verb + ": " + outcome.error().message());
  if (job.step.verb == "fua" && request.kind == RequestKind::write) {
    request = {};
    request.kind = RequestKind::flush;
    request.owner = &job;
    request.on_done = on_request_done;
    job.engine->submit(request);
    return;
  }
  for (std::uint64_t i = 0; job.step.verb == "read" && i < job.step.count; ++i) {
    const std::span block(job.memory.get() + i * job.block_bytes, job.block_bytes);
    job.digests += wc::vm::digest(block, job.step.block + i);
  }
  job.is_done = true;
}

void on_control_done(Control& control, Result<void> outcome) {
  auto& job = *static_cast<Job*>(control.owner);
  if (!outcome) fail(job.step.verb + ": " + outcome.error().message());
  job.is_done = true;
}

std::optional<ControlKind> control_of(const Step& step) {
  if (step.verb == "suspend") return ControlKind::suspend;
  if (step.verb == "resume") return ControlKind::resume;
  if (step.word == "flush") return ControlKind::flush;
  if (step.word == "flush_on_suspend") return ControlKind::flush_on_suspend;
  if (step.word == "cleaner") return ControlKind::cleaner;
  if (step.word == "clear_stats") return ControlKind::clear_stats;
  return std::nullopt;
}

class Replay {
 public:
  Replay(Devices& devices, const EngineOptions& options)
      : port_(devices.port()), medium_(devices.cache_path(), std::ios::binary) {
    engine_ = checked(Engine::open({&port_, devices.pmem(), &clock_}, options), "open");
  }

  void run(const Step& step) {
    if (step.verb == "wait") {
      pass_time(step.block * kNsPerMs);
    } else if (step.verb == "hold") {
      port_.hold();
    } else if (step.verb == "release") {
      port_.release();
    } else {
      start(step);
    }
    settle();
  }
  std::string line() {
    const EngineStatus s = engine_->status();
    const std::uint64_t numbers[] = {s.error,
                                     s.n_blocks,
                                     s.free,
                                     s.writeback,
                                     s.reads,
                                     s.read_hits,
                                     s.writes,
                                     s.write_hits_uncommitted,
                                     s.write_hits_committed,
                                     s.writes_around,
                                     s.writes_allocated,
                                     s.writes_blocked_on_freelist,
                                     s.flushes,
                                     s.discards};
    return wc::vm::result_line(numbers, commits(), jobs_.size(), digests_);
  }
  void close() {
    if (auto closed = engine_->close(); !closed) fail("close: " + closed.error().message());
  }

 private:
  void start(const Step& step) {
    auto job = std::make_unique<Job>();
    job->step = step;
    job->engine = engine_.get();
    job->block_bytes = engine_->options().block_bytes;
    if (const auto kind = control_of(step)) {
      job->control.kind = *kind;
      job->control.owner = job.get();
      job->control.on_done = on_control_done;
      engine_->submit(job->control);
    } else {
      fill(*job);
      engine_->submit(job->request);
    }
    jobs_.push_back(std::move(job));
  }
  void fill(Job& job) {
    const Step& step = job.step;
    Request& request = job.request;
    const std::size_t bytes = step.count * job.block_bytes;
    request.owner = &job;
    request.on_done = on_request_done;
    request.offset_bytes = step.block * job.block_bytes;
    request.fua = step.verb == "fua";
    request.kind = step.verb == "flush"     ? RequestKind::flush
                   : step.verb == "discard" ? RequestKind::discard
                   : step.verb == "read"    ? RequestKind::read
                                            : RequestKind::write;
    if (request.kind == RequestKind::discard) request.length_bytes = bytes;
    if (request.kind != RequestKind::read && request.kind != RequestKind::write) return;
    job.memory.reset(
        static_cast<std::byte*>(std::aligned_alloc(kIoAlignmentBytes, round_up(bytes, kIoAlignmentBytes))));
    request.memory = {job.memory.get(), bytes};
    for (std::uint64_t i = 0; request.kind == RequestKind::write && i < step.count; ++i)
      wc::vm::fill_block(request.memory.subspan(i * job.block_bytes, job.block_bytes), step.tag, step.block + i);
  }
  /// Until nothing happens by itself any more.
  void settle() {
    std::size_t done = 0;
    do {
      done = engine_->step(port_.in_flight() != 0 ? Wait::for_one : Wait::no);
      std::erase_if(jobs_, [&](const std::unique_ptr<Job>& job) {
        if (job->is_done) digests_ += job->digests;
        return job->is_done;
      });
    } while (done != 0 || port_.in_flight() != 0);
    if (!jobs_.empty() && !port_.is_holding()) {
      fail("nothing goes on, but this is unfinished: " + jobs_.front()->step.verb + " " + jobs_.front()->step.word);
    }
  }
  void pass_time(std::uint64_t duration_ns) {
    const std::uint64_t end_ns = clock_.now_ns() + duration_ns;
    while (const auto deadline_ns = engine_->next_deadline_ns()) {
      if (*deadline_ns > end_ns) break;
      if (*deadline_ns > clock_.now_ns()) clock_.sleep_ns(*deadline_ns - clock_.now_ns());
      settle();
    }
    clock_.sleep_ns(end_ns - clock_.now_ns());
  }

  /// On the medium, whatever the engine says.
  std::uint64_t commits() {
    std::array<char, kSuperblockBytes> superblock{};
    medium_.sync();
    medium_.seekg(0).read(superblock.data(), superblock.size());
    if (!medium_) fail("superblock");
    return wc::vm::commits_of(std::as_bytes(std::span(superblock)));
  }

  HoldingPort port_;
  std::ifstream medium_;
  ScriptClock clock_;
  std::unique_ptr<Engine> engine_;
  std::vector<std::unique_ptr<Job>> jobs_;
  std::uint64_t digests_ = 0;
};

tools::ServerSettings settings_of(const std::string& table_line) {
  tools::ServerSettings settings;
  for (const auto& [name, text] : checked(tools::parse_table_line(table_line), "table line")) {
    if (const auto problem = settings.set(name, text)) fail(name + ": " + *problem);
  }
  if (const auto problem = settings.contradiction(*settings.type)) fail(*problem);
  return settings;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) {
    std::fputs("replay_engine TABLE_LINE SCRIPT RESULT\n", stderr);
    return 16;
  }
  const tools::ServerSettings settings = settings_of(arguments[1]);
  const std::vector<Step> steps = wc::vm::read_script(arguments[2]);
  std::ofstream result(arguments[3]);
  OpenOptions open_options;
  open_options.cache = {settings.cache, settings.start_sector, Access::write_exclusive};
  open_options.origin = DeviceSpec{settings.origin, 0, Access::write_exclusive};
  open_options.maps_cache = *settings.type == CacheType::pmem;
  const auto devices = checked(open_devices(open_options), "devices");
  Replay replay(*devices, settings.engine_options(*settings.type, *settings.block_bytes));
  for (const Step& step : steps) {
    replay.run(step);
    result << replay.line() << std::endl;
  }
  replay.close();
  if (!result.flush()) fail(arguments[3]);
  return 0;
}
