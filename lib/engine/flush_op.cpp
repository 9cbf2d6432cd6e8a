// SPDX-License-Identifier: LGPL-2.1-or-later
// Flushes: commit and origin side by side, as neither depends on the other. The driver passes every flush of type s on to
// the origin; here only one that has something to make durable there costs a flush of that device.
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
  // What is written back is flushed before its entries are freed, so nothing else can be volatile there.
  if (!core_.has_written_around) return;
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
