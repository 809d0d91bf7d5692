# smla_embed_files(OUTPUT file.c ROOT folder FILES path... HEADER x.h TYPE t TABLE name COUNT name): a command that makes OUTPUT, the
# files at those paths below ROOT as a C table (embed_files.cmake), anew when one of them or their list changes.
function(smla_embed_files)
  cmake_parse_arguments(arg "" "OUTPUT;ROOT;HEADER;TYPE;TABLE;COUNT" "FILES" ${ARGN})
  list(SORT arg_FILES)
  set(manifest ${arg_OUTPUT}.manifest)
  string(REPLACE ";" "\n" manifest_text "${arg_FILES}")
  file(CONFIGURE OUTPUT ${manifest} CONTENT "${manifest_text}\n" @ONLY)
  list(TRANSFORM arg_FILES PREPEND ${arg_ROOT}/ OUTPUT_VARIABLE paths)
  set(script ${PROJECT_SOURCE_DIR}/cmake/embed_files.cmake)
  add_custom_command(
    OUTPUT ${arg_OUTPUT}
    COMMAND ${CMAKE_COMMAND} -DROOT=${arg_ROOT} -DMANIFEST=${manifest} -DHEADER=${arg_HEADER} -DTYPE=${arg_TYPE}
            -DTABLE=${arg_TABLE} -DCOUNT=${arg_COUNT} -DOUTPUT=${arg_OUTPUT} -P ${script}
    DEPENDS ${paths} ${manifest} ${script}
    COMMENT "Embedding ${arg_ROOT}"
    VERBATIM)
endfunction()
