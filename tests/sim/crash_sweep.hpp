// SPDX-License-Identifier: LGPL-2.1-or-later
// CrashSweep: cuts the power at every place of a scenario, looks at every image that may be left, and
// fails every operation once and for good.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "sim/flush_dropping_port.hpp"
#include "sim/machine.hpp"
#include "writecache/result.hpp"

namespace wc::sim {

/// What an operation said about itself when it ended without an error.
struct Said {
  bool is_complete = true;  ///< it did all that it was asked to
  std::string violation;    ///< a report that contradicts itself; empty if there is none
};

using Operation = std::function<Result<Said>(Machine& machine, IoPort& port)>;

/// Empty if all is well, else what is wrong.
using Verdict = std::string;

/// Something that can be done with the image that a power cut left.
struct Recovery {
  std::string name;
  Operation run;
  /// Must hold for whatever is durable once `run` has said that it is complete.
  std::function<Verdict(const MachineImage& end)> verify;
};

/// One operation on one initial image. recoveries[0] is the operation itself, run again.
struct Scenario {
  std::string name;
  MachineImage initial;
  MachineOptions options;
  Operation run;
  std::function<Verdict(const MachineImage&)> verify_cut;  ///< must hold at any moment
  std::vector<Recovery> recoveries;
  bool is_canary = false;  ///< also swept with dropped flushes, which must fail
  bool sweeps_faults = true;
};

/// Where a sweep found something wrong.
struct SweepFailure {
  std::string scenario;
  std::string replay;  ///< the options that show it again
  std::string what;
  bool is_content = true;  ///< content was lost or wrong; else success was reported too early
};

struct SweepNumbers {
  std::uint64_t scenarios = 0;
  std::uint64_t cut_points = 0;
  std::uint64_t images = 0;           ///< different ones that were looked at
  std::uint64_t repeated_images = 0;  ///< equal to one that was, and left out
  std::uint64_t sampled_points = 0;   ///< cut points with too many combinations for all of them
  std::uint64_t second_cuts = 0;
  std::uint64_t fault_runs = 0;
  std::uint64_t fault_errors = 0;   ///< runs that ended with an error
  std::uint64_t fault_partial = 0;  ///< runs that said that something is left to do
  std::uint64_t fault_retried = 0;  ///< runs that were complete in spite of the fault

  SweepNumbers& operator+=(const SweepNumbers& other);
};

struct SweepOptions {
  std::uint64_t seed = 1;
  std::optional<std::uint64_t> only_cut;
  std::optional<std::uint64_t> only_image;
  std::optional<std::string> only_fault;  ///< as printed: "cache:write:3:once"
  std::uint64_t failures_max = 5;         ///< the sweep of a scenario ends there
  FlushDroppingPort::Choice drops;        ///< the canary, if set
};

class CrashSweep {
 public:
  explicit CrashSweep(SweepOptions options) : options_(std::move(options)) {}

  /// Power cuts, images, recoveries, second cuts.
  void sweep_cuts(const Scenario& scenario);
  /// The k-th operation of every kind on every device fails, once and from then on.
  void sweep_faults(const Scenario& scenario);

  const std::vector<SweepFailure>& failures() const noexcept { return failures_; }
  const SweepNumbers& numbers() const noexcept { return numbers_; }

 private:
  struct Place {
    const Scenario* scenario = nullptr;
    std::string replay;
    bool was_complete = false;
  };

  void begin(const Scenario& scenario);
  bool is_new(std::uint64_t hash, const Place& place);
  Result<Said> run(const Operation& operation, Machine& machine) const;
  void check_images(const Machine& machine, const Place& place, std::uint64_t image_seed);
  bool check_image(const MachineImage& image, const Place& place, std::uint64_t seed);
  bool recover(const MachineImage& image, const Recovery& recovery, const Place& place, std::uint64_t seed,
               std::uint64_t& points);
  bool recover_after_second_cut(const MachineImage& image, const Recovery& recovery, const Place& place,
                                std::uint64_t seed, std::uint64_t points);
  bool fault_run(const Scenario& scenario, const std::string& name, std::uint64_t seed,
                 const std::function<void(Machine&)>& inject);
  bool fail(const Place& place, std::string what, bool is_content = true);
  bool is_full(const Scenario& scenario) const;

  SweepOptions options_;
  SweepNumbers numbers_;
  std::vector<SweepFailure> failures_;
  std::unordered_set<std::uint64_t> seen_;
  std::string seen_of_;  ///< the scenario whose images these are
};

/// What the sweeps with dropped flushes found for one scenario.
struct CanaryResult {
  std::string scenario;
  std::uint64_t durable_points = 0;       ///< flushes and writes with fua of an uncut run
  bool all_dropped_lost_content = false;  ///< the sweep over the canary found wrong content
  std::vector<std::uint64_t> needed;      ///< dropping this one alone is found
  std::vector<std::uint64_t> not_needed;  ///< dropping it is found only as early success, or not
};

/// Sweeps the scenario with all flushes dropped, then with each one alone.
CanaryResult sweep_canary(const Scenario& scenario, std::uint64_t seed);

}  // namespace wc::sim
