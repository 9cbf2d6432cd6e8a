# SPDX-License-Identifier: LGPL-2.1-or-later
# What every target of the project gets: wc_configure_target() for all, wc_use_lto() for what is shipped.

# Gives a target the project's warnings and instrumentation, and hides its symbols.
function(wc_configure_target target)
  target_link_libraries(${target} PRIVATE wc_warnings wc_instrumentation)
  set_target_properties(${target} PROPERTIES
    POSITION_INDEPENDENT_CODE ON
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
endfunction()

# What is installed below /usr finds libwritecache.so where the linker looks anyway; elsewhere it looks beside itself.
function(wc_find_library_once_installed target rpath)
  if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    set_target_properties(${target} PROPERTIES INSTALL_RPATH "${rpath}")
  endif()
endfunction()

# Shipped code is optimised at link time when WC_LTO is set. The objects also hold ordinary code, so that the many test
# programs that link them do not each repeat the optimisation.
function(wc_use_lto target)
  if(NOT WC_LTO)
    return()
  endif()
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    message(FATAL_ERROR "WC_LTO is set up for g++ only")
  endif()
  target_compile_options(${target} PRIVATE -flto=auto -ffat-lto-objects)
  get_target_property(type ${target} TYPE)
  if(type MATCHES "^(SHARED_LIBRARY|EXECUTABLE|MODULE_LIBRARY)$")
    # The build type's optimisation flags are on the link line too: CMake puts CMAKE_CXX_FLAGS_<CONFIG> there.
    target_link_options(${target} PRIVATE -flto=auto)
  endif()
endfunction()

# The counterpart for test programs: they take the ordinary code of the objects.
function(wc_no_lto target)
  if(WC_LTO)
    target_link_options(${target} PRIVATE -fno-lto -fno-use-linker-plugin)
  endif()
endfunction()

# A plugin with a sanitizer needs its runtime in the program that loads it: writes an `nbdkit` that brings it along.
function(wc_sanitized_nbdkit path)
  set(runtimes "")
  foreach(pair IN ITEMS "address;libasan.so" "undefined;libubsan.so" "thread;libtsan.so")
    list(GET pair 0 sanitizer)
    list(GET pair 1 runtime)
    if(sanitizer IN_LIST WC_SANITIZE)
      execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=${runtime}
        OUTPUT_VARIABLE file OUTPUT_STRIP_TRAILING_WHITESPACE)
      list(APPEND runtimes "${file}")
    endif()
  endforeach()
  if(NOT runtimes)
    file(REMOVE "${path}")
    return()
  endif()
  find_program(WC_NBDKIT nbdkit PATHS /usr/sbin /usr/bin REQUIRED NO_DEFAULT_PATH)
  list(JOIN runtimes ":" preload)
  # nbdkit itself was never meant to free everything.
  file(CONFIGURE OUTPUT "${path}" @ONLY CONTENT "#!/bin/sh
export LD_PRELOAD='@preload@' ASAN_OPTIONS=\"detect_leaks=0:\$ASAN_OPTIONS\"
exec '@WC_NBDKIT@' \"\$@\"
")
  file(CHMOD "${path}" PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
endfunction()
