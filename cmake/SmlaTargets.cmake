# One static target per folder, with private includes: a wrong arrow does not compile.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)

# Programs in <build>/bin, libraries in <build>/lib, test programs in <build>/bin/tests.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
set(smla_test_directory ${PROJECT_BINARY_DIR}/bin/tests)
# Both the build folder and an installed tree may be moved.
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
set(CMAKE_INSTALL_RPATH $ORIGIN/../${CMAKE_INSTALL_LIBDIR})

add_compile_definitions(_GNU_SOURCE)
add_compile_options(-Wall -Wextra -Wshadow -ffp-contract=off
                    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes$<SEMICOLON>-Wmissing-prototypes>
                    $<$<BOOL:${SNAPMLA_WERROR}>:-Werror>)
if(SNAPMLA_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
if(SNAPMLA_PORTABLE)
  # libc stays shared: kernels for the emulator are loaded with dlopen, which a wholly static program cannot do.
  add_link_options(-static-libgcc)
endif()

# smla_module(name SOURCES a.c b.c [USES folder...] [LIBRARIES lib...])
# The target smla_<name>; its own headers are visible to the folders that USE it, by file name.
function(smla_module name)
  cmake_parse_arguments(arg "" "" "SOURCES;USES;LIBRARIES" ${ARGN})
  add_library(smla_${name} STATIC ${arg_SOURCES})
  target_include_directories(smla_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include INTERFACE ${CMAKE_CURRENT_SOURCE_DIR})
  foreach(used IN LISTS arg_USES)
    target_include_directories(smla_${name} PRIVATE ${PROJECT_SOURCE_DIR}/${used})
    target_link_libraries(smla_${name} PUBLIC $<LINK_ONLY:smla_${used}>)
  endforeach()
  target_link_libraries(smla_${name} PRIVATE ${arg_LIBRARIES} Threads::Threads ${CMAKE_DL_LIBS} m)
endfunction()

# smla_test(name SOURCES test_x.c [USES folder...] [LIBRARIES lib...] [LABELS label...] [TIMEOUT seconds])
# A cmocka program, run by ctest as <name> from the repository's root. Labels: `unit` (the default) is quick and runs under
# valgrind too; `fibres` switches stacks, which valgrind must not watch; `slow` would take minutes under it.
function(smla_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;USES;LIBRARIES;LABELS" ${ARGN})
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  # The library and a folder each bring the public functions: beside folders, the folders that make the library stand for it.
  if(arg_USES)
    list(TRANSFORM arg_LIBRARIES REPLACE "^snapmla$" smla_runtime)
  endif()
  add_executable(test_${name} ${arg_SOURCES})
  foreach(used IN LISTS arg_USES)
    target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/${used})
    target_link_libraries(test_${name} PRIVATE smla_${used})
  endforeach()
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(test_${name} PRIVATE ${arg_LIBRARIES} cmocka m)
  set_target_properties(test_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${smla_test_directory})
  add_test(NAME ${name} COMMAND test_${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
  smla_test_environment(${name})
  if(SNAPMLA_VALGRIND AND "unit" IN_LIST arg_LABELS AND NOT SNAPMLA_SANITIZE)
    smla_script_test(valgrind_${name} LABELS valgrind TIMEOUT 600
      # A fibre's stack may lie near the thread's: what moves the stack pointer farther than any frame is a switch.
      COMMAND ${SNAPMLA_VALGRIND} -q --max-stackframe=196608 --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect
              $<TARGET_FILE:test_${name}>)
  endif()
endfunction()

# smla_fuzz_test(name SOURCES fuzz_x.c [USES folder...] [LIBRARIES lib...] ROUNDS count)
# A fuzz target without libFuzzer: on its corpus (corpus/<x> beside the target fuzz_x.c) and `count` changed copies of it.
function(smla_fuzz_test name)
  cmake_parse_arguments(arg "" "ROUNDS" "SOURCES;USES;LIBRARIES" ${ARGN})
  list(GET arg_SOURCES 0 target)
  string(REGEX REPLACE "^fuzz_(.*)\\.c$" "\\1" corpus ${target})
  add_executable(fuzz_${corpus}_short ${arg_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz_main.c)
  foreach(used IN LISTS arg_USES)
    target_include_directories(fuzz_${corpus}_short PRIVATE ${PROJECT_SOURCE_DIR}/${used})
    target_link_libraries(fuzz_${corpus}_short PRIVATE smla_${used})
  endforeach()
  target_include_directories(fuzz_${corpus}_short PRIVATE ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(fuzz_${corpus}_short PRIVATE ${arg_LIBRARIES})
  set_target_properties(fuzz_${corpus}_short PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${smla_test_directory})
  smla_script_test(${name} LABELS fuzz
    COMMAND fuzz_${corpus}_short ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${corpus} ${arg_ROUNDS})
endfunction()

# smla_script_test(name COMMAND command... [LABELS label...] [TIMEOUT seconds]): any other command as a test.
function(smla_script_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "COMMAND;LABELS" ${ARGN})
  if(NOT arg_LABELS)
    set(arg_LABELS tree)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_test(NAME ${name} COMMAND ${arg_COMMAND} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
  smla_test_environment(${name})
endfunction()

find_program(SNAPMLA_VALGRIND NAMES valgrind)
mark_as_advanced(SNAPMLA_VALGRIND)

# Tests use the NVRTC that configuring found. Under ASan too, an allocation that cannot be had returns NULL.
function(smla_test_environment name)
  if(SNAPMLA_SANITIZE)
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT "ASAN_OPTIONS=allocator_may_return_null=1")
  endif()
  if(SnapmlaCuda_NVRTC)
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT "SNAPMLA_NVRTC=${SnapmlaCuda_NVRTC}")
  endif()
endfunction()

if(SNAPMLA_PORTABLE AND SNAPMLA_TESTS)
  # Debian ships cmocka shared only: it travels beside the tests, and they are linked to the copy.
  get_target_property(cmocka_file cmocka IMPORTED_LOCATION)
  file(REAL_PATH ${cmocka_file} cmocka_file)
  execute_process(COMMAND ${CMAKE_OBJDUMP} -p ${cmocka_file} OUTPUT_VARIABLE cmocka_headers)
  if(NOT cmocka_headers MATCHES "SONAME +([^\n]+)")
    message(FATAL_ERROR "${cmocka_file} names no SONAME: install the shared cmocka (libcmocka-dev).")
  endif()
  set(cmocka_copy ${smla_test_directory}/${CMAKE_MATCH_1})
  configure_file(${cmocka_file} ${cmocka_copy} COPYONLY)
  set_target_properties(cmocka PROPERTIES IMPORTED_LOCATION ${cmocka_copy})
endif()
