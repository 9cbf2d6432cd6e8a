// SPDX-License-Identifier: LGPL-2.1-or-later
// Formatting: makes an empty writecache, or one with given entries, on the cache device of a port.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "writecache/api.hpp"
#include "writecache/observer.hpp"
#include "writecache/port.hpp"
#include "writecache/result.hpp"
#include "writecache/superblock.hpp"

namespace wc {

/// What to do with something that already stands on the device. Signatures of other programs are the
/// caller's concern (probe_signature in device.hpp): the port does not know them.
enum class Overwrite : std::uint8_t {
  nothing,      ///< only a device without a writecache
  clean_cache,  ///< also a writecache without live entries, and a damaged one without any
  dirty_cache,  ///< also one with live entries: their data are lost
};

/// Entries in index order, for a format that restores a dump. Entries it does not name are free.
class WC_API EntrySource {
 public:
  virtual ~EntrySource() = default;
  struct Item {
    BlockIndex index;
    Entry entry;
  };
  /// The next entry by ascending index, or nothing at the end. Errors: invalid_argument (bad input).
  virtual Result<std::optional<Item>> next() = 0;
};

struct FormatOptions {
  std::uint32_t block_bytes = 4096;
  std::optional<std::uint64_t> n_blocks;  ///< default: as many as fit
  Overwrite overwrite = Overwrite::nothing;
  /// Zero the first 4 KiB instead: the driver formats at activation. Entries that are not free are freed before, those
  /// of an older cache too, as they would look like those of a cache that lost its superblock.
  bool wipe = false;
  bool dry_run = false;       ///< all checks, nothing written
  EntrySource* entries = nullptr;  ///< restore these
  Sequence seq_count = 0;     ///< S of the new superblock; above 0 only with `entries`
};

struct FormatReport {
  Geometry geometry;               ///< what was (dry_run: would be) made; of no meaning for wipe
  Sequence seq_count = 0;
  std::uint64_t device_bytes = 0;  ///< size of the window
  std::uint64_t destroyed_live = 0;  ///< live blocks of the old cache that are gone (would be)
};

/// Formats. Order: the old magic is made invalid and durable, then the entries, durable, then the
/// superblock with its magic, durable: at no moment do driver or suite see a cache with wrong data.
/// Errors: no_space, invalid_argument, not_a_cache never; dirty or damaged/busy per `overwrite`:
/// `dirty` when live entries are in the way, `busy` when a clean writecache is; io; cancelled (left as
/// an interrupted format, which wc-check -y or a new format finishes).
WC_API Result<FormatReport> format(IoPort& port, const FormatOptions& options, Observer& observer);

}  // namespace wc
