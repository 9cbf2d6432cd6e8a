// SPDX-License-Identifier: LGPL-2.1-or-later
// LiveCache: the opened devices and the engine on them.
#pragma once

#include <memory>
#include <string>

#include "wc-run/server_settings.hpp"
#include "writecache/device.hpp"
#include "writecache/engine.hpp"
#include "writecache/pending_log.hpp"
#include "writecache/result.hpp"

namespace wc::tools {

struct LiveCache {
  ServerSettings settings;              ///< with type and block size filled in
  std::unique_ptr<PendingLog> pending;  ///< may be null
  std::unique_ptr<Devices> devices;
  std::unique_ptr<Engine> engine;  ///< before its devices go
  std::uint64_t size_bytes = 0;    ///< of what is served
};

/// Opens both devices and recovers the cache, with the uncommitted blocks of `pending` if it is not null. Nothing has a
/// thread yet.
/// Errors: as open_devices and Engine::open; the text begins with a path and says which command to run.
Result<LiveCache> open_live_cache(ServerSettings settings, std::unique_ptr<PendingLog> pending = nullptr);

}  // namespace wc::tools
