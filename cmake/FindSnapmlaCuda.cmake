# Finds NVRTC, which compiles kernels for sm_90a, and the CUDA headers, for the tests alone: the library and the program open
# what they need with dlopen and build without CUDA.
#
# Looks in the environment's SNAPMLA_NVRTC, CUDAToolkit_ROOT, CUDA_HOME and CUDA_PATH, in /usr/local/cuda*, and in the PyPI
# wheels nvidia-cuda-nvrtc (13.x) and nvidia-cuda-nvrtc-cu12 of the current Python and of the build folder's cuda-venv.
# Sets SnapmlaCuda_FOUND, SnapmlaCuda_NVRTC (a file), SnapmlaCuda_NVRTC_VERSION (12.4 to 13.x) and, where there is one,
# SnapmlaCuda_INCLUDE_DIR (with cuda.h).

set(smla_cuda_roots "")
foreach(root IN ITEMS "${CUDAToolkit_ROOT}" "$ENV{CUDAToolkit_ROOT}" "$ENV{CUDA_HOME}" "$ENV{CUDA_PATH}")
  if(root)
    list(APPEND smla_cuda_roots ${root})
  endif()
endforeach()
file(GLOB toolkits LIST_DIRECTORIES true /usr/local/cuda /usr/local/cuda-1[23]*)
list(APPEND smla_cuda_roots ${toolkits})

# Wheels put the library into nvidia/cu13/lib (13.x) or nvidia/cuda_nvrtc/lib (12.x) of a site-packages folder.
file(GLOB sites LIST_DIRECTORIES true ${PROJECT_SOURCE_DIR}/build/cuda-venv/lib/python3*/site-packages)
find_program(SNAPMLA_PYTHON NAMES python3)
mark_as_advanced(SNAPMLA_PYTHON)
if(SNAPMLA_PYTHON)
  execute_process(COMMAND ${SNAPMLA_PYTHON} -c "import site,sysconfig;print(';'.join([sysconfig.get_path('purelib')]+\
(site.getsitepackages() if hasattr(site,'getsitepackages') else [])+[site.getusersitepackages()]))"
                  OUTPUT_VARIABLE python_sites OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  list(APPEND sites ${python_sites})
endif()
foreach(site IN LISTS sites)
  list(APPEND smla_cuda_roots ${site}/nvidia/cu13 ${site}/nvidia/cuda_nvrtc ${site}/nvidia/cuda_runtime)
endforeach()
list(REMOVE_DUPLICATES smla_cuda_roots)

# The version of the library `file`: toolkits and wheels may name it by the major number alone, but the builtins that it
# loads from its own folder carry both (libnvrtc-builtins.so.13.0).
function(smla_nvrtc_version file out)
  file(REAL_PATH ${file} real)
  get_filename_component(folder ${real} DIRECTORY)
  string(REGEX MATCH "\\.so\\.([0-9]+)" unused ${file})
  file(GLOB builtins ${folder}/libnvrtc-builtins.so.${CMAKE_MATCH_1}.*)
  set(version unknown)
  if(builtins MATCHES "libnvrtc-builtins\\.so\\.([0-9]+\\.[0-9]+)")
    set(version ${CMAKE_MATCH_1})
  endif()
  set(${out} ${version} PARENT_SCOPE)
endfunction()

set(SnapmlaCuda_NVRTC "")
set(SnapmlaCuda_NVRTC_VERSION "")
set(smla_cuda_refused "")
set(candidates "")
if(DEFINED ENV{SNAPMLA_NVRTC} AND EXISTS "$ENV{SNAPMLA_NVRTC}")
  list(APPEND candidates $ENV{SNAPMLA_NVRTC})
endif()
foreach(root IN LISTS smla_cuda_roots)
  file(GLOB found ${root}/lib64/libnvrtc.so.1[23] ${root}/lib/libnvrtc.so.1[23]
       ${root}/targets/${CMAKE_SYSTEM_PROCESSOR}-linux/lib/libnvrtc.so.1[23])
  list(SORT found ORDER DESCENDING)
  list(APPEND candidates ${found})
endforeach()
foreach(candidate IN LISTS candidates)
  smla_nvrtc_version(${candidate} version)
  if(version VERSION_GREATER_EQUAL 12.4 AND version VERSION_LESS 14)
    set(SnapmlaCuda_NVRTC ${candidate})
    set(SnapmlaCuda_NVRTC_VERSION ${version})
    break()
  endif()
  list(APPEND smla_cuda_refused "${candidate} (${version})")
endforeach()

set(SnapmlaCuda_INCLUDE_DIR "")
foreach(root IN LISTS smla_cuda_roots)
  if(EXISTS ${root}/include/cuda.h)
    set(SnapmlaCuda_INCLUDE_DIR ${root}/include)
    break()
  endif()
endforeach()

if(SnapmlaCuda_NVRTC)
  set(SnapmlaCuda_FOUND TRUE)
  message(STATUS "NVRTC ${SnapmlaCuda_NVRTC_VERSION}: ${SnapmlaCuda_NVRTC}")
else()
  set(SnapmlaCuda_FOUND FALSE)
  if(smla_cuda_refused)
    list(JOIN smla_cuda_refused ", " smla_cuda_refused)
    message(STATUS "NVRTC: only versions other than 12.4 to 13.x: ${smla_cuda_refused}")
  endif()
  message(STATUS "NVRTC: not found; tests that compile for sm_90a are left out. To get it: "
                 "python3 -m venv build/cuda-venv && build/cuda-venv/bin/pip install nvidia-cuda-nvrtc "
                 "(for a driver older than 580: nvidia-cuda-nvrtc-cu12), then configure again; "
                 "or set CUDAToolkit_ROOT to a CUDA Toolkit.")
endif()
