// SPDX-License-Identifier: LGPL-2.1-or-later
// crash_tests: runs the sweeps over one family of scenarios, prints their numbers, replays failures.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scenarios.hpp"
#include "sim/crash_sweep.hpp"
#include "sim/marks.hpp"

namespace wc::crash {
namespace {

constexpr int kExitSkip = 77;
constexpr int kExitUsage = 16;

constexpr const char* kUsage =
    "usage: crash_tests [--family NAME] [--scenario NAME] [--seed S] [--seeds COUNT]\n"
    "                   [--cut K [--image B]] [--fault TARGET:NTH:once|on]\n"
    "                   [--no-cuts] [--no-faults] [--canary] [--list] [--marks-out FILE]\n"
    "       crash_tests --marks FILE...    fails if a mark of the library was never reached, but for those\n"
    "                                      that no scenario can reach, and if one of these was\n";

/// Marks that no scenario can reach, and why. Unit tests reach them.
const std::map<std::string, std::string>& marks_out_of_reach() {
  static const std::string kTooLarge = "needs more entries than an image swept at every write can have";
  static const std::string kReadOnly = "a command that writes nothing";
  static const std::map<std::string, std::string> all{
      {"drain: more failed ranges than are listed", kTooLarge},
      {"ordered entries: more than one round", kTooLarge},
      {"read merged: a window is cut short", kReadOnly},
      {"read merged: an origin piece is read again around the cached blocks", kReadOnly},
      {"scan: another pass for a far part of the origin", kTooLarge},
      {"scan: another window of superseded entries", kTooLarge},
      {"scan: sectors chosen to collide, hash changed", kTooLarge},
      {"scan: sparse zones go through the table", kTooLarge},
      {"scan: table too small for a part, part halved", kTooLarge},
      {"scan: too many repeated sectors for the set", kTooLarge},
      {"superseded set: list became a window of bits", kTooLarge},
  };
  return all;
}

using Maker = std::vector<sim::Scenario> (*)(std::uint64_t seed);

const std::map<std::string, Maker>& families() {
  static const std::map<std::string, Maker> all{
      {"check", &check_scenarios},
      {"drain", &drain_scenarios},
      {"engine-p", &engine_p_scenarios},
      {"engine-s", &engine_s_scenarios},
      {"format", &format_scenarios},
      {"undo", &undo_scenarios},
  };
  return all;
}

struct Options {
  std::string family;
  std::string scenario;
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;
  sim::SweepOptions sweep;
  bool cuts = true;
  bool faults = true;
  bool canary = false;
  bool list = false;
  std::string marks_out;
  std::vector<std::string> marks_in;
};

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto text = [&]() -> std::string { return ++i < argc ? argv[i] : ""; };
    const auto number = [&] { return std::strtoull(text().c_str(), nullptr, 10); };
    if (name == "--family") {
      options.family = text();
    } else if (name == "--scenario") {
      options.scenario = text();
    } else if (name == "--seed") {
      options.seed = number();
    } else if (name == "--seeds") {
      options.seeds = number();
    } else if (name == "--cut") {
      options.sweep.only_cut = number();
      options.faults = false;
    } else if (name == "--image") {
      options.sweep.only_image = number();
    } else if (name == "--fault") {
      options.sweep.only_fault = text();
      options.cuts = false;
    } else if (name == "--no-cuts") {
      options.cuts = false;
    } else if (name == "--no-faults") {
      options.faults = false;
    } else if (name == "--canary") {
      options.canary = true;
    } else if (name == "--list") {
      options.list = true;
    } else if (name == "--marks-out") {
      options.marks_out = text();
    } else if (name == "--marks") {
      while (i + 1 < argc)
        options.marks_in.push_back(argv[++i]);
    } else {
      return std::nullopt;
    }
  }
  return options;
}

void print(const char* what, const sim::SweepNumbers& numbers) {
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf(
      "%-28s %llu scenarios, %llu cut points (%llu sampled), %llu images (+%llu repeated), "
      "%llu second cuts; faults: %llu runs, %llu errors, %llu partial, %llu complete\n",
      what, number(numbers.scenarios), number(numbers.cut_points), number(numbers.sampled_points),
      number(numbers.images), number(numbers.repeated_images), number(numbers.second_cuts), number(numbers.fault_runs),
      number(numbers.fault_errors), number(numbers.fault_partial), number(numbers.fault_retried));
}

