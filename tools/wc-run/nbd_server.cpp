// SPDX-License-Identifier: LGPL-2.1-or-later
// serve_nbd: the words of nbdkit.
#include "wc-run/nbd_server.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

namespace wc::tools {
namespace {

namespace fs = std::filesystem;

/// The plugin that was installed, or built, together with this program; else nbdkit looks for one itself.
std::string plugin_path() {
  std::error_code failure;
  const fs::path self = fs::read_symlink("/proc/self/exe", failure);
  if (failure) return "writecache";
  const fs::path beside = self.parent_path().parent_path() / WC_LIBDIR / "nbdkit/plugins/nbdkit-writecache-plugin.so";
  return fs::exists(beside, failure) ? beside.string() : "writecache";
}

std::vector<std::string> command_words(const ServerSettings& settings, const NbdAddress& address,
                                       const std::vector<std::string>& extra_words) {
  std::vector<std::string> words{"nbdkit", "--foreground", "--newstyle"};
  if (address.path.empty()) {
    words.insert(words.end(), {"--ipaddr", address.host, "--port", address.port});
  } else {
    words.insert(words.end(), {"--unix", address.path});
  }
  words.insert(words.end(), extra_words.begin(), extra_words.end());
  words.push_back(plugin_path());
  const std::vector<std::string> keys = settings.words();
  words.insert(words.end(), keys.begin(), keys.end());
  return words;
}

}  // namespace

int serve_nbd(const ServerSettings& settings, const NbdAddress& address, const std::vector<std::string>& extra_words) {
  std::vector<std::string> words = command_words(settings, address, extra_words);
  std::vector<char*> argv;
  for (std::string& word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  ::fcntl(settings.report_fd, F_SETFD, 0);
  ::execvp(argv[0], argv.data());
  return kNoNbdkit;
}

}  // namespace wc::tools
