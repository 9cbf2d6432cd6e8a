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
