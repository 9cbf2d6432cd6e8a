// SPDX-License-Identifier: LGPL-2.1-or-later
// How wc-check tells what it found.
#include "wc-check/report.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "common/report_json.hpp"
#include "common/text.hpp"
#include "wc-check/conclusion.hpp"

namespace wc::tools {
namespace {

void print_superblock(Console& console, const CheckedDevice& device, const CheckReport& report) {
  if (!report.superblock) {
    console.text("{}: {}, too small to hold a superblock\n", printable(device.path), human_bytes(device.size_bytes));
    return;
  }
  const Superblock& superblock = *report.superblock;
  console.text("{}: magic {:#010x}, version {}, block size {}, {}, seq_count {}\n", printable(device.path),
               superblock.magic, superblock.version, superblock.block_size,
               counted(superblock.n_blocks, "block", "blocks"), superblock.seq_count);
  if (report.geometry && console.is_verbose()) {
    console.text("  metadata {} bytes, data at byte {}, capacity {} of {}\n", report.geometry->metadata_bytes(),
                 report.geometry->data_offset_bytes,
                 human_bytes(report.geometry->n_blocks * report.geometry->block_bytes), human_bytes(device.size_bytes));
  }
}

void print_counts(Console& console, const CheckReport& report) {
  const EntryCounts& counts = report.counts;
  std::string line = fmt::format("entries: {} free, {} live, {} stale, {} uncommitted", counts.free, counts.live,
                                 counts.stale, counts.uncommitted);
  if (counts.future != 0) line += fmt::format(", {} future", counts.future);
  if (counts.identical != 0) line += fmt::format(", {} identical", counts.identical);
  if (counts.misaligned != 0) line += fmt::format(", {} misaligned", counts.misaligned);
  if (counts.out_of_range != 0) line += fmt::format(", {} out of range", counts.out_of_range);
  if (counts.beyond_origin != 0) line += fmt::format(", {} beyond the origin", counts.beyond_origin);
  console.text("{}\n", line);
}

void print_findings(Console& console, const std::vector<Finding>& findings, const char* prefix) {
  for (const Finding& finding : findings) {
    console.text("{}{}: {} ({}): {}\n", prefix, to_string(finding.severity), to_string(finding.code), finding.count,
                 printable(finding.message));
    if (!finding.driver_message.empty()) {
      console.text("    the driver would say: {}\n", printable(finding.driver_message));
    }
    if (finding.entries.empty() || (!console.is_verbose() && finding.severity != Severity::error)) continue;
    console.text("    entries: {}{}\n", fmt::join(finding.entries, " "),
                 finding.count > finding.entries.size() ? " ..." : "");
  }
}

void print_activation(Console& console, const Activation& activation) {
  const char* what = "";
  switch (activation.outcome) {
    case Activation::Outcome::loads:
      what = "the driver loads this cache";
      break;
    case Activation::Outcome::formats:
      what = "the driver FORMATS this device: whatever it holds is lost";
      break;
    case Activation::Outcome::refuses:
      what = "the driver refuses this cache";
      break;
    case Activation::Outcome::loads_with_error:
      what = "the driver loads this cache with its error flag set: writes and flushes fail";
      break;
  }
  std::string line = fmt::format("activation: {}", what);
  if (activation.frees_entries != 0) {
    line += fmt::format(" and frees {}", counted(activation.frees_entries, "entry", "entries"));
  }
  if (!activation.driver_message.empty()) line += fmt::format(", saying \"{}\"", printable(activation.driver_message));
  console.text("{}\n", line);
}

void print_candidates(Console& console, const std::vector<RebuildCandidate>& candidates) {
  if (candidates.empty()) return;
  console.text("superblocks that fit the entries:\n");
  for (const RebuildCandidate& candidate : candidates) {
    console.text("  --block-size {} --blocks {} --seq-count {}: {} committed, {} lost; {}\n", candidate.block_bytes,
                 candidate.n_blocks, candidate.seq_count, counted(candidate.committed, "entry", "entries"),
                 candidate.lost, printable(candidate.evidence));
  }
}

nlohmann::ordered_json findings_json(const std::vector<Finding>& findings) {
  auto list = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    list.push_back({{"code", to_string(finding.code)},
                    {"severity", to_string(finding.severity)},
                    {"count", finding.count},
                    {"entries", finding.entries},
                    {"message", finding.message},
                    {"driver_message", finding.driver_message}});
  }
  return list;
}

}  // namespace

void print_text(Console& console, const CheckCommandOptions& options, const CheckedDevice& device,
                const CheckReport& report) {
  print_superblock(console, device, report);
  if (report.geometry && !options.superblock_only) print_counts(console, report);
  print_findings(console, report.findings, "");
  if (report.corrected != 0) {
    console.text("corrected: {}\n", counted(report.corrected, "change", "changes"));
    print_findings(console, report.remaining, "remains: ");
  } else if (report.verdict != Verdict::blank) {
    print_candidates(console, report.candidates);
  }
  print_activation(console, report.activation);
  console.text("{}\n", conclusion(options, report));
}

void print_json(Console& console, const CheckReport& report) {
  auto candidates = nlohmann::ordered_json::array();
  for (const RebuildCandidate& candidate : report.candidates) {
    candidates.push_back({{"block_size", candidate.block_bytes},
                          {"n_blocks", candidate.n_blocks},
                          {"seq_count", candidate.seq_count},
                          {"committed", candidate.committed},
                          {"lost", candidate.lost},
                          {"evidence", candidate.evidence}});
  }
  nlohmann::ordered_json superblock;  // null on a device too small to hold one
  if (report.superblock) superblock = superblock_json(*report.superblock, report.geometry);
  console.print_json({{"superblock", superblock},
                      {"counts", counts_json(report.counts)},
                      {"findings", findings_json(report.findings)},
                      {"activation",
                       {{"outcome", to_string(report.activation.outcome)},
                        {"driver_message", report.activation.driver_message},
                        {"frees_entries", report.activation.frees_entries}}},
                      {"corrected", report.corrected},
                      {"verdict", to_string(report.verdict)},
                      {"remaining", findings_json(report.remaining)},
                      {"candidates", candidates}});
}

}  // namespace wc::tools
