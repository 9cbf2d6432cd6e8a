// SPDX-License-Identifier: LGPL-2.1-or-later
// EngineCase: the engine under load as an operation of the crash sweep.
#include "engine_cases.hpp"

#include <cstdlib>
#include <memory>
#include <optional>

#include "sim/engine_oracle.hpp"
#include "sim/image_builder.hpp"
#include "sim/oracle.hpp"
#include "store/pmem_view_port.hpp"
#include "writecache/check.hpp"
#include "writecache/drain.hpp"

namespace wc::crash {
namespace {

using sim::Bytes;
using sim::Machine;
using sim::MachineImage;

/// What the run that is being looked at has done. Each run of the scenario begins a new one.
struct Record {
  std::optional<sim::EngineOracle> oracle;
};

std::unique_ptr<Engine> opened(Machine& machine, IoPort& port, const EngineOptions& options, Error& error) {
  EnginePorts ports;
  ports.io = &port;
  ports.pmem = machine.pmem();
  ports.clock = &machine.clock;
  auto engine = Engine::open(ports, options);
  if (engine) return std::move(*engine);
  error = engine.error();
  return nullptr;
}

sim::Operation load_operation(const EngineCase& the_case, const std::shared_ptr<Record>& record,
                              const Bytes& initial_content) {
  return [the_case, record, initial_content](Machine& machine, IoPort& port) -> Result<sim::Said> {
    record->oracle.emplace(initial_content);
    Error error;
    const auto engine = opened(machine, port, the_case.options, error);
    if (!engine) return error;
    sim::EngineLoad load(*engine, *record->oracle, machine.clock, the_case.load);
    load.set_fault_probe([&machine] { return machine.has_faulted(); });
    const bool is_done = load.run(true);
    if (!load.violation().empty()) return sim::Said{false, load.violation()};
    const auto closed = engine->close();
    if (!closed) return closed.error();
    return sim::Said{is_done, ""};
  };
}

/// Reads the whole device through the engine.
Result<Bytes> read_all(Engine& engine) {
  const std::size_t bytes = engine.size_bytes();
  const std::unique_ptr<std::byte, void (*)(void*)> memory(
      static_cast<std::byte*>(std::aligned_alloc(kIoAlignmentBytes, round_up(bytes, kIoAlignmentBytes))), &std::free);
  std::optional<Result<void>> outcome;
  Request request;
  request.memory = {memory.get(), bytes};
  request.owner = &outcome;
  request.on_done = [](Request& done, Result<void> result) {
    *static_cast<std::optional<Result<void>>*>(done.owner) = std::move(result);
  };
  engine.submit(request);
  while (!outcome)
    engine.step(Wait::for_one);
  if (!*outcome) return outcome->error();
  return Bytes(memory.get(), memory.get() + bytes);
}

Result<void> write_back(Engine& engine) {
  std::optional<Result<void>> outcome;
  Control control;
  control.owner = &outcome;
  control.on_done = [](Control& done, Result<void> result) {
    *static_cast<std::optional<Result<void>>*>(done.owner) = std::move(result);
  };
  engine.submit(control);
  while (!outcome)
    engine.step(Wait::for_one);
  return *outcome;
}

/// The engine starts on what a crash left: it shows the merged content, and writes it back.
sim::Operation restart_operation(const EngineOptions& options) {
  return [options](Machine& machine, IoPort& port) -> Result<sim::Said> {
    const MachineImage start = machine.content();
    const auto merged = sim::merged_content(start.cache, start.origin);
    Error error;
    const auto engine = opened(machine, port, options, error);
    if (!engine) return error;
    const auto content = read_all(*engine);
    if (!content) return content.error();
    if (*content != merged.origin) {
      return sim::Said{false, "the restarted engine shows something else than the merged content"};
    }
    if (auto done = write_back(*engine); !done) return done.error();
    if (auto closed = engine->close(); !closed) return closed.error();
    return sim::Said{};
  };
}

sim::Operation drain_operation() {
  return [](Machine& machine, IoPort& port) -> Result<sim::Said> {
    const MachineImage start = machine.content();
    const auto merged = sim::merged_content(start.cache, start.origin);
    Observer observer;
    std::optional<store::PmemViewPort> view;
    if (machine.memory) view.emplace(*machine.memory, port);
    IoPort& both = view ? static_cast<IoPort&>(*view) : port;
    auto report = drain(both, machine.clock, {}, observer);
    if (!report) return report.error();
    if (report->blocks_failed != 0) return sim::Said{false, ""};
    if (machine.content().origin != merged.origin) return sim::Said{false, "drained content is not the merged one"};
    return sim::Said{};
  };
}

sim::Verdict verify_image(const EngineCase& the_case, const Record& record, const MachineImage& image) {
  Machine machine(image, {.cache_logical_block_bytes = the_case.logical_block_bytes}, 1);
  Observer observer;
  const auto report = check(machine.disk, {}, observer);
  if (!report) return "check fails: " + report.error().message();
  for (const auto& finding : report->findings) {
    if (finding.severity == Severity::error) return "check finds " + std::string(to_string(finding.code));
  }
  const auto merged = sim::merged_content(image.cache, image.origin);
  if (!merged.other.empty()) return "there is a block that is not on the origin";
  if (auto wrong = record.oracle->check_image(merged.origin); !wrong.empty()) return wrong;
  if (!the_case.blocks_are_whole) return {};
  return record.oracle->check_whole_blocks(merged.origin, the_case.options.block_bytes);
}

sim::Verdict verify_written_back(const EngineCase& the_case, const Record& record, const MachineImage& image) {
  if (auto wrong = verify_image(the_case, record, image); !wrong.empty()) return wrong;
  const auto reference = sim::read_reference(image.cache);
  if (!reference) return "there is no cache any more";
  return reference->live().empty() ? "" : "live entries are left";
}

MachineImage initial_image(const EngineCase& the_case) {
  const std::uint32_t block_bytes = the_case.options.block_bytes;
  const Sector sectors = sectors_of_bytes(the_case.origin_blocks * block_bytes + the_case.origin_spare_bytes);
  sim::Random random(the_case.dirty_entries_seed);
  const auto builder = the_case.dirty_entries_seed == 0
                           ? sim::ImageBuilder(block_bytes, the_case.cache_blocks).seq_count(5)
                           : sim::random_image(random, {.block_bytes = block_bytes,
                                                        .n_blocks = the_case.cache_blocks,
                                                        .origin_sectors = the_case.origin_blocks * block_bytes / 512});
  Bytes cache = builder.build();
  cache.resize(round_up(cache.size(), the_case.logical_block_bytes));
  return {cache, sim::make_origin(sectors), {}};
}

}  // namespace

sim::Scenario make_engine_scenario(const EngineCase& the_case) {
  const auto record = std::make_shared<Record>();
  sim::Scenario scenario;
  scenario.name = the_case.name;
  scenario.initial = initial_image(the_case);
  scenario.options.cache_logical_block_bytes = the_case.logical_block_bytes;
  scenario.options.origin_logical_block_bytes = the_case.logical_block_bytes;
  scenario.options.has_pmem = the_case.options.type == CacheType::pmem;
  scenario.is_canary = the_case.is_canary;
  const auto merged = sim::merged_content(scenario.initial.cache, scenario.initial.origin);
  scenario.run = load_operation(the_case, record, merged.origin);
  scenario.verify_cut = [the_case, record](const MachineImage& image) {
    return verify_image(the_case, *record, image);
  };
  scenario.recoveries.push_back({"restarting the engine", restart_operation(the_case.options), [=](const auto& image) {
                                   return verify_image(the_case, *record, image);
                                 }});
  scenario.recoveries.push_back({"draining", drain_operation(), [=](const auto& image) {
                                   return verify_written_back(the_case, *record, image);
                                 }});
  return scenario;
}

}  // namespace wc::crash
