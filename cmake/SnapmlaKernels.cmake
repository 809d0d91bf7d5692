# snapmla_add_kernels(target
#   [NAME name]                      of the table in C, and of the header; <target>_kernels
#   PROBLEM option... | PROBLEMS file.json
#                                    what the kernels are for: options as of `snapmla export`, or a list of problems
#   [TARGETS sm90a emulator]         what they are compiled for; sm90a
#   [OPTIONS option...]              more options of `snapmla export`
#   [WHOLE])                         link snapmla rather than snapmla-deploy, for a program that also compiles kernels
#
# Expands and compiles kernels while `target` is built, which needs no GPU (for sm90a: NVRTC), and links them into it. The
# program includes <name>.h and opens them: snapmla_pack_open_source(&name, &options, &pack). What runs them is the library
# snapmla-deploy, which has no compiler and needs the driver alone.
function(snapmla_add_kernels target)
  cmake_parse_arguments(arg "WHOLE" "NAME;PROBLEMS" "PROBLEM;TARGETS;OPTIONS" ${ARGN})
  if(NOT TARGET ${target})
    message(FATAL_ERROR "snapmla_add_kernels: ${target} is no target; add it first.")
  endif()
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "snapmla_add_kernels: ${arg_UNPARSED_ARGUMENTS}: unknown; write NAME, PROBLEM, PROBLEMS, TARGETS, "
                        "OPTIONS or WHOLE before it.")
  endif()
  if((arg_PROBLEM AND arg_PROBLEMS) OR NOT (arg_PROBLEM OR arg_PROBLEMS))
    message(FATAL_ERROR "snapmla_add_kernels: give PROBLEM with options or PROBLEMS with a file, one of the two.")
  endif()
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if(NOT "C" IN_LIST languages)
    message(FATAL_ERROR "snapmla_add_kernels: the kernels become C source; enable C in project(… LANGUAGES C CXX).")
  endif()
  set(name ${target}_kernels)
  if(arg_NAME)
    set(name ${arg_NAME})
  endif()
  string(MAKE_C_IDENTIFIER ${name} identifier)
  if(arg_NAME AND NOT name STREQUAL identifier)
    message(FATAL_ERROR "snapmla_add_kernels: NAME ${arg_NAME} is no name in C.")
  endif()
  set(name ${identifier})

  set(command snapmla::program export ${arg_PROBLEM} ${arg_OPTIONS})
  set(inputs snapmla::program)
  if(arg_PROBLEMS)
    get_filename_component(problems ${arg_PROBLEMS} ABSOLUTE)
    list(APPEND command --problems ${problems})
    list(APPEND inputs ${problems})
  endif()
  foreach(kernel_target IN LISTS arg_TARGETS)
    list(APPEND command --target ${kernel_target})
  endforeach()
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/snapmla_kernels/${target})
  file(MAKE_DIRECTORY ${folder})
  file(CONFIGURE OUTPUT ${folder}/${name}.h @ONLY CONTENT
"/* The kernels that snapmla_add_kernels linked in. */
#pragma once
#include <snapmla/pack.h>
#ifdef __cplusplus
extern \"C\"
#else
extern
#endif
const snapmla_pack_source @name@;
")
  add_custom_command(
    OUTPUT ${folder}/${name}.c
    COMMAND ${command} --c-source ${folder}/${name}.c --c-name ${name}
    DEPENDS ${inputs}
    COMMENT "Compiling kernels: ${name}"
    VERBATIM)
  target_sources(${target} PRIVATE ${folder}/${name}.c)
  target_include_directories(${target} PRIVATE ${folder})
  if(arg_WHOLE)
    target_link_libraries(${target} PRIVATE snapmla::snapmla)
  else()
    target_link_libraries(${target} PRIVATE snapmla::snapmla-deploy)
  endif()
endfunction()
