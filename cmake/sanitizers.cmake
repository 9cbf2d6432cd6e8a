# SPDX-License-Identifier: LGPL-2.1-or-later
# wc_instrumentation: sanitizers, coverage, marks and hardening, as asked for by WC_SANITIZE, WC_COVERAGE, WC_MARKS and
#                     WC_HARDENING.
# wc_fuzz_engine:     libFuzzer's main(), empty unless WC_SANITIZE contains `fuzzer` (WC_FUZZING then is true).
add_library(wc_instrumentation INTERFACE)
add_library(wc_fuzz_engine INTERFACE)
set(WC_FUZZING OFF)

foreach(sanitizer IN LISTS WC_SANITIZE)
  if(sanitizer STREQUAL "fuzzer")
    if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
      message(FATAL_ERROR "WC_SANITIZE=fuzzer needs clang (use the preset `fuzz`)")
    endif()
    set(WC_FUZZING ON)
    target_compile_options(wc_instrumentation INTERFACE -fsanitize=fuzzer-no-link)
    target_link_options(wc_fuzz_engine INTERFACE -fsanitize=fuzzer)
  elseif(sanitizer MATCHES "^(address|undefined|thread)$")
    target_compile_options(wc_instrumentation INTERFACE -fsanitize=${sanitizer})
    target_link_options(wc_instrumentation INTERFACE -fsanitize=${sanitizer})
  else()
    message(FATAL_ERROR "WC_SANITIZE: unknown sanitizer `${sanitizer}`")
  endif()
endforeach()
if(WC_SANITIZE)
  # -O1 keeps the crash sweeps short; it comes after the build type's flags and wins over -O0 of Debug.
  target_compile_options(wc_instrumentation INTERFACE
    -fno-omit-frame-pointer -fno-sanitize-recover=all $<$<CONFIG:Debug>:-O1>)
endif()

if(WC_COVERAGE)
  target_compile_options(wc_instrumentation INTERFACE --coverage -fprofile-update=atomic)
  target_link_options(wc_instrumentation INTERFACE --coverage)
endif()

if(WC_MARKS)
  target_compile_definitions(wc_instrumentation INTERFACE WC_MARKS)
endif()

if(WC_HARDENING)
  target_compile_options(wc_instrumentation INTERFACE
    -fstack-protector-strong -fstack-clash-protection
    $<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>:-fcf-protection>)
  target_compile_definitions(wc_instrumentation INTERFACE
    _GLIBCXX_ASSERTIONS $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
  target_link_options(wc_instrumentation INTERFACE LINKER:-z,relro LINKER:-z,now)
  # What is shipped does not tell where it was built: two builds in two folders are equal. The last option is tried first.
  set(prefix_maps "-ffile-prefix-map=${PROJECT_SOURCE_DIR}=." "-ffile-prefix-map=${PROJECT_BINARY_DIR}=./build")
  target_compile_options(wc_instrumentation INTERFACE ${prefix_maps})
  target_link_options(wc_instrumentation INTERFACE ${prefix_maps})  # optimisation at link time compiles, too
endif()
