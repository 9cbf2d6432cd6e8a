// SPDX-License-Identifier: LGPL-2.1-or-later
// The damaged caches that are repaired, and repairs undone.
#include "repair_cases.hpp"

#include <algorithm>
#include <utility>

#include "sim/image_builder.hpp"
#include "sim/oracle.hpp"
#include "sim/random.hpp"

namespace wc::crash {
namespace {

using sim::Bytes;
using sim::ImageBuilder;

constexpr Sequence kS = 40;
constexpr std::uint64_t kOriginBlocks = 20;

/// Entries over several sectors of metadata, so that a torn repair leaves some of them old.
std::uint64_t block_count(std::uint32_t block_bytes) { return block_bytes == 512 ? 72 : 34; }

Bytes zeros(std::size_t count) { return Bytes(count); }

Bytes u32(std::uint32_t value) {
  Bytes bytes(4);
  sim::store_u32(bytes, 0, value);
  return bytes;
}

Bytes u64(std::uint64_t value) {
  Bytes bytes(8);
  sim::store_u64(bytes, 0, value);
  return bytes;
}

class Cases {
 public:
  Cases(std::uint64_t seed, std::uint32_t block_bytes) : seed_(seed), block_bytes_(block_bytes) {}

  std::vector<RepairCase> make() {
    residue();
    padding();
    wiped();
    wrong_fields();
    interrupted_formats();
    future();
    identical();
    misplaced();
    exhausted();
    mixed();
    return std::move(cases_);
  }

 private:
  /// Live entries, some of them stale where two fell on one sector.
  ImageBuilder builder(unsigned uncommitted_one_in = 0, std::uint64_t n_blocks = 0) {
    sim::Random random(seed_ ^ sim::mix_bits(cases_.size() + block_bytes_));
    sim::RandomImageOptions options;
    options.block_bytes = block_bytes_;
    options.n_blocks = n_blocks != 0 ? n_blocks : block_count(block_bytes_);
    options.origin_sectors = kOriginBlocks * (block_bytes_ / kSectorBytes);
    options.seq_count = kS;
    options.uncommitted_one_in = uncommitted_one_in;
    return sim::random_image(random, options);
  }
  /// Larger blocks change little about faults: only those damages where everything happens.
  static bool is_thorough(const std::string& name) { return name == "misaligned" || name == "mixed-1"; }
  Sector sector(std::uint64_t block) const { return block * (block_bytes_ / kSectorBytes); }

  RepairCase& add(const std::string& name, const ImageBuilder& damaged, RepairMode mode = RepairMode::repair) {
    RepairCase repair;
    repair.name = name + "-" + std::to_string(block_bytes_);
    repair.cache = damaged.build();
    repair.origin = sim::make_origin(sector(kOriginBlocks));
    repair.sound = repair.cache;
    repair.options.mode = mode;
    repair.options.memory_bytes = kMemoryBytesMin;
    repair.logical_block_bytes = block_bytes_;  // blocks of 4096 bytes on a disk that writes no less
    repair.sweeps_faults = block_bytes_ == 512 || is_thorough(name);
    return cases_.emplace_back(std::move(repair));
  }

  static Sequence highest_sequence(const Bytes& cache) {
    const auto reference = sim::read_reference(cache);
    Sequence highest = 0;
    for (const auto& entry : reference->entries) {
      if (entry.seq_count != kFreeSequence) highest = std::max(highest, entry.seq_count);
    }
    return highest;
  }
  /// `sound` gets the superblock that the entries prove: S above all of them.
  static void prove_sequence(RepairCase& repair) {
    sim::store_u64(repair.sound, 24, highest_sequence(repair.sound) + 1);
  }

  void residue() {
    add("residue", builder(6));
    add("preen", builder(6), RepairMode::preen);
    add("preen-without-log", builder(6), RepairMode::preen).has_undo = false;
    auto& refused = add("preen-refused", builder(6).entry(3, sector(3), kS + 4), RepairMode::preen);
    refused.is_refused = true;
    // Neither the superblock nor the entries tell what this was.
    auto& lost = add("lost-refused", builder().bytes_at(0, sim::pattern(sim::mix_bits(seed_), 2 * kSectorBytes)));
    lost.is_refused = true;
  }

  void padding() { add("padding", builder(6).pad(7).padding(0, std::byte{1}).padding(31, std::byte{0xff})); }

  /// `wiped_bytes` of zeros over the beginning, as other programs leave them that take the device.
  RepairCase& add_wiped(const std::string& name, const ImageBuilder& image, std::size_t wiped_bytes) {
    auto damaged = image;
    damaged.bytes_at(0, zeros(wiped_bytes));
    auto survivors = image;
    // With a newer block of sector 0 about, zeroed entries that came to life could not be told.
    const auto whole = sim::read_reference(image.build());
    for (BlockIndex index = 0; index < whole->entries.size(); ++index) {
      if (whole->entries[index].original_sector != 0) continue;
      damaged.freed_entry(index, 0);
      survivors.freed_entry(index, 0);
    }
    for (BlockIndex index = 0; image.entry_offset_bytes(index) < wiped_bytes && index < image.block_count(); ++index) {
      survivors.freed_entry(index, 0);
    }
    auto& repair = add(name, damaged);
    repair.sound = survivors.build();
    prove_sequence(repair);
    return repair;
  }

  void wiped() {
    add_wiped("wiped-superblock", builder(), 64);
    // More sectors than that of the superblock: their entries must be free before it makes them valid.
    add_wiped("wiped-sectors", builder(0, block_bytes_ == 512 ? 72 : 100), 1024).is_canary = true;
    if (block_bytes_ == 512) add_wiped("wiped-by-lvm", builder(0, 300), 4096);
    auto& stopped = add_wiped("wiped-sequence-named", builder(4), 64);
    stopped.options.rebuild_seq_count = kS;
    sim::store_u64(stopped.sound, 24, kS);
  }