/// Calls `visit` for the scenarios asked for. Returns how many there were.
std::size_t each_scenario(const Options& options, std::uint64_t seed,
                          const std::function<void(const sim::Scenario&)>& visit) {
  std::size_t count = 0;
  for (const auto& [name, make] : families()) {
    if (!options.family.empty() && options.family != name) continue;
    for (const auto& scenario : make(seed)) {
      if (!options.scenario.empty() && options.scenario != scenario.name) continue;
      ++count;
      visit(scenario);
    }
  }
  return count;
}

bool run_sweeps(const Options& options) {
  sim::SweepNumbers total;
  bool is_good = true;
  for (std::uint64_t seed = options.seed; seed < options.seed + options.seeds; ++seed) {
    const auto count = each_scenario(options, seed, [&](const sim::Scenario& scenario) {
      auto sweep_options = options.sweep;
      sweep_options.seed = seed;
      sim::CrashSweep sweep(sweep_options);
      if (options.cuts) sweep.sweep_cuts(scenario);
      if (options.faults && scenario.sweeps_faults) sweep.sweep_faults(scenario);
      print(scenario.name.c_str(), sweep.numbers());
      total += sweep.numbers();
      for (const auto& failure : sweep.failures()) {
        is_good = false;
        std::printf("FAILED %s\n    replay: crash_tests %s\n", failure.what.c_str(), failure.replay.c_str());
      }
    });
    if (count == 0) {
      std::printf("no such family or scenario\n");
      return false;
    }
  }
  print("total", total);
  return is_good;
}

void print_numbers(const char* what, const std::vector<std::uint64_t>& numbers) {
  std::printf(" %s:", what);
  if (numbers.empty()) std::printf(" none");
  for (const auto number : numbers)
    std::printf(" %llu", static_cast<unsigned long long>(number));
}

/// With flushes dropped the sweep must find lost or wrong content in every scenario marked for it.
bool run_canaries(const Options& options) {
  bool is_good = true;
  std::size_t count = 0;
  each_scenario(options, options.seed, [&](const sim::Scenario& scenario) {
    if (!scenario.is_canary) return;
    ++count;
    const auto result = sim::sweep_canary(scenario, options.seed);
    std::printf("canary %-28s all %llu flushes dropped: %s; dropped alone,", scenario.name.c_str(),
                static_cast<unsigned long long>(result.durable_points),
                result.all_dropped_lost_content ? "found" : "NOT FOUND");
    print_numbers("found", result.needed);
    print_numbers("not found", result.not_needed);
    std::printf("\n");
    is_good = is_good && result.all_dropped_lost_content && !result.needed.empty();
  });
  return is_good && count > 0;
}

int check_marks(const std::vector<std::string>& files) {
  auto counts = sim::marks();
  if (counts.empty()) {
    std::printf("this build has no marks (WC_MARKS is off)\n");
    return kExitSkip;
  }
  for (const auto& file : files) {
    if (!sim::read_marks_file(file, counts)) {
      std::printf("cannot read %s\n", file.c_str());
      return EXIT_FAILURE;
    }
  }
  bool is_good = true;
  for (const auto& [name, count] : counts) {
    const auto excused = marks_out_of_reach().find(name);
    const bool is_excused = excused != marks_out_of_reach().end();
    is_good = is_good && (count > 0) != is_excused;
    const auto* verdict = count > 0 ? (is_excused ? "REACHED:" : "") : (is_excused ? "excused:" : "NEVER:");
    std::printf("%-8s %12llu  %s%s%s\n", verdict, static_cast<unsigned long long>(count), name.c_str(),
                is_excused ? ": " : "", is_excused ? excused->second.c_str() : "");
  }
  for (const auto& [name, reason] : marks_out_of_reach()) {
    if (counts.contains(name)) continue;
    is_good = false;
    std::printf("UNKNOWN: %s\n", name.c_str());
  }
  return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int run(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const auto options = parse(argc, argv);
  if (!options) {
    std::fputs(kUsage, stderr);
    return kExitUsage;
  }
  if (!options->marks_in.empty()) return check_marks(options->marks_in);
  if (options->list) {
    each_scenario(*options, options->seed,
                  [](const sim::Scenario& scenario) { std::printf("%s\n", scenario.name.c_str()); });
    return EXIT_SUCCESS;
  }
  if (!options->marks_out.empty()) std::remove(options->marks_out.c_str());
  const bool is_good = options->canary ? run_canaries(*options) : run_sweeps(*options);
  if (!options->marks_out.empty() && !sim::add_marks_to_file(options->marks_out)) {
    std::printf("cannot write %s\n", options->marks_out.c_str());
    return EXIT_FAILURE;
  }
  return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace wc::crash

int main(int argc, char** argv) { return wc::crash::run(argc, argv); }
