// SPDX-License-Identifier: LGPL-2.1-or-later
// LiveCache: opening.
#include "wc-run/live_cache.hpp"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "common/device_options.hpp"
#include "common/files.hpp"
#include "common/text.hpp"
#include "writecache/check.hpp"
#include "writecache/observer.hpp"

namespace wc::tools {
namespace {

constexpr std::uint32_t kBlockBytesDefault = 4096;
constexpr int kBusyTries = 20;
constexpr useconds_t kBusyPauseUs = 50'000;

/// What the superblock says, if it says anything sensible; the engine checks it in earnest.
struct Stored {
  std::uint32_t block_bytes = kBlockBytesDefault;
  bool is_blank = false;
  bool is_metadata_alone = false;
};

Stored look_at_superblock(const ServerSettings& settings) {
  OpenOptions options;
  options.cache = {settings.cache, settings.start_sector, Access::read_shared};
  const auto devices = open_devices(options);
  if (!devices) return {};  // the real opening tells why
  CheckOptions check_options;
  check_options.superblock_only = true;
  Observer observer;
  const auto report = check((*devices)->port(), check_options, observer);
  Stored stored;
  if (report && report->superblock && report->geometry) stored.block_bytes = report->superblock->block_size;
  stored.is_blank = report && report->activation.outcome == Activation::Outcome::formats;
  if (!report || !report->geometry) return stored;
  const std::uint64_t data_at = bytes_of_sectors(settings.start_sector) + report->geometry->data_offset_bytes;
  if (!is_hole_from(settings.cache, data_at)) return stored;
  check_options.superblock_only = false;
  const auto whole = check((*devices)->port(), check_options, observer);
  stored.is_metadata_alone = whole && whole->counts.live != 0;
  return stored;
}

/// A file system or the like is no blank cache, though it has no superblock of one. Errors: busy, as probe_signature.
Result<void> refuse_foreign(const ServerSettings& settings) {
  const auto signature = probe_signature({settings.cache, settings.start_sector, Access::read_shared});
  if (!signature) return signature.error();
  if (!*signature) return {};
  return Error{
      ErrorCode::busy, 0, 0,
      settings.cache + ": holds " + describe(**signature) + ", which would be lost (wc-format --force overwrites it)"};
}

/// What to do about a cache that the engine does not take.
Error with_advice(Error error, const ServerSettings& settings, const std::string& cache_path) {
  std::string check_command = "wc-check";
  if (settings.start_sector != 0) check_command += " --start-sector " + std::to_string(settings.start_sector);
  check_command += " --origin " + shell_word(settings.origin) + " " + shell_word(settings.cache);
  const std::string advice = "run `" + check_command + "`";
  // The library points at the command too; here its whole line is known.
  if (const std::size_t hint = error.context.rfind(" (see wc-"); hint != std::string::npos) error.context.erase(hint);
  error.context = cache_path + ": " + error.context;
  if (error.code == ErrorCode::not_a_cache) {
    error.context += " (a blank cache is formatted with --format; to see what is there, " + advice + ")";
  } else if (error.code == ErrorCode::damaged || error.code == ErrorCode::invalid_argument) {
    error.context += " (" + advice + ")";
  }
  return error;
}

OpenOptions open_options(const ServerSettings& settings) {
  const Access access = settings.read_only ? Access::read_stable : Access::write_exclusive;
  OpenOptions options;
  options.cache = {settings.cache, settings.start_sector, access};
  options.origin = DeviceSpec{settings.origin, settings.origin_start_sector, access};
  options.maps_cache = settings.type == CacheType::pmem;
  return options;
}

/// The server of a wc-run that was killed dies a moment after it, and the devices are held as long.
Result<std::unique_ptr<Devices>> open_patiently(const ServerSettings& settings) {
  for (int tries = 1;; ++tries) {
    auto devices = open_devices(open_options(settings));
    if (devices || devices.error().code != ErrorCode::busy || tries == kBusyTries) return devices;
    ::usleep(kBusyPauseUs);
  }
}

}  // namespace

Result<LiveCache> open_live_cache(ServerSettings settings, std::unique_ptr<PendingLog> pending) {
  auto cache_path = resolve_tag(settings.cache);
  if (!cache_path) return cache_path.error();
  if (!settings.type) settings.type = guess_type(*cache_path);
  if (auto problem = settings.contradiction(*settings.type)) {
    return Error{ErrorCode::invalid_argument, 0, 0, *problem};
  }
  const Stored stored = look_at_superblock(settings);
  if (!settings.block_bytes) settings.block_bytes = stored.block_bytes;
  if (stored.is_metadata_alone) {
    return Error{ErrorCode::not_a_cache, 0, 0, *cache_path + ": " + kMetadataAlone};
  }
  if (settings.format && stored.is_blank) {
    if (auto allowed = refuse_foreign(settings); !allowed) return allowed.error();
  }

  auto devices = open_patiently(settings);
  if (!devices) return devices.error();
  LiveCache live;
  live.devices = std::move(*devices);
  live.pending = std::move(pending);
  const EnginePorts ports{&live.devices->port(), live.devices->pmem(), &live.devices->clock(), live.pending.get()};
  auto engine = Engine::open(ports, settings.engine_options(*settings.type, *settings.block_bytes));
  if (!engine) return with_advice(engine.error(), settings, live.devices->cache_path());
  live.engine = std::move(*engine);
  live.size_bytes = live.engine->size_bytes();
  if (settings.length) {
    const std::uint64_t table_bytes = bytes_of_sectors(*settings.length);
    if (table_bytes > live.size_bytes) {
      return Error{ErrorCode::invalid_argument, 0, 0,
                   live.devices->origin_path() + ": is smaller than the " + std::to_string(*settings.length) +
                       " sectors of the table line"};
    }
    live.size_bytes = table_bytes;
  }
  // For whoever asks later, perhaps from another directory.
  std::error_code failure;
  settings.cache = std::filesystem::absolute(live.devices->cache_path(), failure).string();
  settings.origin = std::filesystem::absolute(live.devices->origin_path(), failure).string();
  live.settings = std::move(settings);
  return live;
}

}  // namespace wc::tools
