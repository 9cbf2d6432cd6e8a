// SPDX-License-Identifier: LGPL-2.1-or-later
// Repairing: the changes of wc-check -p and -y, in an order that a power cut cannot turn into a loss.
#pragma once

#include "ops/examine.hpp"
#include "store/undo_writer.hpp"
#include "writecache/check.hpp"

namespace wc::ops {

/// Repairs what `options.mode` allows, beginning from `examination`, and returns how many entries and
/// superblock fields were changed. Each step is durable before the next begins:
/// superblock; raised sequence; uncommitted, future and superseded entries; entries that point nowhere;
/// renumbering. So an old block never comes back, and a repair that was cut off can be run again.
/// Errors: io, those of the undo log, cancelled.
Result<std::uint64_t> repair(IoPort& port, const CheckOptions& options, Examination examination,
                             Observer& observer);

}  // namespace wc::ops
