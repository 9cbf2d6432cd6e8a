# SPDX-License-Identifier: LGPL-2.1-or-later
# `cpack` makes Debian packages, one for each component, from a tree that is configured for /usr (the preset `release`).
# The components are those of the install() commands: library, tools, plugin, development.
set(WC_PACKAGE_CONTACT "writecache-tools maintainers <maintainers@writecache-tools.example>" CACHE STRING
  "Who answers for the packages: NAME <ADDRESS>")

set(WC_PACKAGE_library libwritecache${PROJECT_VERSION_MAJOR})
set(WC_PACKAGE_tools writecache-tools)
set(WC_PACKAGE_plugin nbdkit-plugin-writecache)
set(WC_PACKAGE_development libwritecache-dev)
set(components library tools plugin development)

# What Debian wants of every package: its licence and its history.
set(debian "${PROJECT_SOURCE_DIR}/dist/debian")
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(package_version "${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  "${PROJECT_SOURCE_DIR}/CHANGELOG.md" "${debian}/changelog.py")
foreach(component IN LISTS components)
  set(package ${WC_PACKAGE_${component}})
  set(changelog "${PROJECT_BINARY_DIR}/debian/${package}/changelog.Debian.gz")
  execute_process(COMMAND "${WC_PYTHON}" -B "${debian}/changelog.py" "${PROJECT_SOURCE_DIR}/CHANGELOG.md"
    writecache-tools "${package_version}" "${WC_PACKAGE_CONTACT}" "${changelog}" COMMAND_ERROR_IS_FATAL ANY)
  set(doc_dir "${CMAKE_INSTALL_DATADIR}/doc/${package}")
  install(FILES "${debian}/copyright" "${changelog}" DESTINATION ${doc_dir} COMPONENT ${component})
endforeach()

if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  return()
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_DIRECTORY "${PROJECT_BINARY_DIR}/packages")
set(CPACK_PACKAGE_NAME writecache-tools)
set(CPACK_PACKAGE_CONTACT "${WC_PACKAGE_CONTACT}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")  # each package has its own, the first line of its description
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL ${components})
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${PROJECT_BINARY_DIR}/lib")

# The interface in C++ is not stable yet: what is built together belongs together.
set(same_library "${WC_PACKAGE_library} (= ${package_version})")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME ${WC_PACKAGE_library})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA "${debian}/library/triggers")
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION "work with dm-writecache caches in userspace (library)
The Linux target dm-writecache collects writes on a fast device before they
reach a slow one. This library reads, checks, repairs, drains and serves such
caches without the driver.")

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME ${WC_PACKAGE_tools})
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS "${same_library}")
set(CPACK_DEBIAN_TOOLS_PACKAGE_RECOMMENDS ${WC_PACKAGE_plugin})
set(CPACK_DEBIAN_TOOLS_PACKAGE_SUGGESTS "dmsetup, lvm2, nbd-client")
set(CPACK_DEBIAN_TOOLS_PACKAGE_CONTROL_EXTRA
  "${debian}/tools/postinst" "${debian}/tools/prerm" "${debian}/tools/postrm" "${debian}/tools/triggers")
set(CPACK_DEBIAN_TOOLS_DESCRIPTION "check, repair, drain and serve dm-writecache caches
The Linux target dm-writecache collects writes on a fast device before they
reach a slow one. These commands work on such a cache without the driver:
wc-check looks and repairs, wc-dump shows, wc-flush writes the dirty blocks to
their origin, wc-format makes an empty cache, and wc-run serves cache and
origin as one device.")

set(CPACK_DEBIAN_PLUGIN_PACKAGE_NAME ${WC_PACKAGE_plugin})
set(CPACK_DEBIAN_PLUGIN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PLUGIN_PACKAGE_DEPENDS "${same_library}, nbdkit (>= 1.32)")
set(CPACK_DEBIAN_PLUGIN_DESCRIPTION "dm-writecache plugin for nbdkit
With this plugin nbdkit serves an origin with a dm-writecache cache in front
of it. wc-run of the package writecache-tools uses it.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME ${WC_PACKAGE_development})
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${same_library}")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "work with dm-writecache caches in userspace (development files)
Headers, pkg-config and CMake files of libwritecache.")

include(CPack)
