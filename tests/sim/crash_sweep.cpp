// SPDX-License-Identifier: LGPL-2.1-or-later
// The sweeps: power cuts, faults and the canary.
#include "sim/crash_sweep.hpp"

#include <array>
#include <cerrno>

namespace wc::sim {
namespace {

/// Faulted runs leave this many seeded crash images to be looked at, besides what programs see.
constexpr std::uint64_t kFaultImages = 6;

/// The fences of persistent memory are flushes too.
Result<Said> run_over_canary(const Operation& operation, Machine& machine, FlushDroppingPort& canary) {
  if (machine.memory) machine.memory->set_fence_filter([&canary] { return canary.drops(DeviceId::cache); });
  auto said = operation(machine, canary);
  if (machine.memory) machine.memory->set_fence_filter({});
  return said;
}

std::string replay_line(const Scenario& scenario, std::uint64_t seed, std::uint64_t cut, std::uint64_t image) {
  return "--scenario " + scenario.name + " --seed " + std::to_string(seed) + " --cut " + std::to_string(cut) +
         " --image " + std::to_string(image);
}

}  // namespace

SweepNumbers& SweepNumbers::operator+=(const SweepNumbers& other) {
  scenarios += other.scenarios;
  cut_points += other.cut_points;
  images += other.images;
  repeated_images += other.repeated_images;
  sampled_points += other.sampled_points;
  second_cuts += other.second_cuts;
  fault_runs += other.fault_runs;
  fault_errors += other.fault_errors;
  fault_partial += other.fault_partial;
  fault_retried += other.fault_retried;
  return *this;
}

bool CrashSweep::is_full(const Scenario& scenario) const {
  std::uint64_t count = 0;
  for (const auto& failure : failures_)
    count += failure.scenario == scenario.name ? 1 : 0;
  return count >= options_.failures_max;
}

bool CrashSweep::fail(const Place& place, std::string what, bool is_content) {
  failures_.push_back({place.scenario->name, place.replay, std::move(what), is_content});
  return false;
}

Result<Said> CrashSweep::run(const Operation& operation, Machine& machine) const {
  if (!options_.drops) return operation(machine, machine.disk);
  FlushDroppingPort canary(machine.disk, options_.drops);
  return run_over_canary(operation, machine, canary);
}

/// What was seen counts for one scenario, but for cuts and faults alike.
void CrashSweep::begin(const Scenario& scenario) {
  if (scenario.name != seen_of_) seen_.clear();
  seen_of_ = scenario.name;
}

/// False for an image that was looked at before: one left while the operation ran must be looked at
/// again at its end.
bool CrashSweep::is_new(std::uint64_t hash, const Place& place) {
  if (seen_.insert(hash ^ (place.was_complete ? mix_bits(1) : 0)).second) {
    ++numbers_.images;
    return true;
  }
  ++numbers_.repeated_images;
  return false;
}

void CrashSweep::sweep_cuts(const Scenario& scenario) {
  ++numbers_.scenarios;
  begin(scenario);
  bool was_cut = true;
  for (std::uint64_t cut = options_.only_cut.value_or(0); was_cut && !is_full(scenario); ++cut) {
    Machine machine(scenario.initial, scenario.options, options_.seed);
    machine.power.cut_at(cut);
    const auto said = run(scenario.run, machine);
    was_cut = !machine.power.is_on();
    ++numbers_.cut_points;
    Place place{&scenario, replay_line(scenario, options_.seed, cut, 0), false};
    if (said && !said->violation.empty()) fail(place, said->violation);
    place.was_complete = said && said->is_complete;
    if (!was_cut && !place.was_complete) {
      fail(place, "the uncut run failed: " + (said ? "incomplete" : said.error().message()));
    }
    check_images(machine, place, options_.seed ^ mix_bits(cut));
    if (options_.only_cut) break;
  }
}

void CrashSweep::check_images(const Machine& machine, const Place& place, std::uint64_t image_seed) {
  CrashImages images(machine, image_seed);
  numbers_.sampled_points += images.is_complete() ? 0 : 1;
  const auto cut_part = place.replay.substr(0, place.replay.rfind(' ') + 1);
  for (std::uint64_t number = 0; number < images.size() && !is_full(*place.scenario); ++number) {
    if (options_.only_image && *options_.only_image != number) continue;
    if (!is_new(images.hash(number), place)) continue;
    auto here = place;
    here.replay = cut_part + std::to_string(number);
    check_image(images.image(number), here, image_seed ^ mix_bits(number));
  }
}

bool CrashSweep::check_image(const MachineImage& image, const Place& place, std::uint64_t seed) {
  const auto& scenario = *place.scenario;
  if (auto wrong = scenario.verify_cut(image); !wrong.empty()) return fail(place, wrong);
  if (place.was_complete) {
    if (auto wrong = scenario.recoveries.front().verify(image); !wrong.empty()) {
      return fail(place, "after success was reported: " + wrong, false);
    }
  }
  for (const auto& recovery : scenario.recoveries) {
    std::uint64_t points = 0;
    if (!recover(image, recovery, place, seed, points)) return false;
    if (!recover_after_second_cut(image, recovery, place, seed, points)) return false;
  }
  return true;
}

bool CrashSweep::recover(const MachineImage& image, const Recovery& recovery, const Place& place, std::uint64_t seed,
                         std::uint64_t& points) {
  Machine machine(image, place.scenario->options, seed);
  const auto said = recovery.run(machine, machine.disk);
  points = machine.power.points();
  if (!said) return fail(place, recovery.name + " failed: " + said.error().message());
  if (!said->violation.empty()) return fail(place, recovery.name + ": " + said->violation);
  if (!said->is_complete) return fail(place, recovery.name + " was incomplete");
  if (!machine.is_settled()) {
    if (auto wrong = recovery.verify(machine.content()); !wrong.empty()) {
      return fail(place, "after " + recovery.name + ", not yet durable: " + wrong);
    }
  }
  if (auto wrong = recovery.verify(machine.take_durable()); !wrong.empty()) {
    return fail(place, "after " + recovery.name + ": " + wrong);
  }
  return true;
}

bool CrashSweep::recover_after_second_cut(const MachineImage& image, const Recovery& recovery, const Place& place,
                                          std::uint64_t seed, std::uint64_t points) {
  ++numbers_.second_cuts;
  Random random(seed ^ 2);
  Machine machine(image, place.scenario->options, seed);
  machine.power.cut_at(random.below(points + 1));
  static_cast<void>(recovery.run(machine, machine.disk));
  const CrashImages images(machine, seed);
  const auto again = images.image(random.below(images.size()));
  auto here = place;
  here.replay += "  (second cut, during " + recovery.name + ")";
  if (&recovery == place.scenario->recoveries.data()) {
    if (auto wrong = place.scenario->verify_cut(again); !wrong.empty()) return fail(here, wrong);
  }
  return recover(again, recovery, here, seed + 1, points);
}

bool CrashSweep::fault_run(const Scenario& scenario, const std::string& name, std::uint64_t seed,
                           const std::function<void(Machine&)>& inject) {
  Place place{&scenario,
              "--scenario " + scenario.name + " --seed " + std::to_string(options_.seed) + " --fault " + name, false};
  Machine machine(scenario.initial, scenario.options, seed);
  inject(machine);
  const auto said = run(scenario.run, machine);
  if (!machine.has_faulted()) return false;
  ++numbers_.fault_runs;
  if (!said) {
    ++numbers_.fault_errors;
  } else {
    ++(said->is_complete ? numbers_.fault_retried : numbers_.fault_partial);
    place.was_complete = said->is_complete;
    if (!said->violation.empty()) fail(place, said->violation);
  }
  CrashImages images(machine, seed);
  Random random(seed);
  const auto content = machine.content();
  if (is_new(CrashImages::hash_of(content), place) && !check_image(content, place, seed)) return true;
  for (std::uint64_t i = 0; i < std::min(kFaultImages, images.size()); ++i) {
    const auto number = images.size() <= kFaultImages ? i : random.below(images.size());
    if (!is_new(images.hash(number), place)) continue;
    if (!check_image(images.image(number), place, seed + i)) return true;
  }
  return true;
}

void CrashSweep::sweep_faults(const Scenario& scenario) {
  begin(scenario);
  struct Target {
    const char* name;
    DeviceId device;
    IoKind kind;
  };
  static constexpr std::array<Target, 8> kTargets{{
      {"cache:read", DeviceId::cache, IoKind::read},
      {"cache:write", DeviceId::cache, IoKind::write},
      {"cache:flush", DeviceId::cache, IoKind::flush},
      {"cache:discard", DeviceId::cache, IoKind::discard},
      {"origin:read", DeviceId::origin, IoKind::read},
      {"origin:write", DeviceId::origin, IoKind::write},
      {"origin:flush", DeviceId::origin, IoKind::flush},
      {"origin:discard", DeviceId::origin, IoKind::discard},
  }};
  struct UndoTarget {
    const char* name;
    UndoCall call;
  };
  static constexpr std::array<UndoTarget, 4> kUndoTargets{{
      {"undo:read", UndoCall::read},
      {"undo:append", UndoCall::append},
      {"undo:truncate", UndoCall::truncate},
      {"undo:sync", UndoCall::sync},
  }};
  const auto each = [&](const char* target, const auto& make) {
    for (const bool persistent : {false, true}) {
      for (std::uint64_t nth = 0; !is_full(scenario); ++nth) {
        const auto name = std::string(target) + ":" + std::to_string(nth) + ":" + (persistent ? "on" : "once");
        if (options_.only_fault && *options_.only_fault != name) {
          if (nth > 10'000) break;
          continue;
        }
        const auto seed = options_.seed ^ mix_bits(nth * 2 + (persistent ? 1 : 0));
        const int error = seed % 3 == 0 ? ENOSPC : EIO;
        if (!fault_run(scenario, name, seed, [&](Machine& machine) { make(machine, nth, persistent, error); })) {
          break;
        }
      }
    }
  };
  for (const auto& target : kTargets) {
    each(target.name, [&](Machine& machine, std::uint64_t nth, bool persistent, int error) {
      if (machine.memory && target.device == DeviceId::cache) {
        if (target.kind == IoKind::flush) machine.memory->inject(nth, persistent);
        return;
      }
      machine.disk.inject({target.device, target.kind, nth, persistent, target.kind == IoKind::write ? error : EIO});
    });
  }
  for (const auto& target : kUndoTargets) {
    each(target.name, [&](Machine& machine, std::uint64_t nth, bool persistent, int error) {
      machine.undo.inject({target.call, nth, persistent, error});
    });
  }
}

CanaryResult sweep_canary(const Scenario& scenario, std::uint64_t seed) {
  CanaryResult result;
  result.scenario = scenario.name;
  {
    Machine machine(scenario.initial, scenario.options, seed);
    FlushDroppingPort port(machine.disk, [](DeviceId, std::uint64_t) { return false; });
    static_cast<void>(run_over_canary(scenario.run, machine, port));
    result.durable_points = port.durable_points();
  }
  const auto finds = [&](FlushDroppingPort::Choice drops) {
    SweepOptions options;
    options.seed = seed;
    options.drops = std::move(drops);
    CrashSweep sweep(options);
    sweep.sweep_cuts(scenario);
    for (const auto& failure : sweep.failures()) {
      if (failure.is_content) return true;
    }
    return false;
  };
  result.all_dropped_lost_content = finds([](DeviceId, std::uint64_t) { return true; });
  for (std::uint64_t only = 0; only < result.durable_points; ++only) {
    const bool is_needed = finds([only](DeviceId, std::uint64_t number) { return number == only; });
    (is_needed ? result.needed : result.not_needed).push_back(only);
  }
  return result;
}

}  // namespace wc::sim
