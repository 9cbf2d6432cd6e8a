// SPDX-License-Identifier: LGPL-2.1-or-later
// wc-format under power cuts: the old cache, or nothing that anybody takes for a cache with data.
#include "writecache/format.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "scenarios.hpp"
#include "sim/image_builder.hpp"
#include "sim/oracle.hpp"
#include "sim/random.hpp"
#include "stopping_observer.hpp"
#include "writecache/check.hpp"

namespace wc::crash {
namespace {

using sim::Bytes;
using sim::ImageBuilder;
using sim::Machine;
using sim::MachineImage;
using sim::MergedContent;

class VectorSource final : public EntrySource {
 public:
  explicit VectorSource(std::vector<Item> items) : items_(std::move(items)) {}
  Result<std::optional<Item>> next() override {
    if (at_ == items_.size()) return std::optional<Item>{};
    return std::optional<Item>{items_[at_++]};
  }

 private:
  std::vector<Item> items_;
  std::size_t at_ = 0;
};

/// Options of a format, and the entries it restores, by value.
struct Wish {
  FormatOptions options;
  std::optional<std::vector<EntrySource::Item>> restored;
};

sim::Operation format_operation(const Wish& wish) {
  return [wish](Machine&, IoPort& port) -> Result<sim::Said> {
    auto options = wish.options;
    VectorSource source(wish.restored.value_or(std::vector<EntrySource::Item>{}));
    if (wish.restored) options.entries = &source;
    Observer observer;
    auto report = format(port, options, observer);
    if (!report) return report.error();
    return sim::Said{};
  };
}

/// Stopped at every place where the observer is asked, one after the other, then finished.
sim::Operation stopped_format_operation(const Wish& wish) {
  return [wish](Machine&, IoPort& port) -> Result<sim::Said> {
    for (std::uint64_t patience = 0;; ++patience) {
      StoppingObserver observer(patience);
      auto report = format(port, wish.options, observer);
      if (report) return sim::Said{};
      if (report.error().code != ErrorCode::cancelled) return report.error();
    }
  };
}

/// Asks first whether the cache may go, which it may not.
sim::Operation refused_format_operation(const Wish& wish) {
  return [wish](Machine& machine, IoPort& port) -> Result<sim::Said> {
    auto options = wish.options;
    options.overwrite = Overwrite::clean_cache;
    Observer observer;
    auto report = format(port, options, observer);
    if (report) return sim::Said{true, "live blocks were overwritten without leave"};
    if (report.error().code != ErrorCode::dirty) return report.error();
    return format_operation(wish)(machine, port);
  };
}

/// The interrupted run may have finished its work: then there is a clean cache to format over.
Wish again(Wish wish) {
  if (wish.options.overwrite == Overwrite::nothing) wish.options.overwrite = Overwrite::clean_cache;
  return wish;
}

std::string verify_made(const Wish& wish, const MachineImage& end) {
  if (wish.options.wipe) {
    const auto zeros = std::min<std::size_t>(4096, end.cache.size());
    const bool is_zero = std::all_of(end.cache.begin(), end.cache.begin() + static_cast<std::ptrdiff_t>(zeros),
                                     [](std::byte byte) { return byte == std::byte{0}; });
    if (!is_zero) return "the first 4 KiB are not zeros";
    Machine machine(end, {}, 1);
    Observer observer;
    const auto report = check(machine.disk, {}, observer);
    return report && report->verdict == Verdict::blank ? "" : "what is left looks like a cache that lost its superblock";
  }
  const auto made = sim::read_reference(end.cache);
  if (!made) return "no cache was made";
  const auto& superblock = made->superblock;
  if (superblock.block_size != wish.options.block_bytes) return "another block size";
  if (superblock.seq_count != wish.options.seq_count) return "another S";
  if (superblock.has_nonzero_padding()) return "the padding is not zero";
  std::vector<Entry> expected(superblock.n_blocks);
  for (const auto& item : wish.restored.value_or(std::vector<EntrySource::Item>{})) {
    expected.at(item.index) = item.entry;
  }
  for (BlockIndex index = 0; index < superblock.n_blocks; ++index) {
    const auto& entry = made->entries[index];
    if (entry.seq_count != expected[index].seq_count) return "entry " + std::to_string(index) + " differs";
    if (entry.seq_count != kFreeSequence && entry.original_sector != expected[index].original_sector) {
      return "entry " + std::to_string(index) + " has another sector";
    }
  }
  return {};
}

/// Either exactly the old cache, or the new one, or nothing with data.
std::string verify_cut(const Wish& wish, const MachineImage& initial, const MergedContent& old,
                       const MachineImage& image) {
  const auto reference = sim::read_reference(image.cache);
  if (!reference) return {};
  if (sim::merged_content(image.cache, image.origin) == old && sim::read_reference(initial.cache) &&
      sim::read_reference(initial.cache)->live() == reference->live()) {
    return {};
  }
  if (const auto wrong = verify_made(wish, image); !wrong.empty()) {
    return "a cache with data that is neither the old nor the new one: " + wrong;
  }
  return {};
}

sim::Scenario make_scenario(std::string name, Bytes cache, const Wish& wish, std::uint32_t logical_block_bytes = 512) {
  sim::Scenario scenario;
  scenario.name = "format-" + std::move(name);
  scenario.initial = MachineImage{std::move(cache), {}, {}};
  scenario.options.cache_logical_block_bytes = logical_block_bytes;
  scenario.run = format_operation(wish);
  const auto old = sim::merged_content(scenario.initial.cache, {});
  scenario.verify_cut = [wish, initial = scenario.initial, old](const MachineImage& image) {
    return verify_cut(wish, initial, old, image);
  };
  scenario.recoveries.push_back({"formatting again", format_operation(again(wish)),
                                 [wish](const MachineImage& end) { return verify_made(wish, end); }});
  return scenario;
}

Wish wish_for(std::uint32_t block_bytes, Overwrite overwrite) {
  Wish wish;
  wish.options.block_bytes = block_bytes;
  wish.options.overwrite = overwrite;
  return wish;
}

/// Live, stale and uncommitted entries over several sectors of metadata.
ImageBuilder dirty_cache(std::uint64_t seed, std::uint32_t block_bytes, std::uint64_t n_blocks) {
  sim::Random random(seed);
  return sim::random_image(random, {.block_bytes = block_bytes, .n_blocks = n_blocks, .origin_sectors = 4096});
}

}  // namespace

std::vector<sim::Scenario> format_scenarios(std::uint64_t seed) {
  std::vector<sim::Scenario> scenarios;
  const auto add = [&](sim::Scenario scenario) -> sim::Scenario& {
    return scenarios.emplace_back(std::move(scenario));
  };
  sim::Random noise(seed);
  Bytes garbage(1U << 16);
  for (auto& byte : garbage)
    byte = static_cast<std::byte>(noise.below(256));
  add(make_scenario("blank", Bytes(1U << 16), wish_for(512, Overwrite::nothing)));
  add(make_scenario("garbage", garbage, wish_for(512, Overwrite::nothing)));
  add(make_scenario("blank-4096", Bytes(1U << 17), wish_for(4096, Overwrite::nothing), 4096));
  add(make_scenario("clean", ImageBuilder(512, 150).seq_count(9).freed_entry(3, 8).build(),
                    wish_for(512, Overwrite::clean_cache)));
  add(make_scenario("dirty", dirty_cache(seed, 512, 150).build(), wish_for(512, Overwrite::dirty_cache))).is_canary =
      true;
  add(make_scenario("dirty-larger-blocks", dirty_cache(seed + 1, 512, 160).build(),
                    wish_for(4096, Overwrite::dirty_cache)));
  add(make_scenario("dirty-smaller-blocks", dirty_cache(seed + 2, 4096, 40).build(),
                    wish_for(1024, Overwrite::dirty_cache)));
  add(make_scenario("dirty-4096", dirty_cache(seed + 3, 4096, 260).build(), wish_for(4096, Overwrite::dirty_cache),
                    4096));
  const auto dirty_wish = wish_for(512, Overwrite::dirty_cache);
  add(make_scenario("stopped", dirty_cache(seed + 9, 512, 150).build(), dirty_wish)).run =
      stopped_format_operation(dirty_wish);
  add(make_scenario("refused-first", dirty_cache(seed + 10, 512, 150).build(), dirty_wish)).run =
      refused_format_operation(dirty_wish);
  auto wipe = wish_for(4096, Overwrite::dirty_cache);
  wipe.options.wipe = true;
  add(make_scenario("wipe", dirty_cache(seed + 4, 512, 260).build(), wipe)).is_canary = true;
  add(make_scenario("wipe-4096", dirty_cache(seed + 5, 4096, 24).build(), wipe, 4096));
  add(make_scenario("wipe-lost", dirty_cache(seed + 11, 512, 260).superblock({.magic = 0, .version = 0}).build(), wipe));
  add(make_scenario("finish", dirty_cache(seed + 6, 512, 150).magic(0).seq_count(0).build(),
                    wish_for(512, Overwrite::dirty_cache)));
  Wish restore = wish_for(512, Overwrite::dirty_cache);
  restore.options.n_blocks = 120;
  restore.options.seq_count = 77;
  restore.restored.emplace();
  sim::Random random(seed + 7);
  for (BlockIndex index = 0; index < 120; index += 1 + random.below(4)) {
    restore.restored->push_back({index, Entry{random.below(4000), random.below(77)}});
  }
  add(make_scenario("restore", Bytes(1U << 16), restore));
  add(make_scenario("restore-over-dirty", dirty_cache(seed + 8, 512, 150).build(), restore)).is_canary = true;
  return scenarios;
}

}  // namespace wc::crash
