// SPDX-License-Identifier: LGPL-2.1-or-later
// wc-check --apply-undo under power cuts: the device goes back through the states of the repair.
#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "repair_cases.hpp"
#include "scenarios.hpp"
#include "sim/machine.hpp"
#include "sim/random.hpp"

namespace wc::crash {
namespace {

using sim::Machine;
using sim::MachineImage;

/// Undoing a step writes what the step wrote: those repairs whose steps depend on their order.
constexpr std::array<std::string_view, 9> kDamages{
    "residue",   "wiped-sectors", "wiped-by-lvm", "identical-other-data", "misaligned", "beyond-origin",
    "exhausted", "mixed-0",       "mixed-1"};

bool is_wanted(const RepairCase& repair) {
  const auto damage = repair.name.substr(0, repair.name.rfind('-'));
  return std::find(kDamages.begin(), kDamages.end(), damage) != kDamages.end();
}

/// Known limit (doc/undo-format.md, section 5): an undo of a renumbering that is cut, run again and cut
/// again may show a stale block until it is run to its end. Nothing is lost, and all else holds.
sim::Verdict verify_cut(const RepairCase& repair, const MachineImage& image) {
  if (repair.name.starts_with("exhausted")) return verify_data(repair, image);
  return verify_at_any_time(repair, image);
}

/// Where the power can fail while the repair runs.
std::uint64_t cut_points(const RepairCase& repair, const MachineImage& image) {
  Machine machine(image, repair.machine(), 1);
  static_cast<void>(repair_operation(repair)(machine, machine.disk));
  return machine.power.points();
}

/// A finished repair and its log; `cuts` power failures came in between, each in the middle of what was left to do.
MachineImage repaired(const RepairCase& repair, unsigned cuts, std::uint64_t seed) {
  auto image = repair.image();
  for (unsigned cut = 0; cut < cuts; ++cut) {
    Machine machine(image, repair.machine(), seed + cut);
    machine.power.cut_at(cut_points(repair, image) / 2);
    static_cast<void>(repair_operation(repair)(machine, machine.disk));
    const sim::CrashImages images(machine, seed + cut);
    image = images.image(images.size() / 2);
  }
  Machine machine(image, repair.machine(), seed);
  static_cast<void>(repair_operation(repair)(machine, machine.disk));
  return machine.take_durable();
}

sim::Scenario scenario_of(const RepairCase& repair, MachineImage start) {
  sim::Scenario scenario;
  scenario.name = "undo-" + repair.name;
  scenario.initial = std::move(start);
  scenario.options = repair.machine();
  scenario.is_canary = repair.is_canary && !repair.name.starts_with("exhausted");
  scenario.sweeps_faults = repair.sweeps_faults;
  scenario.run = undo_operation();
  scenario.verify_cut = [repair](const MachineImage& image) { return verify_cut(repair, image); };
  scenario.recoveries.push_back(
      {"undoing again", undo_operation(), [repair](const MachineImage& end) { return verify_undone(repair, end); }});
  scenario.recoveries.push_back({"repairing after all", repair_operation(repair),
                                 [repair](const MachineImage& end) { return verify_repaired(repair, end); }});
  return scenario;
}

}  // namespace

std::vector<sim::Scenario> undo_scenarios(std::uint64_t seed) {
  std::vector<sim::Scenario> scenarios;
  for (const auto& repair : repair_cases(seed)) {
    if (!is_wanted(repair)) continue;
    scenarios.push_back(scenario_of(repair, repaired(repair, 0, seed)));
    if (!repair.name.starts_with("mixed")) continue;
    auto& scenario = scenarios.emplace_back(scenario_of(repair, repaired(repair, 2, seed)));
    scenario.name += "-interrupted";
  }
  return scenarios;
}

}  // namespace wc::crash
