// SPDX-License-Identifier: LGPL-2.1-or-later
// wc-run ctl: asks a wc-run that runs.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>
#include <ostream>

#include "common/exit_status.hpp"
#include "common/text.hpp"
#include "wc-run/command.hpp"
#include "wc-run/unix_socket.hpp"

namespace wc::tools {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSuffix = ".ctl";
constexpr int kListSeconds = 5;
constexpr const char* kVerbs =
    "status             the status line of dmsetup: 0 LEN writecache and 14 numbers\n"
    "table              the table line\n"
    "flush              commit, write everything back, wait for it\n"
    "flush_on_suspend   the next suspend, or the end, writes everything back first\n"
    "cleaner            write everything back and cache no more writes\n"
    "clear_stats        the numbers begin at 0 again\n"
    "suspend, resume    hold requests back when all is committed; go on\n"
    "stop               commit, then end\n\n"
    "Exit status: 0 fine, 8 nobody answers or it failed, 16 usage, 32 cancelled by a signal.";

struct CtlOptions {
  std::string name;
  std::string verb;
  bool list = false;
  bool json = false;
  bool prometheus = false;
  bool human = false;
};

void add_options(CLI::App& app, CtlOptions& options) {
  app.set_help_flag("-h,--help", "Print this text and exit");
  app.add_option("NAME", options.name, "What --name said, or the cache's file name; or the path of a socket")
      ->type_name("");
  app.add_option("VERB", options.verb, "One of the verbs below")->type_name("");
  app.add_flag("--list", options.list, "Print the names of those that run");
  auto* const json = app.add_flag("--json", options.json, "status: one JSON object");
  auto* const prometheus = app.add_flag("--prometheus", options.prometheus, "status: Prometheus text");
  app.add_flag("--human", options.human, "status: for people")->excludes(json)->excludes(prometheus);
  prometheus->excludes(json);
  app.footer(kVerbs);
}

int complain(Environment& environment, const std::string& what, int status) {
  environment.out.flush();
  environment.err << "wc-run ctl: " << printable(what) << '\n' << std::flush;
  return status;
}

int list(Environment& environment) {
  std::vector<std::string> names;
  std::error_code failure;
  for (const fs::directory_entry& entry : fs::directory_iterator(runtime_directory(), failure))
    if (entry.path().extension() == kSuffix && ask_unix(entry.path().string(), "status", kListSeconds))
      names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names)
    environment.out << printable(name) << '\n';
  return kExitFine;
}

std::string line_of(const CtlOptions& options) {
  if (options.json) return options.verb + " --json";
  if (options.prometheus) return options.verb + " --prometheus";
  if (options.human) return options.verb + " --human";
  return options.verb;
}

int ask(const CtlOptions& options, Environment& environment) {
  const bool is_path = options.name.find('/') != std::string::npos;
  const std::string path = is_path ? options.name : runtime_directory() + "/" + options.name + kSuffix;
  const auto reply = ask_unix(path, line_of(options), 0, environment.is_cancelled);
  if (!reply) {
    const bool is_cancelled = reply.error().code == ErrorCode::cancelled;
    return complain(environment, reply.error().message(), is_cancelled ? kExitCancelled : kExitFailure);
  }
  if (reply->starts_with("ok\n")) {
    environment.out << reply->substr(3);
    return kExitFine;
  }
  std::string what = reply->empty() ? "it ended without an answer" : *reply;
  if (what.starts_with("error ")) what.erase(0, 6);
  while (what.ends_with('\n'))
    what.pop_back();
  return complain(environment, options.name + ": " + what, kExitFailure);
}

int run(const CtlOptions& options, Environment& environment) {
  if (options.list) return list(environment);
  static constexpr std::array kKnown{"status",  "table",  "flush", "flush_on_suspend", "cleaner", "clear_stats",
                                     "suspend", "resume", "stop"};
  if (options.name.empty() || options.verb.empty()) {
    return complain(environment, "NAME and VERB are required (`wc-run ctl --help` lists the verbs)", kExitUsage);
  }
  if (std::find(kKnown.begin(), kKnown.end(), options.verb) == kKnown.end()) {
    return complain(environment, "`" + options.verb + "` is no verb (`wc-run ctl --help` lists them)", kExitUsage);
  }
  if (options.verb != "status" && line_of(options) != options.verb) {
    return complain(environment, "--json, --prometheus and --human are for status only", kExitUsage);
  }
  return ask(options, environment);
}

}  // namespace

int ctl_main(Arguments arguments, Environment& environment) {
  CtlOptions options;
  CLI::App app("Asks a wc-run that runs.", "wc-run ctl");
  add_options(app, options);
  int status = kExitFine;
  try {
    std::vector<std::string> words(arguments.rbegin(), arguments.rend());
    app.parse(std::move(words));
    status = run(options, environment);
  } catch (const CLI::CallForHelp&) {
    environment.out << app.help();
  } catch (const CLI::Error& problem) {
    return complain(environment, std::string(problem.what()) + " (`wc-run ctl --help` lists the options)", kExitUsage);
  } catch (const std::exception& problem) {
    return complain(environment, problem.what(), kExitFailure);
  }
  environment.out.flush();
  if (!environment.out.good() && status == kExitFine) return kExitFailure;
  return status;
}

}  // namespace wc::tools
