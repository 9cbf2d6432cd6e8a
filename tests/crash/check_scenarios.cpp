// SPDX-License-Identifier: LGPL-2.1-or-later
// wc-check -p and -y under power cuts: run again it finishes, and undone at any point the old bytes are back.
#include <utility>

#include "repair_cases.hpp"
#include "scenarios.hpp"

namespace wc::crash {
namespace {

sim::Scenario scenario_of(const RepairCase& repair) {
  sim::Scenario scenario;
  scenario.name = "check-" + repair.name;
  scenario.initial = repair.image();
  scenario.options = repair.machine();
  scenario.is_canary = repair.is_canary;
  scenario.sweeps_faults = repair.sweeps_faults;
  scenario.run = repair_operation(repair);
  scenario.verify_cut = [repair](const sim::MachineImage& image) { return verify_at_any_time(repair, image); };
  scenario.recoveries.push_back({"repairing again", repair_operation(repair),
                                 [repair](const sim::MachineImage& end) { return verify_repaired(repair, end); }});
  if (repair.has_undo) {
    scenario.recoveries.push_back(
        {"undoing", undo_operation(), [repair](const sim::MachineImage& end) { return verify_undone(repair, end); }});
  }
  return scenario;
}

/// A log of an earlier repair that lost bytes in its middle: nothing may be overwritten on the strength of it.
sim::Scenario damaged_log(const RepairCase& repair) {
  auto scenario = scenario_of(repair);
  scenario.name = "check-damaged-log";
  sim::Machine machine(repair.image(), repair.machine(), 1);
  static_cast<void>(repair_operation(repair)(machine, machine.disk));
  auto log = machine.undo.content();
  log.at(log.size() / 2) ^= std::byte{1};
  scenario.initial.undo = log;
  const auto refused = [run = repair_operation(repair)](sim::Machine& on, IoPort& port) -> Result<sim::Said> {
    const auto said = run(on, port);
    if (said) return sim::Said{true, "a repair went on with a damaged log"};
    if (said.error().code != ErrorCode::invalid_argument) return said.error();
    return sim::Said{};
  };
  const auto verify = [initial = scenario.initial](const sim::MachineImage& image) -> sim::Verdict {
    return image == initial ? "" : "a repair with a damaged log changed something";
  };
  scenario.is_canary = false;
  scenario.run = refused;
  scenario.verify_cut = verify;
  scenario.recoveries = {{"refusing again", refused, verify}};
  return scenario;
}

}  // namespace

std::vector<sim::Scenario> check_scenarios(std::uint64_t seed) {
  std::vector<sim::Scenario> scenarios;
  const auto cases = repair_cases(seed);
  for (const auto& repair : cases)
    scenarios.push_back(scenario_of(repair));
  auto stopped = scenario_of(cases.front());
  stopped.name = "check-stopped";
  stopped.is_canary = false;
  stopped.run = stopped_repair_operation(cases.front());
  scenarios.push_back(std::move(stopped));
  scenarios.push_back(damaged_log(cases.front()));
  return scenarios;
}

}  // namespace wc::crash
