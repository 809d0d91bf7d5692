# The public library, made of the folders' objects: shared with hidden internals, or, where SNAPMLA_PORTABLE, one static
# archive that holds its dependencies too.

# smla_library(name FOLDERS folder...): the targets <name> and snapmla::<name>. Only symbols called snapmla_* are visible.
function(smla_library name)
  cmake_parse_arguments(arg "" "" "FOLDERS" ${ARGN})
  list(TRANSFORM arg_FOLDERS PREPEND smla_ OUTPUT_VARIABLE modules)
  if(SNAPMLA_PORTABLE)
    smla_merged_archive(${name} ${modules})
  else()
    set(objects ${modules})
    list(TRANSFORM objects REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>")
    add_library(${name} SHARED ${objects})
    # The objects are all there: from the modules come only the libraries that they need.
    target_link_libraries(${name} PRIVATE ${modules})
    target_link_options(${name} PRIVATE -Wl,--exclude-libs,ALL -Wl,--as-needed $<$<NOT:$<BOOL:${SNAPMLA_SANITIZE}>>:-Wl,--no-undefined>)
    set_target_properties(${name} PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
  endif()
  set_target_properties(${name} PROPERTIES EXPORT_NAME ${name} LINKER_LANGUAGE C)
  target_include_directories(${name} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                               $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  add_library(snapmla::${name} ALIAS ${name})
  set_property(GLOBAL APPEND PROPERTY SMLA_LIBRARIES ${name})
endfunction()

# One relocatable object of the modules and of what they use of Lua, jansson, libsodium and zstd, with all but the public
# symbols made local: it cannot clash with another copy of those libraries in the program.
function(smla_merged_archive name)
  set(archives ${ARGN})
  list(TRANSFORM archives REPLACE "(.+)" "$<TARGET_FILE:\\1>")
  set(dependencies lua5.4 jansson sodium zstd)
  list(TRANSFORM dependencies REPLACE "(.+)" "$<TARGET_FILE:\\1>")
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.o)
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${CMAKE_C_COMPILER} -r -nostdlib -o ${object}.all -Wl,--whole-archive ${archives} -Wl,--no-whole-archive
            -Wl,--start-group ${dependencies} -Wl,--end-group
    COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=snapmla_* ${object}.all ${object}
    COMMAND ${CMAKE_COMMAND} -E rm ${object}.all
    DEPENDS ${ARGN}
    COMMENT "Merging ${name}"
    VERBATIM)
  set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  add_library(${name} STATIC ${object})
  target_link_libraries(${name} INTERFACE Threads::Threads ${CMAKE_DL_LIBS} m)
endfunction()
