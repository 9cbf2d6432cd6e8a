// SPDX-License-Identifier: LGPL-2.1-or-later
// check: examine, repair if asked to, examine again, report.
#include "writecache/check.hpp"

#include <algorithm>

#include "ops/examine.hpp"
#include "ops/repair.hpp"

namespace wc {
namespace {

bool is_work(const ops::Examination& examination, const CheckOptions& options) {
  if (options.mode == RepairMode::none) return false;
  if (options.rebuild_superblock && !examination.candidates.empty()) return true;
  return std::any_of(examination.findings.begin(), examination.findings.end(), [](const Finding& finding) {
    return finding.code != FindingCode::blank && finding.code != FindingCode::spare_room;
  });
}

Verdict judge(const std::vector<Finding>& findings, std::uint64_t corrected) {
  if (has_errors(findings)) return Verdict::damaged;
  for (const Finding& finding : findings) {
    if (finding.code == FindingCode::blank) return Verdict::blank;
  }
  return corrected != 0 ? Verdict::repaired : Verdict::clean;
}

void fill(CheckReport& report, ops::Examination&& examination) {
  report.superblock = examination.superblock;
  report.geometry = examination.geometry;
  if (examination.scan) report.counts = examination.scan->counts();
  report.activation = examination.activation;
}

}  // namespace

Result<CheckReport> check(IoPort& port, const CheckOptions& options, Observer& observer) {
  if (options.memory_bytes < kMemoryBytesMin) {
    return Error{ErrorCode::invalid_argument, 0, 0,
                 "the memory bound is below " + std::to_string(kMemoryBytesMin >> 20) + " MiB"};
  }
  if (options.table_block_bytes && !is_valid_block_size(*options.table_block_bytes)) {
    return Error{ErrorCode::invalid_argument, 0, 0, "the block size is not a power of two from 512 to 65536"};
  }
  auto before = ops::examine(port, options, observer);
  if (!before) return before.error();
  CheckReport report;
  report.findings = before->findings;
  report.candidates = before->candidates;
  if (!is_work(*before, options)) {
    report.verdict = judge(before->findings, 0);
    report.remaining = before->findings;
    fill(report, std::move(*before));
    return report;
  }
  auto corrected = ops::repair(port, options, std::move(*before), observer);
  if (!corrected) return corrected.error();
  auto after = ops::examine(port, options, observer);
  if (!after) return after.error();
  report.corrected = *corrected;
  report.remaining = after->findings;
  report.verdict = judge(after->findings, report.corrected);
  fill(report, std::move(*after));
  return report;
}

}  // namespace wc
