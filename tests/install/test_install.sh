#!/bin/sh
# test_install.sh CMAKE BUILD WORK SOURCE CC GENERATOR [FLAGS]: installs BUILD, moves the tree, and uses it from there.
set -eu
cmake=$1 build=$2 work=$3 source=$4 cc=$5 generator=$6 flags=${7:-}

rm -rf "$work"
mkdir -p "$work/consumer"
"$cmake" --install "$build" --prefix "$work/first" >"$work/install.log"
mv "$work/first" "$work/moved"

for file in include/snapmla/snapmla.h share/doc/snapmla/LICENSE share/doc/snapmla/THIRD_PARTY.md; do
  [ -f "$work/moved/$file" ] || { echo "not installed: $file"; exit 1; }
done
libdir=$(dirname "$(find "$work/moved" -name 'libsnapmla.*' | head -n 1)")
if [ -f "$libdir/libsnapmla.so" ]; then
  [ -L "$libdir/libsnapmla.so.0" ] || { echo "libsnapmla.so.0, the SONAME, is not installed"; exit 1; }
fi

echo "find_package"
cp "$source/program.c" "$work/consumer/"
cp "$source/CMakeLists.consumer.txt" "$work/consumer/CMakeLists.txt"
"$cmake" -G "$generator" -S "$work/consumer" -B "$work/consumer/build" -DCMAKE_PREFIX_PATH="$work/moved" -DCMAKE_C_COMPILER="$cc" \
  -DCMAKE_C_FLAGS="$flags" >"$work/configure.log"
"$cmake" --build "$work/consumer/build" >"$work/build.log" || { cat "$work/build.log"; exit 1; }
"$work/consumer/build/consumer"

echo "pkg-config"
PKG_CONFIG_PATH=$libdir/pkgconfig
export PKG_CONFIG_PATH
# shellcheck disable=SC2046 # the flags are words
"$cc" $flags "$source/program.c" -o "$work/plain" $(pkg-config --cflags --libs snapmla)
LD_LIBRARY_PATH=$libdir "$work/plain"

if [ -x "$work/moved/bin/snapmla" ]; then
  echo "program"
  "$work/moved/bin/snapmla" --version
fi
