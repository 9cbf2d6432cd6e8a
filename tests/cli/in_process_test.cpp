// SPDX-License-Identifier: LGPL-2.1-or-later
// The commands in this process on simulated disks: failing devices, signals, streams; and the parser of numbers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <streambuf>
#include <string>
#include <utility>
#include <vector>

#include "common/environment.hpp"
#include "common/exit_status.hpp"
#include "common/numbers.hpp"
#include "sim/image_builder.hpp"
#include "sim/machine.hpp"
#include "wc-check/command.hpp"
#include "wc-flush/command.hpp"
#include "wc-format/command.hpp"

namespace wc::tools {
namespace {

using nlohmann::json;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr std::uint64_t kSeed = 1;

/// Hands out the machine's port as if it had been opened.
class SimDevices final : public Devices {
 public:
  explicit SimDevices(sim::Machine& machine) : machine_(machine) {}
  IoPort& port() noexcept override { return machine_.disk; }
  Clock& clock() noexcept override { return machine_.clock; }
  const std::string& cache_path() const noexcept override { return cache_path_; }
  const std::string& origin_path() const noexcept override { return origin_path_; }

 private:
  sim::Machine& machine_;
  std::string cache_path_ = "/sim/cache";
  std::string origin_path_ = "/sim/origin";
};

/// A stream that takes nothing.
class FullBuffer final : public std::streambuf {};

struct Outcome {
  int status = 0;
  std::string out;
  std::string err;
};

/// One machine and the environment of commands that run on it.
class Bench {
 public:
  explicit Bench(const sim::ImageBuilder& cache, Sector origin_sectors = 4096)
      : machine_({cache.build(), sim::make_origin(origin_sectors), {}}, {}, kSeed) {}

  sim::Machine& machine() { return machine_; }
  void cancel_after(int questions) { questions_left_ = questions; }

  Outcome run(ToolMain tool, std::vector<const char*> words) {
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream err;
    Environment environment(in, out, err);
    prepare(environment);
    const int status = tool(words, environment);
    return {status, out.str(), err.str()};
  }

  void prepare(Environment& environment) {
    environment.open_devices = [this](const OpenOptions& options) -> Result<std::unique_ptr<Devices>> {
      opened = options;
      return std::unique_ptr<Devices>(std::make_unique<SimDevices>(machine_));
    };
    environment.probe_signature = [](const DeviceSpec&) { return Result<std::optional<Signature>>(std::nullopt); };
    environment.is_cancelled = [this] { return questions_left_ >= 0 && questions_left_-- <= 0; };
    environment.now_ns = [this] { return time_ns_ += 400'000'000; };
  }

  OpenOptions opened;

