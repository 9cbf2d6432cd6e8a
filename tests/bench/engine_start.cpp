// SPDX-License-Identifier: LGPL-2.1-or-later
// Times what an engine does before it serves: usage: engine_start CACHE ORIGIN [BLOCK_BYTES]; the merged view, so that
// neither device is written to. To be compared with plain_scan on the same cache.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "writecache/device.hpp"
#include "writecache/engine.hpp"

namespace {

std::string peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM")) return line;
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 16;
  wc::OpenOptions options;
  options.cache.path = argv[1];
  options.origin = wc::DeviceSpec{.path = argv[2]};
  auto devices = wc::open_devices(options);
  if (!devices) {
    std::printf("%s\n", devices.error().message().c_str());
    return 8;
  }
  wc::EngineOptions engine_options;
  engine_options.block_bytes = argc > 3 ? static_cast<std::uint32_t>(std::atoi(argv[3])) : 4096;
  engine_options.read_only = true;
  const auto start = std::chrono::steady_clock::now();
  auto engine = wc::Engine::open({&(*devices)->port(), nullptr, &(*devices)->clock()}, engine_options);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (!engine) {
    std::printf("%s\n", engine.error().message().c_str());
    return 8;
  }
  const auto status = (*engine)->status();
  std::printf("blocks %llu used %llu seconds %.3f %s\n", static_cast<unsigned long long>(status.n_blocks),
              static_cast<unsigned long long>(status.n_blocks - status.free), took.count(), peak_memory().c_str());
  return 0;
}
