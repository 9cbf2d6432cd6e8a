// SPDX-License-Identifier: LGPL-2.1-or-later
// life_tests: lives of an engine, one for each seed; prints their numbers, and how to see a failure again.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "life.hpp"

namespace wc::life {
namespace {

constexpr int kExitUsage = 16;
constexpr double kMsPerHour = 3'600'000;

constexpr const char* kUsage =
    "usage: life_tests [--seed S] [--lives COUNT] [--hours H] [--minutes M] [--canary]\n"
    "  --hours    simulated time of one life (default 1)\n"
    "  --minutes  no life begins after that much real time\n"
    "  --canary   flushes have no effect: every life must go wrong\n";

struct Options {
  std::uint64_t seed = 1;
  std::uint64_t lives = 1;
  double hours = 1;
  double minutes = 1e9;
  bool is_canary = false;
};

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--canary") {
      options.is_canary = true;
      continue;
    }
    if (i + 1 == argc) return false;
    const char* text = argv[++i];
    if (name == "--seed") {
      options.seed = std::strtoull(text, nullptr, 10);
    } else if (name == "--lives") {
      options.lives = std::strtoull(text, nullptr, 10);
    } else if (name == "--hours") {
      options.hours = std::strtod(text, nullptr);
    } else if (name == "--minutes") {
      options.minutes = std::strtod(text, nullptr);
    } else {
      return false;
    }
  }
  return true;
}

void print(const char* what, const LifeNumbers& numbers) {
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf(
      "%s: %.2f simulated hours, %llu chapters (%llu closed, %llu cut, %llu with a device failing), "
      "%llu requests, %llu drained offline\n",
      what, static_cast<double>(numbers.simulated_ms) / kMsPerHour, number(numbers.chapters), number(numbers.closed),
      number(numbers.cut), number(numbers.failed), number(numbers.requests), number(numbers.drained));
}

int run(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  Options options;
  if (!parse(argc, argv, options)) {
    std::fputs(kUsage, stderr);
    return kExitUsage;
  }
  const auto start = std::chrono::steady_clock::now();
  LifeNumbers total;
  std::uint64_t lives = 0;
  std::uint64_t wrong_lives = 0;
  for (; lives < options.lives; ++lives) {
    const std::chrono::duration<double, std::ratio<60>> passed = std::chrono::steady_clock::now() - start;
    if (passed.count() >= options.minutes) break;
    const std::uint64_t seed = options.seed + lives;
    Life life({.seed = seed,
               .simulated_ms = static_cast<std::uint64_t>(options.hours * kMsPerHour),
               .drops_flushes = options.is_canary});
    const std::string wrong = life.run();
    print(("seed " + std::to_string(seed)).c_str(), life.numbers());
    total += life.numbers();
    if (wrong.empty()) continue;
    ++wrong_lives;
    std::printf("%s %s\n    replay: life_tests --seed %llu --hours %g%s\n", options.is_canary ? "found:" : "FAILED",
                wrong.c_str(), static_cast<unsigned long long>(seed), options.hours,
                options.is_canary ? " --canary" : "");
  }
  print(("total of " + std::to_string(lives) + " lives").c_str(), total);
  if (options.is_canary) return lives != 0 && wrong_lives == lives ? EXIT_SUCCESS : EXIT_FAILURE;
  return lives != 0 && wrong_lives == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace wc::life

int main(int argc, char** argv) { return wc::life::run(argc, argv); }
