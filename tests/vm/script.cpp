// SPDX-License-Identifier: LGPL-2.1-or-later
// Script: parsing, content, and the line that is compared. Without the library: the driver's side is a static program.
#include "script.hpp"

#include <endian.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>

namespace wc::vm {
namespace {

constexpr std::size_t kSeqCountOffset = 24;

bool parse(std::istringstream& words, Step& step) {
  const std::string_view verb = step.verb;
  if (verb == "message") return !(words >> step.word).fail();
  if (verb == "wait") return !(words >> step.block).fail();
  if (verb == "write" || verb == "fua") return !(words >> step.block >> step.count >> step.tag).fail();
  if (verb == "read" || verb == "discard") return !(words >> step.block >> step.count).fail();
  return verb == "flush" || verb == "suspend" || verb == "resume" || verb == "hold" || verb == "release";
}

}  // namespace

std::uint64_t next_random(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15ULL;
  std::uint64_t mixed = state;
  mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebULL;
  return mixed ^ (mixed >> 31U);
}

std::vector<Step> read_script(const char* path) {
  std::ifstream file(path);
  std::vector<Step> steps;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    Step step;
    if (!(words >> step.verb)) continue;
    if (!parse(words, step)) {
      std::fprintf(stderr, "%s: step %zu makes no sense: %s\n", path, steps.size() + 1, line.c_str());
      std::exit(16);
    }
    steps.push_back(step);
  }
  if (steps.empty()) {
    std::fprintf(stderr, "%s: no steps\n", path);
    std::exit(16);
  }
  return steps;
}

void fill_block(std::span<std::byte> memory, std::uint64_t tag, std::uint64_t block) {
  std::uint64_t state = tag * 0x100000001b3ULL + block;
  for (std::size_t at = 0; at < memory.size(); at += sizeof(state)) {
    const std::uint64_t value = next_random(state);
    std::memcpy(memory.data() + at, &value, sizeof(value));
  }
}

std::uint64_t digest(std::span<const std::byte> memory, std::uint64_t block) {
  std::uint64_t state = block;
  for (std::size_t at = 0; at + sizeof(state) <= memory.size(); at += sizeof(state)) {
    std::uint64_t value = 0;
    std::memcpy(&value, memory.data() + at, sizeof(value));
    state ^= value;
    state = next_random(state);
  }
  return state;
}

std::uint64_t commits_of(std::span<const std::byte> superblock) {
  std::uint64_t seq_count = 0;
  std::memcpy(&seq_count, superblock.data() + kSeqCountOffset, sizeof(seq_count));
  return le64toh(seq_count);
}

std::string result_line(std::span<const std::uint64_t> numbers, std::uint64_t commits, std::uint64_t pending,
                        std::uint64_t digests) {
  std::string line;
  for (const std::uint64_t number : numbers)
    line += std::to_string(number) + " ";
  return line + std::to_string(commits) + " " + std::to_string(pending) + " " + std::to_string(digests);
}

}  // namespace wc::vm
