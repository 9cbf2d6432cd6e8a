// SPDX-License-Identifier: LGPL-2.1-or-later
// One complete look at a cache: superblock, entries, findings and the predicted activation.
#include "ops/examine.hpp"

#include <algorithm>
#include <array>

#include "media/entry.hpp"
#include "ops/activation.hpp"
#include "ops/findings.hpp"
#include "store/block_io.hpp"
#include "store/superblock_io.hpp"

namespace wc::ops {
namespace {

/// The kernel's line for the first pair of identical entries; empty where there is none.
Result<std::string> identical_message_of(IoPort& port, const store::Scan& scan) {
  if (scan.identical_losers() == 0) return std::string();
  const std::optional<store::IdenticalPair>& first = scan.samples().first_identical;
  std::array<std::byte, kEntryBytes> raw{};
  auto read = store::read_bytes(port, DeviceId::cache, Geometry::entry_offset_bytes(first->kept), raw);
  if (!read) return read.error();
  return identical_message(*first, media::load_entry(raw.data()));
}

/// Adds what the entries do at activation to a prediction that says "loads".
void predict_entries(const store::Scan& scan, const std::string& identical_message, Activation& activation) {
  const EntryCounts& counts = scan.counts();
  activation.frees_entries = counts.uncommitted + counts.future + counts.stale;
  if (identical_message.empty()) return;
  activation.outcome = Activation::Outcome::loads_with_error;
  activation.driver_message = identical_message;
}

}  // namespace

bool Examination::has(FindingCode code) const noexcept {
  return std::any_of(findings.begin(), findings.end(),
                     [&](const Finding& finding) { return finding.code == code; });
}

bool Examination::is_sound() const noexcept {
  return geometry && superblock->magic == kMagic && superblock->version == kVersion;
}

Result<Examination> examine(IoPort& port, const CheckOptions& options, Observer& observer) {
  Examination out;
  const std::uint64_t area_bytes = port.info(DeviceId::cache).size_bytes;
  const DeviceInfo origin = port.info(DeviceId::origin);
  auto superblock = store::read_superblock(port);
  if (!superblock) return superblock.error();
  out.superblock = *superblock;

  Examined examined;
  examined.area_bytes = area_bytes;
  examined.superblock = out.superblock;
  examined.table_block_bytes = options.table_block_bytes;
  if (origin.present) examined.origin_sectors = sectors_of_bytes(origin.size_bytes);
  std::optional<EntryEvidence> evidence;
  if (out.superblock) {
    auto geometry = make_geometry(area_bytes, out.superblock->block_size, out.superblock->n_blocks);
    if (geometry) out.geometry = *geometry;
    examined.geometry = out.geometry;
    const bool may_be_interrupted_format =
        out.geometry && out.superblock->magic == 0 && out.superblock->version == kVersion;
    if (out.is_sound() ? !options.superblock_only : may_be_interrupted_format) {
      store::ScanOptions scan_options;
      scan_options.memory_bytes = options.memory_bytes;
      scan_options.origin_sectors = examined.origin_sectors;
      auto scan = store::Scan::run(port, *out.geometry, out.superblock->seq_count, scan_options, observer);
      if (!scan) return scan.error();
      out.scan = std::move(*scan);
      examined.scan = &*out.scan;
      auto message = identical_message_of(port, *out.scan);
      if (!message) return message.error();
      examined.identical_message = std::move(*message);
    }
    const bool is_mismatch =
        options.table_block_bytes && *options.table_block_bytes != out.superblock->block_size;
    if (!out.is_sound() || is_mismatch || options.rebuild_superblock) {
      auto gathered = gather_evidence(port, out.superblock, observer);
      if (!gathered) return gathered.error();
      evidence = std::move(*gathered);
      out.candidates = find_candidates(*evidence, out.superblock, area_bytes, options);
      examined.candidates = &out.candidates;
      if (out.candidates.empty() && (options.table_block_bytes || options.rebuild_n_blocks)) {
        CheckOptions any = options;
        any.table_block_bytes.reset();
        any.rebuild_n_blocks.reset();
        const auto others = find_candidates(*evidence, out.superblock, area_bytes, any);
        examined.has_data_of_other_layout =
            std::any_of(others.begin(), others.end(), [](const auto& candidate) { return candidate.committed != 0; });
      }
    }
  }
  out.findings = find_all(examined);
  out.activation =
      predict_activation(out.superblock, area_bytes, options.table_block_bytes, options.page_bytes);
  if (out.activation.outcome == Activation::Outcome::loads && out.scan) {
    predict_entries(*out.scan, examined.identical_message, out.activation);
  }
  return out;
}

}  // namespace wc::ops
