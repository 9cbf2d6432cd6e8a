// SPDX-License-Identifier: LGPL-2.1-or-later
// The exit status of every command: a sum of bits, as fsck(8) has them.
#pragma once

namespace wc::tools {

inline constexpr int kExitFine = 0;
inline constexpr int kExitCorrected = 1;   ///< problems were found and corrected
inline constexpr int kExitRemaining = 4;   ///< problems remain
inline constexpr int kExitFailure = 8;     ///< the command could not do its work
inline constexpr int kExitUsage = 16;      ///< the command line makes no sense; nothing was touched
inline constexpr int kExitCancelled = 32;  ///< stopped by a signal

}  // namespace wc::tools