 private:
  sim::Machine machine_;
  int questions_left_ = -1;
  std::uint64_t time_ns_ = 0;
};

sim::ImageBuilder populated() {
  sim::ImageBuilder builder(4096, 64);
  builder.seq_count(9);
  for (BlockIndex index = 0; index < 20; ++index)
    builder.entry(index, index * 16, 1 + index % 8);
  return builder;
}

TEST(Numbers, BytesTakeUnitsAndNothingElse) {
  EXPECT_EQ(parse_bytes("0"), 0U);
  EXPECT_EQ(parse_bytes("4096"), 4096U);
  EXPECT_EQ(parse_bytes("8s"), 4096U);
  EXPECT_EQ(parse_bytes("64M"), std::uint64_t{64} << 20);
  EXPECT_EQ(parse_bytes("2g"), std::uint64_t{2} << 30);
  EXPECT_EQ(parse_bytes("16777215T"), std::uint64_t{16777215} << 40);
  EXPECT_EQ(parse_bytes("18446744073709551615"), ~std::uint64_t{0});
  for (const char* text : {"", "K", "-1", "+1", " 1", "1 ", "1.5", "1KB", "1Ki", "0x10", "1S", "1P",
                           "18446744073709551616", "16777216T", "36028797018963968s", "1\n"}) {
    EXPECT_EQ(parse_bytes(text), std::nullopt) << text;
  }
}

TEST(Numbers, SectorsAreBelowTheLimitAndWhole) {
  EXPECT_EQ(parse_sectors("2048"), 2048U);
  EXPECT_EQ(parse_sectors("2048s"), 2048U);
  EXPECT_EQ(parse_sectors("1M"), 2048U);
  EXPECT_EQ(parse_sectors("18014398509481983"), kSectorLimit - 1);
  for (const char* text : {"", "18014398509481984", "8388608T", "-2", "1 "})
    EXPECT_EQ(parse_sectors(text), std::nullopt) << text;
}

TEST(Numbers, RangesHaveACountAndAnEnd) {
  const auto range = parse_range("8+16");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->first, 8U);
  EXPECT_EQ(range->count, 16U);
  EXPECT_FALSE(parse_range("8"));
  ASSERT_TRUE(parse_range("8", 1));
  EXPECT_EQ(parse_range("8", 1)->count, 1U);
  EXPECT_TRUE(parse_range("18014398509481983+1"));
  for (const char* text : {"", "+", "+1", "1+", "1+0", "1+2+3", "18014398509481983+2"})
    EXPECT_FALSE(parse_range(text)) << text;
}

TEST(CheckCommand, OpensForReadingUnlessItRepairs) {
  Bench bench(populated());
  EXPECT_EQ(bench.run(wc_check_main, {"cache"}).status, kExitFine);
  EXPECT_EQ(bench.opened.cache.access, Access::read_shared);
  EXPECT_EQ(bench.run(wc_check_main, {"-y", "--no-undo", "--origin", "o", "cache"}).status, kExitFine);
  EXPECT_EQ(bench.opened.cache.access, Access::write_exclusive);
  EXPECT_EQ(bench.opened.origin->access, Access::read_shared);
}

TEST(CheckCommand, AnUnreadableEntryIsAFailureThatIsTold) {
  Bench bench(populated());
  bench.machine().disk.add_bad_sectors(DeviceId::cache, IoKind::read, 1, 1);
  const Outcome text = bench.run(wc_check_main, {"cache"});
  EXPECT_EQ(text.status, kExitFailure);
  EXPECT_THAT(text.err, HasSubstr("wc-check: /sim/cache: "));
  EXPECT_THAT(text.err, HasSubstr("Input/output error"));
  const Outcome machine = bench.run(wc_check_main, {"--json", "cache"});
  EXPECT_EQ(machine.status, kExitFailure);
  EXPECT_EQ(json::parse(machine.out)["error"]["code"], "io");
}

TEST(CheckCommand, ARepairThatCannotWriteSaysThatItIsUnfinished) {
  Bench bench(populated().entry(40, 8000, 9));
  bench.machine().disk.inject({.device = DeviceId::cache, .kind = IoKind::write, .nth = 0, .persistent = true});
  const Outcome outcome = bench.run(wc_check_main, {"-y", "--no-undo", "cache"});
  EXPECT_EQ(outcome.status, kExitFailure);
  EXPECT_THAT(outcome.err, HasSubstr("run the same command again"));
  bench.machine().disk.clear_faults();
  // The failed write may have reached some sectors: then nothing is left to correct.
  EXPECT_THAT(bench.run(wc_check_main, {"-y", "--no-undo", "cache"}).status, AnyOf(kExitFine, kExitCorrected));
  EXPECT_EQ(bench.run(wc_check_main, {"cache"}).status, kExitFine);
}

TEST(CheckCommand, ASignalIsTheBit32) {
  Bench bench(populated());
  bench.cancel_after(0);
  const Outcome outcome = bench.run(wc_check_main, {"--json", "cache"});
  EXPECT_EQ(outcome.status, kExitCancelled);
  EXPECT_EQ(json::parse(outcome.out)["error"]["code"], "cancelled");
}

TEST(CheckCommand, ProgressIsOneObjectALine) {
  Bench bench(populated());
  std::istringstream lines(bench.run(wc_check_main, {"--progress=json", "cache"}).err);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const json object = json::parse(line);
    EXPECT_TRUE(object["phase"].is_string());
    EXPECT_LE(object["done_bytes"], object["total_bytes"]);
  }
  EXPECT_GT(count, 0);
}

