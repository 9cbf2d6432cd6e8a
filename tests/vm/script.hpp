// SPDX-License-Identifier: LGPL-2.1-or-later
// Script: a sequence of requests as text, which the driver and our engine are both sent.
//
// One step a line; blocks are of the cache's size and counted from the start of the device:
//   write BLOCK COUNT TAG     fua BLOCK COUNT TAG     read BLOCK COUNT     discard BLOCK COUNT     flush
//   message WORD              suspend                 resume
//   hold       from now on the origin holds back whatever reaches it, and requests are not waited for
//   release    the origin goes on; everything is waited for
//   wait MS    time passes
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace wc::vm {

struct Step {
  std::string verb;
  std::string word;         ///< of a message
  std::uint64_t block = 0;  ///< or milliseconds
  std::uint64_t count = 0;
  std::uint64_t tag = 0;  ///< names the content of a write
};

/// Ends the program with a message where the text makes no sense.
std::vector<Step> read_script(const char* path);

/// The next number of a splitmix64 sequence: reproducible without a library.
std::uint64_t next_random(std::uint64_t& state);

/// The content of one block as a write with this tag makes it.
void fill_block(std::span<std::byte> memory, std::uint64_t tag, std::uint64_t block);

/// A number for the content of a read. Numbers of several reads are added up, as they may end in any order.
std::uint64_t digest(std::span<const std::byte> memory, std::uint64_t block);

/// seq_count of the superblock that begins these bytes.
std::uint64_t commits_of(std::span<const std::byte> superblock);

/// What is compared after a step: the status line's numbers, commits on the medium, requests that are unfinished, the
/// reads' digests.
std::string result_line(std::span<const std::uint64_t> numbers, std::uint64_t commits, std::uint64_t pending,
                        std::uint64_t digests);

}  // namespace wc::vm
