// SPDX-License-Identifier: LGPL-2.1-or-later
// The rules of wc-check: which findings a superblock and its entries give, with their words.
#include "ops/findings.hpp"

#include <algorithm>
#include <string>

#include "ops/activation.hpp"

namespace wc {

const char* to_string(FindingCode code) noexcept {
  switch (code) {
    case FindingCode::uncommitted: return "uncommitted";
    case FindingCode::stale: return "stale";
    case FindingCode::spare_room: return "spare-room";
    case FindingCode::pad_not_zero: return "pad-not-zero";
    case FindingCode::blank: return "blank";
    case FindingCode::zeroed_superblock: return "zeroed-superblock";
    case FindingCode::interrupted_format: return "interrupted-format";
    case FindingCode::bad_magic: return "bad-magic";
    case FindingCode::bad_version: return "bad-version";
    case FindingCode::bad_block_size: return "bad-block-size";
    case FindingCode::block_size_mismatch: return "block-size-mismatch";
    case FindingCode::bad_n_blocks: return "bad-n-blocks";
    case FindingCode::area_too_small: return "area-too-small";
    case FindingCode::future: return "future";
    case FindingCode::identical: return "identical";
    case FindingCode::misaligned: return "misaligned";
    case FindingCode::out_of_range: return "out-of-range";
    case FindingCode::beyond_origin: return "beyond-origin";
    case FindingCode::sequence_exhausted: return "sequence-exhausted";
  }
  return "unknown";
}

const char* to_string(Severity severity) noexcept {
  switch (severity) {
    case Severity::info: return "info";
    case Severity::warning: return "warning";
    case Severity::error: return "error";
  }
  return "unknown";
}

const char* to_string(Activation::Outcome outcome) noexcept {
  switch (outcome) {
    case Activation::Outcome::loads: return "loads";
    case Activation::Outcome::formats: return "formats";
    case Activation::Outcome::refuses: return "refuses";
    case Activation::Outcome::loads_with_error: return "loads-with-error";
  }
  return "unknown";
}

const char* to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::clean: return "clean";
    case Verdict::blank: return "blank";
    case Verdict::damaged: return "damaged";
    case Verdict::repaired: return "repaired";
  }
  return "unknown";
}

bool has_errors(const std::vector<Finding>& findings) noexcept {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.severity == Severity::error; });
}

namespace ops {
namespace {

using Code = FindingCode;

std::string number(std::uint64_t value) { return std::to_string(value); }

std::string hex(std::uint32_t value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "0x";
  for (int shift = 28; shift >= 0; shift -= 4) text += kDigits[(value >> shift) & 15U];
  return text;
}

class Rules {
 public:
  explicit Rules(const Examined& examined) : in_(examined) {}

  std::vector<Finding> run() {
    if (!in_.superblock) {
      add(Code::area_too_small, Severity::error,
          "the device holds only " + number(in_.area_bytes) +
              " bytes, less than a superblock (is it the right device?)",
          driver::kInvalidDeviceSize);
    } else {
      const bool has_room = has_room_for_a_block(*in_.superblock);
      if (in_.superblock->magic != 0 || in_.superblock->version != 0) {
        superblock_fields(*in_.superblock, has_room);
      } else if (has_room) {
        without_superblock(*in_.superblock);
      }
    }
    if (in_.scan != nullptr && is_sound()) entries(*in_.scan);
    std::stable_sort(out_.begin(), out_.end(), [](const Finding& a, const Finding& b) {
      if (a.severity != b.severity) return a.severity > b.severity;
      return a.code < b.code;
    });
    return std::move(out_);
  }

 private:
  void add(Code code, Severity severity, std::string message, std::string driver_message = "") {
    Finding finding;
    finding.code = code;
    finding.severity = severity;
    finding.message = std::move(message);
    finding.driver_message = std::move(driver_message);
    out_.push_back(std::move(finding));
  }

  void add_entries(Code code, Severity severity, std::uint64_t count,
                   const std::vector<BlockIndex>& first, std::string message, const std::string& driver_message = "") {
    if (count == 0) return;
    add(code, severity, number(count) + (count == 1 ? " entry" : " entries") + std::move(message), driver_message);
    out_.back().count = count;
    out_.back().entries = first;
  }

