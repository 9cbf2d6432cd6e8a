// SPDX-License-Identifier: LGPL-2.1-or-later
// Recovery: a scan that refuses damage, then one pass that tells what every entry is.
#include "store/recovery.hpp"

#include <algorithm>
#include <string>

#include "writecache/check.hpp"

namespace wc::store {
namespace {

Error damaged(const std::string& codes) {
  return {ErrorCode::damaged, 0, 0, "the cache is damaged: " + codes + " (see wc-check)"};
}

/// The codes of everything that wc-check calls an error.
std::string damage_of(const Scan& scan) {
  const EntryCounts& counts = scan.counts();
  std::string codes;
  const auto add = [&](FindingCode code, std::uint64_t count) {
    if (count != 0) codes += (codes.empty() ? "" : ", ") + std::string(to_string(code));
  };
  add(FindingCode::future, counts.future);
  add(FindingCode::identical, counts.identical);
  add(FindingCode::misaligned, counts.misaligned);
  add(FindingCode::out_of_range, counts.out_of_range);
  add(FindingCode::beyond_origin, counts.beyond_origin);
  return codes;
}

}  // namespace

Result<std::optional<OpenedCache>> open_sound_cache(IoPort& port, std::uint32_t block_bytes) {
  CheckOptions options;
  options.superblock_only = true;
  options.table_block_bytes = block_bytes;
  options.page_bytes = kMaxBlockBytes;  // the driver's limit on this machine is not ours
  Observer observer;
  auto report = check(port, options, observer);
  if (!report) return report.error();
  for (const Finding& finding : report->findings) {
    // The driver would format such a device and lose what stands behind the superblock.
    if (finding.code == FindingCode::zeroed_superblock) return damaged(to_string(finding.code));
  }
  const Activation& activation = report->activation;
  if (activation.outcome == Activation::Outcome::formats) return std::optional<OpenedCache>{};
  if (activation.outcome == Activation::Outcome::refuses) {
    // A wrong table line is no damage.
    const bool is_damaged =
        std::any_of(report->findings.begin(), report->findings.end(), [](const Finding& finding) {
          return finding.severity == Severity::error && finding.code != FindingCode::block_size_mismatch;
        });
    return Error{is_damaged ? ErrorCode::damaged : ErrorCode::invalid_argument, 0, 0, activation.driver_message};
  }
  for (const Finding& finding : report->findings) {
    if (finding.severity == Severity::error) return damaged(to_string(finding.code));
  }
  return std::optional<OpenedCache>{OpenedCache{*report->superblock, *report->geometry}};
}

Result<void> recover(IoPort& port, const OpenedCache& cache, const BatchVisitor& visitor) {
  ScanOptions options;
  options.origin_sectors = sectors_of_bytes(port.info(DeviceId::origin).size_bytes);
  Observer observer;
  auto scan = Scan::run(port, cache.geometry, cache.superblock.seq_count, options, observer);
  if (!scan) return scan.error();
  if (const std::string codes = damage_of(*scan); !codes.empty()) return damaged(codes);
  return scan->visit(visitor, observer);
}

}  // namespace wc::store
