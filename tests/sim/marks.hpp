// SPDX-License-Identifier: LGPL-2.1-or-later
// Marks: which WC_REACHED places of this program exist, and which were reached.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace wc::sim {

/// How often each mark was reached; empty in a build without WC_MARKS. Equal names are added up.
std::map<std::string, std::uint64_t> marks();

/// Adds the counts to those in a file ("COUNT NAME" a line), which need not exist yet.
/// False if it cannot be written.
bool add_marks_to_file(const std::string& path);

/// Reads such a file into `counts`, adding up. False if it cannot be read.
bool read_marks_file(const std::string& path, std::map<std::string, std::uint64_t>& counts);

}  // namespace wc::sim
