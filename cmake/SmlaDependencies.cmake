# The libraries of docs/dependencies.md, as imported targets named as the linker names them: lua5.4, jansson, sodium, zstd,
# and cmocka for the tests. SNAPMLA_PORTABLE takes the static archives of all but cmocka.

find_package(Threads REQUIRED)

set(smla_missing "")

# smla_dependency(target [ALIASES name...] HEADER header [DIRECTORIES suffix...] PACKAGE debian-package [SHARED])
# ALIASES: what other systems call the library.
function(smla_dependency target)
  cmake_parse_arguments(arg "SHARED" "HEADER;PACKAGE" "ALIASES;DIRECTORIES" ${ARGN})
  set(names ${target} ${arg_ALIASES})
  set(key SNAPMLA_${target})
  if(SNAPMLA_PORTABLE AND NOT arg_SHARED)
    list(TRANSFORM names REPLACE "(.+)" "lib\\1.a")
    set(key SNAPMLA_STATIC_${target})
  endif()
  string(MAKE_C_IDENTIFIER ${key} key)
  find_library(${key}_LIBRARY NAMES ${names})
  find_path(${key}_INCLUDE ${arg_HEADER} PATH_SUFFIXES ${arg_DIRECTORIES})
  mark_as_advanced(${key}_LIBRARY ${key}_INCLUDE)
  if(NOT ${key}_LIBRARY OR NOT ${key}_INCLUDE)
    set(smla_missing ${smla_missing} ${arg_PACKAGE} PARENT_SCOPE)
    return()
  endif()
  add_library(${target} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES IMPORTED_LOCATION ${${key}_LIBRARY}
                                             INTERFACE_INCLUDE_DIRECTORIES ${${key}_INCLUDE})
endfunction()

smla_dependency(lua5.4 ALIASES lua-5.4 lua54 HEADER lua.h DIRECTORIES lua5.4 lua-5.4 lua54 PACKAGE liblua5.4-dev)
smla_dependency(jansson HEADER jansson.h PACKAGE libjansson-dev)
smla_dependency(sodium HEADER sodium.h PACKAGE libsodium-dev)
smla_dependency(zstd HEADER zstd.h PACKAGE libzstd-dev)
if(SNAPMLA_TESTS)
  smla_dependency(cmocka HEADER cmocka.h PACKAGE libcmocka-dev SHARED)
endif()

if(smla_missing)
  list(JOIN smla_missing " " packages)
  message(FATAL_ERROR "Missing: ${packages}. On Debian or Ubuntu: apt-get install ${packages}. Elsewhere install the "
                      "libraries of docs/dependencies.md and name their prefixes in CMAKE_PREFIX_PATH.")
endif()
