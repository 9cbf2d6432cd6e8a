// SPDX-License-Identifier: LGPL-2.1-or-later
// The last sentence of wc-check, for every combination of findings, mode and outcome.
#include "wc-check/conclusion.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/text.hpp"

namespace wc::tools {
namespace {

/// `wc-check WORDS ... CACHE` with what says where cache and origin are, so that it can be pasted.
std::string command(const CheckCommandOptions& options, const std::string& words) {
  const CommonOptions& common = options.common;
  std::string text = "wc-check";
  if (!words.empty()) text += " " + words;
  if (common.lvm) return "`" + text + " " + common.cache_words() + "`";
  if (common.start_sector != 0) text += fmt::format(" --start-sector {}", common.start_sector);
  if (common.origin) text += " --origin " + shell_word(*common.origin);
  if (common.origin && common.origin_start_sector != 0) {
    text += fmt::format(" --origin-start-sector {}", common.origin_start_sector);
  }
  return "`" + printable(text + " " + shell_word(common.cache)) + "`";
}

class Conclusion {
 public:
  Conclusion(const CheckCommandOptions& options, const CheckReport& report)
      : options_(options),
        report_(report),
        problems_(options.mode() == RepairMode::repair ? report.remaining : report.findings) {}

  std::string text() const {
    if (has_errors(problems_)) return "Do not activate it: " + problem() + what_preen_did();
    if (report_.verdict == Verdict::blank) {
      return "Blank: the driver formats it at activation; nothing is lost if nothing was ever cached here.";
    }
    if (report_.activation.outcome == Activation::Outcome::refuses) return refused_though_sound();
    if (options_.superblock_only) {
      return fmt::format("The superblock is sound, but the entries were not looked at: run {} before you activate it.",
                         command(options_, ""));
    }
    if (report_.corrected != 0) return corrected();
    const char* const residue =
        report_.activation.frees_entries == 0 ? "" : "; what the driver frees then is normal residue of a crash";
    return fmt::format("This cache is safe to activate{}{}.", residue, what_was_not_checked());
  }

 private:
  bool has(FindingCode code) const {
    return std::any_of(problems_.begin(), problems_.end(),
                       [&](const Finding& finding) { return finding.code == code; });
  }
  bool has_only(FindingCode code) const {
    return std::all_of(problems_.begin(), problems_.end(), [&](const Finding& finding) {
      return finding.code == code || finding.severity != Severity::error;
    });
  }

  std::string repair_command(const std::string& more = "") const {
    return command(options_, "-y --undo FILE" + (more.empty() ? "" : " " + more));
  }

  std::string what_was_not_checked() const {
    if (options_.common.origin || options_.common.lvm || report_.counts.live == 0) return "";
    return "; whether its blocks lie within the origin was not checked (--origin ORIGIN)";
  }

  std::string corrected() const {
    std::string text = fmt::format("Corrected: this cache is safe to activate now{}.", what_was_not_checked());
    if (options_.undo.empty()) return text;
    return text +
           fmt::format(" {} takes the repair back.", command(options_, "--apply-undo " + shell_word(options_.undo)));
  }

  /// The cache is whole, but not for this machine.
  std::string refused_though_sound() const {
    return fmt::format(
        "The cache is sound, but the driver of this machine refuses blocks of {} bytes: activate it where pages are "
        "that "
        "large, or drain it here with `wc-flush`.",
        report_.superblock->block_size);
  }

  /// Beside an error even what looks like residue may be wanted.
  std::string what_preen_did() const {
    return options_.mode() == RepairMode::preen ? " -p changed nothing: it leaves a cache with an error alone." : "";
  }

  std::string problem() const {
    if (is_no_place_for_a_cache()) {
      return "the device is too small for a cache; look whether it is the right one, and the right --start-sector.";
    }
    if (has_only(FindingCode::block_size_mismatch)) {
      return fmt::format(
          "the block size of the table line is not the superblock's; with {} the cache can be activated.",
          report_.superblock->block_size);
    }
    if (has(FindingCode::block_size_mismatch) && report_.geometry) {
      return fmt::format(
          "the block size of the table line is not the superblock's, and there is more; look again with {}.",
          command(options_, fmt::format("--block-size {}", report_.superblock->block_size)));
    }
    if (report_.candidates.size() > 1) {
      return fmt::format("more than one superblock fits, so nothing was changed; choose one with {}.",
                         repair_command("--rebuild-superblock --block-size N --blocks N --seq-count N"));
    }
    if (is_without_superblock() && report_.candidates.empty()) return beyond_repair();
    if (options_.mode() == RepairMode::repair) {
      return fmt::format(
          "problems remain that this command cannot repair; copy the device before you try anything else.");
    }
    if (has(FindingCode::area_too_small)) {
      return fmt::format(
          "more blocks are named than the device holds; if it was larger give it back its size first, else the number "
          "is "
          "wrong and {} corrects it.",
          repair_command());
    }
    if (has(FindingCode::beyond_origin)) {
      return fmt::format(
          "blocks belong behind the end of this origin; look whether it is the right one and has its full size, and "
          "only "
          "if they may be lost free them with {}.",
          repair_command());
    }
    if (has_only(FindingCode::interrupted_format)) {
      return fmt::format("a format was not finished, and nothing is in the cache; finish it with {}.",
                         repair_command());
    }
    if (has(FindingCode::future)) {
      return fmt::format("entries are newer than the superblock; {} frees them as activation would, {} keeps them.",
                         repair_command(), repair_command("--future=commit"));
    }
    return fmt::format("activation loses data or destroys the evidence; repair it with {}.", repair_command());
  }

  /// Nothing that the driver would accept, and no one superblock that could be written instead.
  std::string beyond_repair() const {
    if (has(FindingCode::area_too_small)) {
      return "its blocks do not fit on the device, which must have been larger: give it back its size, or work on a "
             "copy "
             "that has it; -y cannot help.";
    }
    return "the superblock is damaged and the entries do not tell enough to rebuild it; copy the device before you try "
           "anything else.";
  }

  bool is_no_place_for_a_cache() const {
    return !report_.superblock || (report_.activation.outcome == Activation::Outcome::refuses &&
                                   report_.activation.driver_message == "Invalid device size");
  }

  bool is_without_superblock() const {
    const bool is_mismatch = has_only(FindingCode::block_size_mismatch);
    const bool is_lost = report_.activation.outcome == Activation::Outcome::refuses ||
                         report_.activation.outcome == Activation::Outcome::formats;
    return is_lost && !is_mismatch && !has_only(FindingCode::interrupted_format) && !has_only(FindingCode::future);
  }

  const CheckCommandOptions& options_;
  const CheckReport& report_;
  const std::vector<Finding>& problems_;
};

}  // namespace

std::string conclusion(const CheckCommandOptions& options, const CheckReport& report) {
  return Conclusion(options, report).text();
}

std::string conclusion_of_undo(const CheckCommandOptions& options, std::uint64_t restored_bytes) {
  if (restored_bytes == 0) return "Nothing was changed.";
  return fmt::format("The cache is as it was before the repair: run {} before you activate it.", command(options, ""));
}

}  // namespace wc::tools
