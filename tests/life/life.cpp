// SPDX-License-Identifier: LGPL-2.1-or-later
// Life: chapters of chosen options and loads, what must hold at the end of each.
#include "life.hpp"

#include <array>
#include <cerrno>
#include <memory>

#include "sim/engine_load.hpp"
#include "sim/engine_oracle.hpp"
#include "sim/flush_dropping_port.hpp"
#include "sim/image_builder.hpp"
#include "sim/oracle.hpp"
#include "writecache/check.hpp"
#include "writecache/drain.hpp"

namespace wc::life {
namespace {

constexpr std::uint64_t kNsPerMs = 1'000'000;

sim::MachineImage first_image(sim::Random& random, std::uint32_t block_bytes) {
  const std::uint64_t cache_blocks = 2 + random.below(60);
  const std::uint64_t origin_blocks = 8 + random.below(90);
  const Sector spare_sectors = random.one_in(4) ? random.below(block_bytes / kSectorBytes) : 0;
  const Sector block_sectors = origin_blocks * (block_bytes / kSectorBytes);
  const auto cache = sim::random_image(
      random, {.block_bytes = block_bytes, .n_blocks = cache_blocks, .origin_sectors = block_sectors});
  return {cache.build(), sim::make_origin(block_sectors + spare_sectors), {}};
}

sim::LoadOptions choose_load(sim::Random& random, std::uint64_t seed) {
  sim::LoadOptions load;
  load.seed = seed;
  load.requests = 100 + static_cast<unsigned>(random.below(900));
  load.depth = 1 + static_cast<unsigned>(random.below(random.one_in(4) ? 40 : 8));
  load.max_blocks = 1 + static_cast<unsigned>(random.below(6));
  load.span_blocks = random.one_in(3) ? 1 + random.below(12) : 0;
  load.flush_weight = static_cast<unsigned>(random.below(5));
  load.discard_weight = static_cast<unsigned>(random.below(3));
  load.fua_one_in = static_cast<unsigned>(random.below(9));
  load.metadata_one_in = static_cast<unsigned>(random.below(4));
  load.partial_one_in = static_cast<unsigned>(random.below(6));
  load.pause_one_in = random.one_in(2) ? 60 : 0;
  load.idle_one_in = 20;
  load.idle_ms_max = 20'000;
  static constexpr std::array kKinds{ControlKind::flush, ControlKind::flush_on_suspend, ControlKind::suspend,
                                     ControlKind::clear_stats, ControlKind::suspend};
  for (std::uint64_t count = random.below(4); count != 0; --count)
    load.controls.push_back(kKinds[random.below(kKinds.size())]);
  if (random.one_in(8)) load.controls.push_back(ControlKind::cleaner);
  return load;
}

}  // namespace

LifeNumbers& LifeNumbers::operator+=(const LifeNumbers& other) {
  chapters += other.chapters;
  requests += other.requests;
  simulated_ms += other.simulated_ms;
  closed += other.closed;
  cut += other.cut;
  failed += other.failed;
  drained += other.drained;
  return *this;
}

Life::Life(const LifeOptions& options) : options_(options), random_(options.seed) {
  static constexpr std::array<std::uint32_t, 3> kBlockBytes{512, 1024, 4096};
  block_bytes_ = kBlockBytes[random_.below(kBlockBytes.size())];
  image_ = first_image(random_, block_bytes_);
}

std::string Life::run() {
  while (numbers_.simulated_ms < options_.simulated_ms) {
    ++numbers_.chapters;
    auto wrong = run_chapter();
    if (wrong.empty() && random_.one_in(10)) wrong = drain_offline();
    if (!wrong.empty()) return "chapter " + std::to_string(numbers_.chapters) + ": " + wrong;
  }
  return {};
}

EngineOptions Life::choose_options() {
  EngineOptions options;
  // The media are the same: one type takes over from the other.
  options.type = random_.one_in(2) ? CacheType::pmem : CacheType::ssd;
  options.block_bytes = block_bytes_;
  options.high_watermark_percent = static_cast<unsigned>(random_.below(101));
  options.low_watermark_percent = static_cast<unsigned>(random_.below(options.high_watermark_percent + 1));
  if (random_.one_in(2)) options.writeback_jobs = 1 + static_cast<std::uint32_t>(random_.below(8));
  if (random_.one_in(2)) options.autocommit_blocks = static_cast<std::uint32_t>(random_.below(20));
  if (random_.one_in(2)) options.autocommit_ms = static_cast<std::uint32_t>(random_.below(5000));
  if (random_.one_in(2)) options.max_age_ms = static_cast<std::uint32_t>(random_.below(30'000));
  options.metadata_only = random_.one_in(8);
  options.cleaner = random_.one_in(12);
  if (options.type == CacheType::pmem) {
    if (random_.one_in(2)) options.fua = random_.one_in(2);
  } else {
    if (random_.one_in(2)) options.pause_writeback_ms = static_cast<std::uint32_t>(random_.below(10'000));
    options.no_overwrite = random_.one_in(3);
  }
  return options;
}

/// Somewhere in the chapter one operation fails, or all from then on.
void Life::inject_fault(sim::Machine& machine) {
  static constexpr std::array kKinds{IoKind::read, IoKind::write, IoKind::flush, IoKind::discard};
  const bool is_persistent = random_.one_in(2);
  const std::uint64_t rest = random_.below(random_.one_in(2) ? 20 : 300);
  const DeviceId device = random_.one_in(2) ? DeviceId::cache : DeviceId::origin;
  const IoKind kind = kKinds[random_.below(kKinds.size())];
  if (machine.memory && device == DeviceId::cache) {
    machine.memory->inject(rest, is_persistent);
    return;
  }
  const int error = kind == IoKind::write && random_.one_in(3) ? ENOSPC : EIO;
  machine.disk.inject({device, kind, machine.disk.completed(device, kind) + rest, is_persistent, error});
}

std::string Life::run_chapter() {
  const std::uint64_t seed = random_.next();
  const EngineOptions engine_options = choose_options();
  const sim::LoadOptions load_options = choose_load(random_, seed);
  static constexpr std::array kEnds{End::close, End::cut, End::cut, End::fault};
  const End end = kEnds[random_.below(kEnds.size())];

  sim::Machine machine(std::move(image_), {.has_pmem = engine_options.type == CacheType::pmem}, seed);
  const auto start = machine.content();
  sim::EngineOracle oracle(sim::merged_content(start.cache, start.origin).origin, start.origin);
  sim::FlushDroppingPort canary(machine.disk, [this](DeviceId, std::uint64_t) { return options_.drops_flushes; });
  if (machine.memory) machine.memory->set_fence_filter([this] { return options_.drops_flushes; });
  auto opened = Engine::open({&canary, machine.pmem(), &machine.clock}, engine_options);
  if (!opened) return "the engine does not start: " + opened.error().message();
  std::unique_ptr<Engine> engine = std::move(*opened);
  if (end == End::fault) inject_fault(machine);

  const std::uint64_t start_ns = machine.clock.now_ns();
  sim::EngineLoad load(*engine, oracle, machine.clock, load_options);
  load.set_fault_probe([&machine] { return machine.has_faulted(); });
  const bool is_done = end == End::cut ? load.send_all() : load.run(true);
  numbers_.requests += load_options.requests;
  numbers_.simulated_ms += (machine.clock.now_ns() - start_ns) / kNsPerMs;
  if (!load.violation().empty()) return load.violation();
  if (!is_done && !machine.has_faulted()) return "a request failed though no device did";
  numbers_.failed += machine.has_faulted() ? 1 : 0;

  if (end == End::close) {
    ++numbers_.closed;
    if (auto closed = engine->close(); !closed) return "closing failed: " + closed.error().message();
    engine.reset();
    if (auto wrong = check_image(machine.content()); !wrong.empty()) return "closed: " + wrong;
    if (auto wrong = oracle.check_image(sim::merged_content(machine.content().cache, machine.content().origin).origin);
        !wrong.empty()) {
      return "closed: " + wrong;
    }
  } else {
    ++numbers_.cut;
    engine.reset();
  }
  const sim::CrashImages images(machine, seed);
  image_ = images.image(random_.below(images.size()));
  if (auto wrong = check_image(image_); !wrong.empty()) return "after a cut: " + wrong;
  const auto merged = sim::merged_content(image_.cache, image_.origin);
  if (auto wrong = oracle.check_image(merged.origin); !wrong.empty()) return "after a cut: " + wrong;
  return {};
}

/// wc-check finds no error, and no block lies beyond the origin.
std::string Life::check_image(const sim::MachineImage& image) const {
  const sim::Machine machine(image, {}, 1);
  auto& disk = const_cast<sim::SimDisk&>(machine.disk);
  Observer observer;
  const auto report = check(disk, {}, observer);
  if (!report) return "check fails: " + report.error().message();
  for (const auto& finding : report->findings) {
    if (finding.severity == Severity::error) return "check finds " + std::string(to_string(finding.code));
  }
  return sim::merged_content(image.cache, image.origin).other.empty() ? ""
                                                                      : "there is a block that is not on the origin";
}

/// What wc-flush does leaves the merged content on the origin, and a cache to go on with.
std::string Life::drain_offline() {
  ++numbers_.drained;
  const auto expected = sim::merged_content(image_.cache, image_.origin).origin;
  sim::Machine machine(std::move(image_), {}, random_.next());
  Observer observer;
  const auto report = drain(machine.disk, machine.clock, {}, observer);
  if (!report) return "draining failed: " + report.error().message();
  image_ = machine.take_durable();
  return image_.origin == expected ? "" : "drained content is not the merged one";
}

}  // namespace wc::life
