// SPDX-License-Identifier: LGPL-2.1-or-later
// Flushes: a commit, and the origin's own flush where something may have gone around the cache.
#pragma once

#include "engine/commit_cycle.hpp"
#include "engine/core.hpp"

namespace wc::engine {

class Flushes {
 public:
  Flushes(Core& core, CommitCycle& cycle) : core_(core), cycle_(cycle) {}
  void run(Operation& operation);

 private:
  void flush_origin(Operation& operation);

  Core& core_;
  CommitCycle& cycle_;
};

}  // namespace wc::engine
