# Install rules: headers, libraries, the program, the CMake package, pkg-config, licences and documents.

include(CMakePackageConfigHelpers)

get_property(smla_libraries GLOBAL PROPERTY SMLA_LIBRARIES)
set(smla_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/snapmla)

install(DIRECTORY include/snapmla DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES LICENSE THIRD_PARTY.md README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs FILES_MATCHING PATTERN "*.md")
install(FILES docs/snapmla.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

# The program is exported too: snapmla_add_kernels runs it.
set_target_properties(snapmla_cli PROPERTIES EXPORT_NAME program)
install(TARGETS snapmla_cli EXPORT snapmlaTargets RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS snapmla_run snapmla_worker RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

if(smla_libraries)
  install(TARGETS ${smla_libraries} EXPORT snapmlaTargets
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT snapmlaTargets NAMESPACE snapmla:: DESTINATION ${smla_package_dir})
  configure_package_config_file(cmake/snapmlaConfig.cmake.in ${PROJECT_BINARY_DIR}/snapmlaConfig.cmake
                                INSTALL_DESTINATION ${smla_package_dir})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/snapmlaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/snapmlaConfig.cmake ${PROJECT_BINARY_DIR}/snapmlaConfigVersion.cmake
          cmake/SnapmlaKernels.cmake
          DESTINATION ${smla_package_dir})

  set(smla_pc_system_libraries "")
  if(SNAPMLA_PORTABLE)
    set(smla_pc_system_libraries "-lpthread -ldl -lm")
  endif()
  # Paths relative to the .pc file, so that an installed tree may be moved.
  file(RELATIVE_PATH smla_pc_prefix /x/${CMAKE_INSTALL_LIBDIR}/pkgconfig /x)
  foreach(smla_library IN LISTS smla_libraries)
    configure_file(cmake/snapmla.pc.in ${PROJECT_BINARY_DIR}/${smla_library}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/${smla_library}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  endforeach()
endif()