TEST(CheckCommand, AFullOutputIsTheBit8) {
  Bench bench(populated());
  std::istringstream in;
  FullBuffer full;
  std::ostream out(&full);
  std::ostringstream err;
  Environment environment(in, out, err);
  bench.prepare(environment);
  environment.out_errno = [] { return ENOSPC; };
  const std::vector<const char*> words{"cache"};
  EXPECT_EQ(wc_check_main(words, environment), kExitFailure);
  EXPECT_THAT(err.str(), HasSubstr("No space left"));
  // The reader went away: nothing to say.
  std::ostream gone(&full);
  std::ostringstream silence;
  Environment piped(in, gone, silence);
  bench.prepare(piped);
  piped.out_errno = [] { return EPIPE; };
  EXPECT_EQ(wc_check_main(words, piped), kExitFailure);
  EXPECT_EQ(silence.str(), "");
}

TEST(CheckCommand, AnExceptionIsAFailureNotACrash) {
  Bench bench(populated());
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  Environment environment(in, out, err);
  bench.prepare(environment);
  environment.open_devices = [](const OpenOptions&) -> Result<std::unique_ptr<Devices>> { throw std::bad_alloc(); };
  const std::vector<const char*> words{"--json", "cache"};
  EXPECT_EQ(wc_check_main(words, environment), kExitFailure);
  EXPECT_THAT(err.str(), HasSubstr("out of memory"));
  EXPECT_EQ(json::parse(out.str())["schema"], "writecache.check/1");
}

TEST(FlushCommand, CountsAndListsWhatCouldNotBeWritten) {
  Bench bench(populated());
  bench.machine().disk.add_bad_sectors(DeviceId::origin, IoKind::write, 32, 8);   // entry 2
  bench.machine().disk.add_bad_sectors(DeviceId::origin, IoKind::write, 160, 1);  // entry 10
  const Outcome outcome = bench.run(wc_flush_main, {"--json", "--origin", "o", "cache"});
  EXPECT_EQ(outcome.status, kExitRemaining);
  const json report = json::parse(outcome.out);
  EXPECT_EQ(report["blocks_total"], 20);
  EXPECT_EQ(report["blocks_failed"], 2);
  EXPECT_EQ(report["blocks_written"], 18);
  ASSERT_EQ(report["failed_ranges"].size(), 2U);
  EXPECT_EQ(report["failed_ranges"][0]["sector"], 32);
  EXPECT_EQ(report["failed_ranges"][0]["count"], 8);
  EXPECT_THAT(std::string(report["failed_ranges"][1]["error"]), HasSubstr("Input/output error"));
  EXPECT_THAT(outcome.err, HasSubstr("sectors 32+8"));
  // The devices work again: a second run finishes.
  bench.machine().disk.clear_faults();
  const Outcome second = bench.run(wc_flush_main, {"--json", "--origin", "o", "cache"});
  EXPECT_EQ(second.status, kExitFine);
  EXPECT_EQ(json::parse(second.out)["blocks_written"], 2);
}

TEST(FlushCommand, ABlockThatCannotBeReadIsListedUnderQuietToo) {
  const sim::ImageBuilder cache = populated();
  Bench bench(cache);
  bench.machine().disk.add_bad_sectors(DeviceId::cache, IoKind::read, cache.block_offset_bytes(5) / kSectorBytes, 8);
  const Outcome outcome = bench.run(wc_flush_main, {"-q", "--origin", "o", "cache"});
  EXPECT_EQ(outcome.status, kExitRemaining);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("sectors 80+8"));
}