  /// True if the driver would read the entries.
  bool is_sound() const {
    return in_.geometry && in_.superblock->magic == kMagic && in_.superblock->version == kVersion;
  }

  /// The driver asks for it before it looks at the superblock; where there is none, that is what it complains of.
  bool has_room_for_a_block(const Superblock& superblock) {
    if (in_.area_bytes >= 2 * kMaxBlockBytes) return true;
    const std::uint32_t stored = is_valid_block_size(superblock.block_size) ? superblock.block_size : kMinBlockBytes;
    const std::uint32_t block_bytes = in_.table_block_bytes.value_or(stored);
    if (!is_valid_block_size(block_bytes) || capacity_blocks(in_.area_bytes, block_bytes)) return true;
    add(Code::area_too_small, Severity::error,
        "the device holds only " + number(in_.area_bytes) + " bytes, too little for one block of " +
            number(block_bytes) + " bytes (is it the right device?)",
        driver::kInvalidDeviceSize);
    return false;
  }

  bool has_candidates_with_data() const {
    return in_.candidates != nullptr &&
           std::any_of(in_.candidates->begin(), in_.candidates->end(),
                       [](const RebuildCandidate& candidate) { return candidate.committed != 0; });
  }

  std::string rebuild_hint() const {
    if (in_.candidates == nullptr || in_.candidates->empty()) {
      return "; the entries behind it do not tell enough to rebuild it";
    }
    if (in_.candidates->size() > 1) {
      return "; " + number(in_.candidates->size()) +
             " superblocks would fit (choose with --rebuild-superblock --block-size, --blocks or "
             "--seq-count)";
    }
    return " (rebuild it: -y --rebuild-superblock --undo FILE)";
  }

  void without_superblock(const Superblock&) {
    if (has_candidates_with_data()) {
      add(Code::zeroed_superblock, Severity::error,
          "the superblock is zeroed but entries with data stand behind it: do not activate this device, the "
          "driver would format it and lose them" +
              rebuild_hint());
    } else if (in_.has_data_of_other_layout) {
      add(Code::zeroed_superblock, Severity::error,
          "the superblock is zeroed but entries with data stand behind it, which do not fit the block size that was "
          "given: do not activate this device, the driver would format it and lose them (run wc-check without "
          "--block-size and --blocks)");
    } else {
      add(Code::blank, Severity::info, "no writecache: magic and version are zero and no entries stand behind");
    }
  }

  bool is_interrupted_format(const Superblock& superblock) const {
    return superblock.magic == 0 && superblock.version == kVersion && in_.geometry && in_.scan != nullptr &&
           in_.scan->counts().free == in_.geometry->n_blocks;
  }

  void superblock_fields(const Superblock& superblock, bool has_room) {
    if (is_interrupted_format(superblock)) {
      add(Code::interrupted_format, Severity::error,
          "a format was interrupted before its last step; nothing is in the cache (finish it: -y, or "
          "wc-format)",
          driver::kInvalidMagic);
    } else if (superblock.magic != kMagic) {
      add(Code::bad_magic, Severity::error,
          "the magic is " + hex(superblock.magic) + ", not " + hex(kMagic) + rebuild_hint(),
          driver::kInvalidMagic);
    }
    if (superblock.version != kVersion) {
      add(Code::bad_version, Severity::error,
          "the version is " + number(superblock.version) + ", not 1" + rebuild_hint(),
          driver::kInvalidVersion);
    }
    block_size(superblock, has_room);
    if (superblock.seq_count >= kSequenceExhausted) {
      add(Code::sequence_exhausted, Severity::error,
          "the sequence " + number(superblock.seq_count) +
              " is about to run out: later commits would look like free entries (renumber: -y)");
    }
    if (superblock.has_nonzero_padding()) {
      add(Code::pad_not_zero, Severity::warning,
          "the superblock's padding is not zero; the driver never reads it (-y clears it)");
    }
  }

