// SPDX-License-Identifier: LGPL-2.1-or-later
// The verbs of the control socket.
#include <map>
#include <string>
#include <string_view>

#include "common/text.hpp"
#include "wc-run/control_socket.hpp"
#include "wc-run/status_text.hpp"

namespace wc::tools {
namespace {

using TextOf = std::string (*)(const LiveCache&);

const std::map<std::string_view, TextOf>& texts() {
  static const std::map<std::string_view, TextOf> kTexts{{"status", status_line},
                                                         {"status --json", status_json},
                                                         {"status --prometheus", status_prometheus},
                                                         {"status --human", status_human},
                                                         {"table", table_line}};
  return kTexts;
}

const std::map<std::string_view, ControlKind>& messages() {
  static const std::map<std::string_view, ControlKind> kMessages{
      {"flush", ControlKind::flush},     {"flush_on_suspend", ControlKind::flush_on_suspend},
      {"cleaner", ControlKind::cleaner}, {"clear_stats", ControlKind::clear_stats},
      {"suspend", ControlKind::suspend}, {"resume", ControlKind::resume}};
  return kMessages;
}

std::string reply_of(const Result<void>& outcome) {
  return outcome ? std::string("ok\n") : "error " + printable(outcome.error().message()) + "\n";
}

}  // namespace

void answer_control_line(EngineLoop& loop, const std::string& line, const ControlSocket::StopServer& stop_server,
                         const std::function<void(std::string)>& answer) {
  if (line == "stop") {
    stop_server(loop, [answer](const Result<void>& outcome) { answer(reply_of(outcome)); });
    return;
  }
  if (loop.is_closed()) {
    answer("error the cache is being stopped\n");
    return;
  }
  if (line == "table" && loop.live().settings.origin_start_sector != 0) {
    answer("error a table line cannot say that the origin begins at sector " +
           std::to_string(loop.live().settings.origin_start_sector) + " (map that part of it with dm-linear)\n");
    return;
  }
  if (const auto text = texts().find(line); text != texts().end()) {
    answer("ok\n" + text->second(loop.live()));
    return;
  }
  if (const auto message = messages().find(line); message != messages().end()) {
    loop.send(message->second, [answer](const Result<void>& outcome) { answer(reply_of(outcome)); });
    return;
  }
  answer("error unknown verb\n");
}

}  // namespace wc::tools
