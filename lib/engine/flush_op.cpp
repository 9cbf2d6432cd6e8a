// SPDX-License-Identifier: LGPL-2.1-or-later
// Flushes: commit and origin side by side, as neither depends on the other.
#include "engine/flush_op.hpp"

#include "reached.hpp"

namespace wc::engine {

void Flushes::run(Operation& operation) {
  operation.is_waiting = false;
  if (operation.stage == Stage::begin) {
    operation.stage = Stage::commit;
    ++core_.stats.flushes;
    // Nothing is ever acknowledged through a read-only view that is not durable.
    if (!core_.settings.is_read_only && !core_.error) {
      flush_origin(operation);
      if (cycle_.wait(operation)) return;
    }
  }
  if (operation.in_flight != 0) return;
  core_.finish(operation, core_.error ? Result<void>(core_.refusal()) : Result<void>());
}

void Flushes::flush_origin(Operation& operation) {
  const Settings& settings = core_.settings;
  const bool passes = !settings.is_pmem || settings.is_cleaner || settings.is_metadata_only || core_.has_written_around;
  if (!passes) return;
  core_.has_written_around = false;
  Transfer& transfer = core_.transfers.take();
  transfer.io.kind = IoKind::flush;
  transfer.io.device = DeviceId::origin;
  transfer.owner = &core_;
  transfer.part = &operation;
  transfer.on_done = [](Transfer& finished, Result<void> outcome) {
    auto& core = *static_cast<Core*>(finished.owner);
    if (!outcome) {
      // What was written around since the last good flush may be lost, whatever a later flush says.
      WC_REACHED("engine: a client's flush of the origin fails");
      core.fail(outcome.error());
    }
    note_transfer(core, *static_cast<Operation*>(finished.part), outcome);
  };
  ++operation.in_flight;
  core_.transfers.submit(transfer);
}

}  // namespace wc::engine