  void block_size(const Superblock& superblock, bool has_room) {
    if (!is_valid_block_size(superblock.block_size)) {
      add(Code::bad_block_size, Severity::error,
          "the block size " + number(superblock.block_size) +
              " is not a power of two from 512 to 65536" + rebuild_hint(),
          driver::kBlockSizeMismatch);
      // Without a block size only the impossible counts are certain.
      if (superblock.n_blocks == 0 || superblock.n_blocks >= kMaxBlocks) block_count(superblock, kMinBlockBytes, has_room);
      return;
    }
    if (in_.table_block_bytes && *in_.table_block_bytes != superblock.block_size) {
      add(Code::block_size_mismatch, Severity::error,
          "the superblock says blocks of " + number(superblock.block_size) + " bytes, the table line " +
              number(*in_.table_block_bytes) + " (correct the table line, unless the superblock is wrong" +
              (in_.candidates != nullptr && in_.candidates->size() == 1
                   ? ": -y --rebuild-superblock --block-size " + number(*in_.table_block_bytes)
                   : "") +
              ")",
          driver::kBlockSizeMismatch);
    }
    block_count(superblock, superblock.block_size, has_room);
  }

  void block_count(const Superblock& superblock, std::uint32_t block_bytes, bool has_room) {
    const std::string count = number(superblock.n_blocks);
    switch (block_count_fault(superblock.n_blocks, block_bytes, in_.area_bytes)) {
      case BlockCountFault::zero:
        add(Code::bad_n_blocks, Severity::error, "the number of blocks is 0" + rebuild_hint(),
            driver::kNoMemory);
        return;
      case BlockCountFault::overflow:
        add(Code::bad_n_blocks, Severity::error,
            "the number of blocks, " + count + ", is beyond any device" + rebuild_hint(), driver::kOverflow);
        return;
      case BlockCountFault::too_large:
        if (!has_room && superblock.n_blocks < kMaxBlocks) return;  // said already
        add(superblock.n_blocks >= kMaxBlocks ? Code::bad_n_blocks : Code::area_too_small, Severity::error,
            count + " blocks of " + number(block_bytes) + " bytes do not fit in " + number(in_.area_bytes) +
                " bytes: the device has shrunk or the superblock is wrong" + rebuild_hint(),
            driver::kAreaTooSmall);
        return;
      case BlockCountFault::none: break;
    }
    const auto capacity = capacity_blocks(in_.area_bytes, block_bytes);
    if (in_.geometry && capacity && *capacity > superblock.n_blocks) {
      add(Code::spare_room, Severity::info,
          number(*capacity) + " blocks would fit, " + count + " are used: the device has grown since it was formatted");
    }
  }

  void entries(const store::Scan& scan) {
    const EntryCounts& counts = scan.counts();
    const store::ScanSamples& first = scan.samples();
    add_entries(Code::uncommitted, Severity::info, counts.uncommitted, first.uncommitted,
                " written since the last commit: normal after a crash, activation drops them");
    add_entries(Code::stale, Severity::info, counts.stale - scan.identical_losers(), first.stale,
                " superseded by newer ones of the same sector: normal after a crash");
    add_entries(Code::future, Severity::error, counts.future, first.future,
                " with a sequence above the superblock's: a superblock write was lost, or they are damaged. "
                "Activation would drop them (so does -y; --future=commit keeps them)");
    add_entries(Code::identical, Severity::error, counts.identical, first.identical,
                " that claim the same sector with the same sequence: activation would keep the last one, set the "
                "error flag and destroy the evidence",
                in_.identical_message);
    add_entries(Code::misaligned, Severity::error, counts.misaligned, first.misaligned,
                " whose sector is no multiple of the block size: reads around it fail (-y frees it and saves "
                "its data in the undo file)");
    add_entries(Code::out_of_range, Severity::error, counts.out_of_range, first.out_of_range,
                " beyond any device: the driver may hang (-y frees it and saves its data in the undo file)");
    add_entries(Code::beyond_origin, Severity::error, counts.beyond_origin, first.beyond_origin,
                " behind the end of the origin: is it the right origin, has it shrunk? The driver would drop the "
                "data without a word (-y frees it and saves its data in the undo file)");
  }

  const Examined& in_;
  std::vector<Finding> out_;
};

}  // namespace

std::vector<Finding> find_all(const Examined& examined) { return Rules(examined).run(); }

std::string identical_message(const store::IdenticalPair& pair, const Entry& kept_entry) {
  return "two identical entries, position " + number(pair.kept) + ", sector " +
         number(kept_entry.original_sector) + ", sequence " + number(kept_entry.seq_count);
}

}  // namespace ops
}  // namespace wc
