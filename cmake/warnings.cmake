# SPDX-License-Identifier: LGPL-2.1-or-later
# wc_warnings: the warnings every target of the project is compiled with.
add_library(wc_warnings INTERFACE)
target_compile_options(wc_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
  $<$<BOOL:${WC_WERROR}>:-Werror>)