/// A scratch folder that goes away with its files.
class Scratch {
 public:
  Scratch() { EXPECT_NE(::mkdtemp(path_.data()), nullptr); }
  ~Scratch() { std::filesystem::remove_all(path_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_ = (std::filesystem::temp_directory_path() / "wc-cli.XXXXXX").string();
};

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The areas of a mapfile, "BEGIN+SIZE STATUS" in sectors; the lines above them are checked.
std::vector<std::string> areas_of_map(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  std::vector<std::string> areas;
  bool has_status_line = false;
  while (std::getline(lines, line)) {
    if (line.starts_with('#')) continue;
    std::istringstream words(line);
    std::string first;
    std::string second;
    std::string third;
    EXPECT_TRUE(words >> first >> second >> third) << line;
    if (!has_status_line) {
      has_status_line = true;
      EXPECT_THAT(second, AnyOf("+", "?")) << line;
      continue;
    }
    const auto sectors = [](const std::string& hex) { return std::stoull(hex, nullptr, 16) / kSectorBytes; };
    areas.push_back(std::to_string(sectors(first)) + "+" + std::to_string(sectors(second)) + " " + third);
  }
  return areas;
}

/// What the real ddrescuelog lists for a status, or nothing where it is not installed.
std::optional<std::string> ddrescuelog_lists(const char* status, const std::string& map) {
  if (std::system("command -v ddrescuelog >/dev/null") != 0) return std::nullopt;
  const std::string command = std::string("ddrescuelog --list-blocks='") + status + "' '" + map + "' | tr '\\n' ' '";
  FILE* const pipe = ::popen(command.c_str(), "r");
  std::string text;
  for (int letter = std::fgetc(pipe); letter != EOF; letter = std::fgetc(pipe))
    text += static_cast<char>(letter);
  EXPECT_EQ(::pclose(pipe), 0);
  return text;
}

TEST(FlushCommand, TheDdrescueMapMarksWhatIsNotOnTheOrigin) {
  const sim::ImageBuilder cache = populated();
  Bench bench(cache);
  const Scratch scratch;
  const std::string map = scratch.file("origin.map");
  bench.machine().disk.add_bad_sectors(DeviceId::origin, IoKind::write, 34, 1);  // entry 2
  bench.machine().disk.add_bad_sectors(DeviceId::cache, IoKind::read, cache.block_offset_bytes(5) / kSectorBytes, 8);
  const Outcome outcome = bench.run(wc_flush_main, {"--ddrescue-map", map.c_str(), "--origin", "o", "cache"});
  EXPECT_EQ(outcome.status, kExitRemaining);
  EXPECT_THAT(outcome.out, HasSubstr("8.0 KiB are not"));
  EXPECT_THAT(areas_of_map(content_of(map)), ElementsAre("0+32 +", "32+8 -", "40+40 +", "80+8 -", "88+4008 +"));
  if (const auto bad = ddrescuelog_lists("-", map)) {
    EXPECT_EQ(*bad, "32 33 34 35 36 37 38 39 80 81 82 83 84 85 86 87 ");
  }
  // The devices work again: the next run's map has nothing bad.
  bench.machine().disk.clear_faults();
  EXPECT_EQ(bench.run(wc_flush_main, {"--ddrescue-map", map.c_str(), "--origin", "o", "cache"}).status, kExitFine);
  EXPECT_THAT(areas_of_map(content_of(map)), ElementsAre("0+4096 +"));
}

TEST(FlushCommand, TheDdrescueMapOfAStoppedDrainSaysWhatWasNotTried) {
  Bench bench(populated());
  const Scratch scratch;
  const std::string map = scratch.file("origin.map");
  std::vector<std::string> areas;
  for (int questions = 1; areas.size() != 2; ++questions) {
    ASSERT_LT(questions, 200) << "never stopped in the middle";
    bench.cancel_after(questions);
    const Outcome outcome =
        bench.run(wc_flush_main, {"--keep", "--ddrescue-map", map.c_str(), "--origin", "o", "cache"});
    if ((outcome.status & kExitFailure) != 0) continue;  // before the drain began
    ASSERT_EQ(outcome.status & kExitCancelled, kExitCancelled);
    areas = areas_of_map(content_of(map));
  }
  EXPECT_THAT(areas[0], EndsWith(" +"));
  EXPECT_THAT(areas[1], EndsWith(" ?"));
  EXPECT_NE(ddrescuelog_lists("?", map), "") << "the real one sees none";
}

TEST(FlushCommand, TheDdrescueMapKeepsToTheRangeAndToThePlaceOfTheOrigin) {
  Bench bench(populated());
  bench.machine().disk.add_bad_sectors(DeviceId::origin, IoKind::write, 64, 1);  // entry 4
  const Scratch scratch;
  const std::string map = scratch.file("origin.map");
  const Outcome outcome = bench.run(wc_flush_main, {"--range", "40+60", "--origin-start-sector", "1000",
                                                    "--ddrescue-map", map.c_str(), "--origin", "o", "cache"});
  EXPECT_EQ(outcome.status, kExitRemaining);
  EXPECT_THAT(areas_of_map(content_of(map)),
              ElementsAre("1000+40 ?", "1040+24 +", "1064+8 -", "1072+28 +", "1100+3996 ?"));
  if (const auto bad = ddrescuelog_lists("-", map)) {
    EXPECT_EQ(*bad, "1064 1065 1066 1067 1068 1069 1070 1071 ");
  }
}

TEST(FlushCommand, AMapThatCannotBeWrittenIsToldBeforeAnythingIsDrained) {
  Bench bench(populated());
  const Scratch scratch;
  const std::string map = scratch.file("no/such/folder");
  EXPECT_EQ(bench.run(wc_flush_main, {"--ddrescue-map", map.c_str(), "--origin", "o", "cache"}).status, kExitFailure);
  EXPECT_EQ(bench.machine().disk.completed(DeviceId::origin, IoKind::write), 0U);
  // A drain that fails as a whole leaves the old map alone.
  const std::string old = scratch.file("old.map");
  std::ofstream(old) << "old";
  bench.machine().disk.inject({.device = DeviceId::origin, .kind = IoKind::flush, .nth = 0, .persistent = true});
  EXPECT_EQ(bench.run(wc_flush_main, {"--ddrescue-map", old.c_str(), "--origin", "o", "cache"}).status, kExitFailure);
  EXPECT_EQ(content_of(old), "old");
}

TEST(FlushCommand, ASignalAddsTheBit32) {
  Bench bench(populated());
  bench.cancel_after(2);
  const Outcome outcome = bench.run(wc_flush_main, {"--origin", "o", "cache"});
  EXPECT_EQ(outcome.status & kExitCancelled, kExitCancelled);
  bench.cancel_after(-1);
  EXPECT_EQ(bench.run(wc_flush_main, {"--origin", "o", "cache"}).status, kExitFine);
}

TEST(FlushCommand, OpensWhatItDoesNotWriteForReading) {
  Bench bench(populated());
  bench.run(wc_flush_main, {"--dry-run", "--origin", "o", "cache"});
  EXPECT_EQ(bench.opened.cache.access, Access::read_shared);
  EXPECT_EQ(bench.opened.origin->access, Access::read_shared);
  bench.run(wc_flush_main, {"--keep", "--origin", "o", "cache"});
  EXPECT_EQ(bench.opened.cache.access, Access::read_shared);
  EXPECT_EQ(bench.opened.origin->access, Access::write_exclusive);
  bench.run(wc_flush_main, {"--origin", "o", "cache"});
  EXPECT_EQ(bench.opened.cache.access, Access::write_exclusive);
  EXPECT_EQ(bench.opened.origin->direct, DirectIo::always);
}

TEST(FormatCommand, AFailingFlushIsAFailure) {
  Bench bench(populated());
  bench.machine().disk.inject({.device = DeviceId::cache, .kind = IoKind::flush, .nth = 0, .persistent = true});
  const Outcome outcome = bench.run(wc_format_main, {"--json", "--force", "--discard-dirty", "cache"});
  EXPECT_EQ(outcome.status, kExitFailure);
  EXPECT_EQ(json::parse(outcome.out)["error"]["code"], "io");
}

TEST(FormatCommand, NamesASignatureAndTheWayOut) {
  Bench bench(populated());
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  Environment environment(in, out, err);
  bench.prepare(environment);
  environment.probe_signature = [](const DeviceSpec&) {
    return Result<std::optional<Signature>>(Signature{"xfs", "filesystem", "data", 512});
  };
  const std::vector<const char*> words{"cache"};
  EXPECT_EQ(wc_format_main(words, environment), kExitFailure);
  EXPECT_THAT(err.str(), HasSubstr("xfs (filesystem) labelled \"data\""));
  EXPECT_THAT(err.str(), HasSubstr("--force"));
}

}  // namespace
}  // namespace wc::tools