  /// One field of the superblock is wrong; the repair finds the right one.
  RepairCase& add_wrong(const std::string& name, std::uint64_t offset_bytes, Bytes value) {
    const auto image = builder(6);
    auto damaged = image;
    damaged.bytes_at(offset_bytes, std::move(value));
    auto& repair = add(name, damaged);
    repair.sound = image.build();
    return repair;
  }

  void wrong_fields() {
    add_wrong("bad-magic", 0, u32(0x2348'9320));
    add_wrong("bad-version", 4, u32(2));
    add_wrong("bad-block-size", 8, u32(3));
    add_wrong("bad-n-blocks", 16, u64(block_count(block_bytes_) * 5));
    add_wrong("zero-blocks", 16, u64(0));
    auto& mismatch = add_wrong("block-size-mismatch", 8, u32(block_bytes_ == 512 ? 1024 : 512));
    mismatch.options.table_block_bytes = block_bytes_;
    mismatch.options.rebuild_superblock = true;
  }

  void interrupted_formats() {
    const auto n_blocks = block_count(block_bytes_);
    auto& blank = add("interrupted-format", ImageBuilder(block_bytes_, n_blocks).magic(0));
    sim::store_u32(blank.sound, 0, kMagic);
    // Two superblocks would fit: only the user knows which.
    add("interrupted-over-older", builder(6).magic(0).seq_count(0)).is_refused = true;
    auto& older = add("interrupted-older-wanted", builder().magic(0).seq_count(0));
    older.options.rebuild_seq_count = kS;
    sim::store_u32(older.sound, 0, kMagic);
    sim::store_u64(older.sound, 24, kS);
  }

  void future() {
    auto image = builder(6);
    image.entry(1, sector(1), kS + 1).entry(30, sector(2), kS + 2).entry(33, sector(1), kS + 3);
    add("future-dropped", image);
    auto& committed = add("future-committed", image);
    committed.options.future = FuturePolicy::commit;
    prove_sequence(committed);
  }

  void identical() {
    const auto other = sector(5);
    add("identical-other-data", builder(6).entry(2, other, kS - 1).entry(33, other, kS - 1));
    const auto same = sim::pattern(77, block_bytes_);
    add("identical-equal-data",
        builder().entry(2, other, kS - 1).entry(33, other, kS - 1).block(2, same).block(33, same));
    add("identical-three", builder(6)
                               .entry(2, other, kS - 1)
                               .entry(20, other, kS - 1)
                               .entry(33, other, kS - 1)
                               .entry(32, other, kS - 2)
                               .block(20, sim::pattern(78, block_bytes_)));
  }

  void misplaced() {
    // Each has an older entry in another sector of the metadata, which must not come back to life.
    const auto beyond = sector(kOriginBlocks + 3);
    const auto absurd = kSectorLimit + sector(7);
    add("beyond-origin", builder(6).entry(1, beyond, 9).entry(32, beyond, 8).entry(33, beyond + sector(1), 7));
    add("out-of-range", builder(6).entry(2, absurd, 8).entry(32, absurd, 9).entry(0, kFreeSequence - 8, 3));
    auto& unknown = add("without-origin", builder(6).entry(2, absurd, 8).entry(32, absurd, 9).entry(3, beyond, 5));
    unknown.origin.clear();
    if (block_bytes_ == 512) return;
    add("misaligned", builder(6).entry(2, sector(4) + 1, 8).entry(32, sector(4) + 1, 9).entry(3, sector(9) + 7, 2))
        .is_canary = true;
  }

  void exhausted() {
    const Sequence late = kFreeSequence - 5;
    auto image = builder();
    image.seq_count(late).entry(1, sector(2), late).entry(2, sector(3), late - 1).entry(33, sector(3), late - 2);
    add("exhausted", image).is_canary = true;
  }

  void mixed() {
    for (unsigned round = 0; round < 2; ++round) {
      sim::Random random(seed_ * 4 + round);
      sim::RandomImageOptions options;
      options.block_bytes = block_bytes_;
      options.n_blocks = block_count(block_bytes_);
      options.origin_sectors = sector(kOriginBlocks);
      options.seq_count = kS;
      options.uncommitted_one_in = 8;
      options.future_one_in = 12;
      options.misaligned_one_in = 12;
      options.beyond_origin_one_in = 8;
      options.identical_one_in = 8;
      auto& repair = add("mixed-" + std::to_string(round), sim::random_image(random, options).pad(3));
      if (round == 0) continue;
      repair.options.future = FuturePolicy::commit;
      if (highest_sequence(repair.sound) > kS) prove_sequence(repair);
    }
  }

  std::uint64_t seed_;
  std::uint32_t block_bytes_;
  std::vector<RepairCase> cases_;
};

}  // namespace

std::vector<RepairCase> repair_cases(std::uint64_t seed) {
  auto cases = Cases(seed, 512).make();
  auto larger = Cases(seed + 1, 4096).make();
  // The disk most common of all: it can write an eighth of such a block, and tears a repair elsewhere.
  for (const auto* name : {"wiped-sectors", "misaligned", "exhausted", "mixed-0", "mixed-1"}) {
    const auto same = [name](const RepairCase& repair) { return repair.name == name + std::string("-4096"); };
    auto repair = *std::find_if(larger.begin(), larger.end(), same);
    repair.name = name + std::string("-small-sectors-4096");
    repair.logical_block_bytes = 512;
    repair.is_canary = false;
    cases.push_back(std::move(repair));
  }
  std::move(larger.begin(), larger.end(), std::back_inserter(cases));
  return cases;
}

}  // namespace wc::crash
