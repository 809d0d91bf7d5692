#!/bin/sh
# Builds what the container image holds, as the Dockerfile has it done: sh scripts/image_root.sh PREFIX [NVRTC-WHEEL] [BUILD-DIR]
#
#   PREFIX/bin, lib, include    the installed program and libraries
#   PREFIX/python               a virtual environment over the system's numpy, with the package and NVRTC
# An empty NVRTC-WHEEL leaves NVRTC out. PYTHON: the system's python3, which has numpy.
set -eu
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { echo "usage: sh scripts/image_root.sh PREFIX [NVRTC-WHEEL] [BUILD-DIR]" >&2; exit 2; }
prefix=$1 wheel=${2-nvidia-cuda-nvrtc} build=${3:-build/image}

cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DSNAPMLA_TESTS=OFF -DCMAKE_INSTALL_PREFIX="$prefix"
cmake --build "$build"
cmake --build "$build" --target wheel
cmake --install "$build" --strip
"${PYTHON:-python3}" -m venv --system-site-packages "$prefix/python"
pip() { "$prefix/python/bin/python" -m pip --disable-pip-version-check --no-cache-dir "$@"; }
pip install --no-index "$build"/wheel/*.whl
if [ -n "$wheel" ]; then pip install "$wheel"; fi
