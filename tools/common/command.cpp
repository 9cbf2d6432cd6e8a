// SPDX-License-Identifier: LGPL-2.1-or-later
// run_command and Console.
#include "common/command.hpp"

#include <cerrno>
#include <new>
#include <nlohmann/json.hpp>

#include "common/error_words.hpp"
#include "common/text.hpp"

namespace wc::tools {

Console::Console(std::string name, Environment& environment, const CommonOptions& options)
    : name_(std::move(name)), environment_(environment), options_(options) {}

std::string Console::schema() const {
  const std::size_t dash = name_.find('-');
  return "writecache." + name_.substr(dash == std::string::npos ? 0 : dash + 1) + "/1";
}

void Console::print_json(const nlohmann::ordered_json& members, std::string_view other_schema) {
  nlohmann::ordered_json object{{"schema", other_schema.empty() ? schema() : std::string(other_schema)}};
  for (const auto& [key, value] : members.items())
    object[key] = value;
  // File names need not be UTF-8; JSON must be.
  environment_.out << object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
  json_printed_ = true;
}

void Console::error(std::string_view path, std::string_view what) {
  environment_.out.flush();  // on a terminal both go to the same place: keep the order
  std::string line = name_ + ": ";
  if (!path.empty()) line += printable(path) + ": ";
  line += printable(what) + "\n";
  environment_.err << line << std::flush;
}

void Console::warn(std::string_view path, std::string_view what) {
  if (!options_.quiet) error(path, what);
}

int Console::fail(std::string_view path, const Error& error) {
  return fail(path, error, error.code == ErrorCode::cancelled ? kExitCancelled : kExitFailure);
}

int Console::fail(std::string_view path, const Error& error, int bits) {
  const std::string message = error.message();
  const bool names_path = !path.empty() && message.starts_with(path) && message.substr(path.size()).starts_with(':');
  this->error(names_path ? std::string_view{} : path, message);
  if (options_.json && !json_printed_) {
    std::string full = message;
    if (!names_path && !path.empty()) full = std::string(path) + ": " + message;
    print_json({{"error", {{"code", to_string(error.code)}, {"message", full}}}});
  }
  return bits;
}

Result<void> Console::output_state() {
  if (environment_.out.good()) return {};
  const int error = environment_.out_errno();
  return Error{ErrorCode::io, error, 0, "standard output cannot be written"};
}

namespace {

int usage_error(const CommandLine& line, Environment& environment, const std::string& what) {
  environment.err << line.name() << ": " << printable(what) << " (`" << line.name() << " --help` lists the options)\n"
                  << std::flush;
  return kExitUsage;
}

/// Help and version are not errors, though CLI11 throws them.
int run_body(CommandLine& line, Arguments arguments, Environment& environment,
             const std::function<int(Console&)>& body) {
  Console console(line.name(), environment, line.common());
  try {
    line.parse(arguments);
    return body(console);
  } catch (const CLI::CallForHelp&) {
    environment.out << line.app().help();
    return kExitFine;
  } catch (const CLI::CallForVersion& version) {
    environment.out << version.what() << '\n';
    return kExitFine;
  } catch (const CLI::Error& problem) {
    return usage_error(line, environment, problem.what());
  } catch (const UsageError& problem) {
    return usage_error(line, environment, problem.what());
  } catch (const Failure& failure) {
    return console.fail({}, failure.error());
  } catch (const std::bad_alloc&) {
    return console.fail(line.common().cache, Error{ErrorCode::unsupported, ENOMEM, 0, "out of memory"});
  } catch (const std::exception& problem) {
    return console.fail(line.common().cache,
                        Error{ErrorCode::unsupported, 0, 0, std::string("internal error: ") + problem.what()});
  }
}

}  // namespace

int run_command(CommandLine& line, Arguments arguments, Environment& environment,
                const std::function<int(Console&)>& body) noexcept {
  int status = kExitFailure;
  try {
    status = run_body(line, arguments, environment, body);
    environment.out.flush();
    if (!environment.out.good()) {
      const int error = environment.out_errno();
      status |= kExitFailure;
      if (error != EPIPE) {
        const Error failure{ErrorCode::io, error, 0, "standard output cannot be written"};
        environment.err << line.name() << ": " << failure.message() << '\n' << std::flush;
      }
    }
  } catch (const std::exception&) {
    status |= kExitFailure;  // no memory even for the message
  }
  return status;
}

}  // namespace wc::tools
