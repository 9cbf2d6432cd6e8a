// SPDX-License-Identifier: LGPL-2.1-or-later
// The numbers of a live cache in words.
#include "common/status_words.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/status_numbers.hpp"
#include "common/text.hpp"

namespace wc::tools {
namespace {

class Words {
 public:
  Words(const EngineStatus& status, const StatusContext& context) : status_(status), context_(context) {}

  std::string meaning_of(std::uint64_t EngineStatus::*member) const;
  StatusState state() const;

 private:
  std::uint64_t used() const { return status_.n_blocks - std::min(status_.free, status_.n_blocks); }

  /// "156.3 MiB", or "40000 blocks" where the size of a block is not known.
  std::string size_of(std::uint64_t blocks) const {
    return context_.block_bytes ? human_bytes(blocks * *context_.block_bytes) : counted(blocks, "block", "blocks");
  }
  std::string share(std::uint64_t part, std::uint64_t whole, const char* of_what) const {
    return fmt::format("{}, {} {}", size_of(part), human_percent(part, whole), of_what);
  }
  std::string threshold(std::optional<unsigned> known, unsigned otherwise) const {
    return fmt::format("{} %{}", known.value_or(otherwise), known ? "" : " (the driver's default)");
  }
  std::string high() const {
    return threshold(context_.high_watermark_percent, EngineOptions{}.high_watermark_percent);
  }
  std::string low() const { return threshold(context_.low_watermark_percent, EngineOptions{}.low_watermark_percent); }

  StatusState failed() const;
  StatusState draining() const;
  StatusState filled() const;

  const EngineStatus& status_;
  const StatusContext& context_;
};

std::string Words::meaning_of(std::uint64_t EngineStatus::*member) const {
  const EngineStatus& s = status_;
  if (member == &EngineStatus::error) {
    return s.error == 0 ? "none" : "a device failed: writes and flushes fail, reads go on; it stays set";
  }
  if (member == &EngineStatus::n_blocks) {
    return context_.block_bytes
               ? fmt::format("{} in blocks of {}", size_of(s.n_blocks), human_bytes(*context_.block_bytes))
               : "blocks of the cache; the table line tells their size";
  }
  if (member == &EngineStatus::free) {
    return fmt::format("{}; used: {}", share(s.free, s.n_blocks, "of the cache"), share(used(), s.n_blocks, "of it"));
  }
  if (member == &EngineStatus::writeback) {
    return s.writeback == 0 ? "nothing is being written back to the origin"
                            : fmt::format("{} on the way to the origin", size_of(s.writeback));
  }
  if (member == &EngineStatus::reads) return fmt::format("{} read since the start or `clear_stats`", size_of(s.reads));
  if (member == &EngineStatus::read_hits) {
    return fmt::format("{}; the rest came from the origin",
                       share(s.read_hits, s.reads, "of the reads, from the cache"));
  }
  if (member == &EngineStatus::writes)
    return fmt::format("{} written since the start or `clear_stats`", size_of(s.writes));
  if (member == &EngineStatus::write_hits_uncommitted) {
    return fmt::format("{} overwrote blocks of the unfinished commit",
                       human_percent(s.write_hits_uncommitted, s.writes));
  }
  if (member == &EngineStatus::write_hits_committed) {
    return fmt::format("{} overwrote committed blocks", human_percent(s.write_hits_committed, s.writes));
  }
  if (member == &EngineStatus::writes_around) {
    return s.writes_around == 0 ? "no write went past the cache, straight to the origin"
                                : share(s.writes_around, s.writes, "of the writes, past the cache to the origin");
  }
  if (member == &EngineStatus::writes_allocated) {
    return share(s.writes_allocated, s.writes, "of the writes, took a free block");
  }
  if (member == &EngineStatus::writes_blocked_on_freelist) {
    return s.writes_blocked_on_freelist == 0
               ? "no write had to wait for a free block"
               : "writes that waited for a free block: the cache is too small or the origin "
                 "too slow";
  }
  if (member == &EngineStatus::flushes) return "requests to make everything durable";
  return fmt::format("{} discarded", size_of(s.discards));
}

StatusState Words::failed() const {
  std::string meaning =
      "The first I/O error stopped all writing for good: writes, flushes and discards fail with EIO, reads go on.";
  if (context_.details && context_.details->first_error) {
    meaning += " It was: " + printable(context_.details->first_error->message()) + ".";
  }
  meaning += fmt::format(" {} may be newer in the cache than on the origin.", size_of(used()));
  return {
      "failed", meaning,
      "Stop using it and deactivate it, find the failing device in the kernel log, then `wc-check` and `wc-flush`."};
}

StatusState Words::draining() const {
  if (context_.details && context_.details->is_cleaner) {
    return {"draining",
            fmt::format("The cleaner writes everything back and caches no more writes: {} to go.", size_of(used())),
            "Wait."};
  }
  return {
      "draining",
      fmt::format("{} are being written back to the origin. {} of the cache are used; it goes on until that is below "
                  "{}, or nothing after a flush.",
                  size_of(status_.writeback), human_percent(used(), status_.n_blocks), low()),
      "Nothing, or wait. Do not remove the cache yet."};
}

StatusState Words::filled() const {
  constexpr const char* kKeep = "Do not remove the cache before it is drained (message `flush` or `cleaner`).";
  if (status_.free == 0) {
    return {"full",
            context_.type == CacheType::pmem ? "No block is free: new writes wait until blocks are written back."
            : context_.type
                ? "No block is free: new writes go past the cache, at the origin's speed."
                : "No block is free: new writes go past the cache at the origin's speed (type s) or wait (type p).",
            kKeep};
  }
  std::string meaning =
      fmt::format("Writes collect in the cache: {} are newer there than on the origin", size_of(used()));
  const std::uint64_t uncommitted = context_.details ? context_.details->uncommitted : 0;
  if (uncommitted != 0) meaning += fmt::format(", {} of them not yet committed", size_of(uncommitted));
  return {"filling", meaning + fmt::format(". Writeback begins at {} used.", high()), kKeep};
}

StatusState Words::state() const {
  const EngineDetails* const details = context_.details ? &*context_.details : nullptr;
  if (status_.error != 0) return failed();
  if (context_.is_read_only) {
    return {"read-only", "The merged view: nothing is written to either device, and nothing is written back.", ""};
  }
  if (details != nullptr && details->is_suspended) {
    return {"suspended", "All is committed, and requests wait.", "`resume` lets them go on."};
  }
  const bool writes_back = details != nullptr && (details->is_draining || details->is_cleaner);
  if (status_.writeback != 0 || (writes_back && used() != 0)) return draining();
  if (used() != 0) return filled();
  if (details != nullptr && details->is_cleaner) {
    return {"drained", "The cleaner has written everything back: the origin holds all data.",
            "The cache can be removed."};
  }
  return {"empty", "The origin holds all data; the cache waits for writes.", ""};
}

}  // namespace

std::vector<StatusWord> words_of_status(const EngineStatus& status, const StatusContext& context) {
  const Words words(status, context);
  std::vector<StatusWord> result;
  for (const StatusNumber& number : status_numbers()) {
    if (!context.has_counters && result.size() == kOldStatusNumbers) break;
    result.push_back({number.name, status.*number.member, words.meaning_of(number.member)});
  }
  return result;
}

StatusState state_of_status(const EngineStatus& status, const StatusContext& context) {
  return Words(status, context).state();
}

}  // namespace wc::tools
