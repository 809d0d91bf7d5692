#!/bin/sh
# test_install.sh CMAKE BUILD WORK SOURCE CC GENERATOR EXAMPLES TARGETS [FLAGS]: installs BUILD, moves the tree, and uses it
# from there. TARGETS: what kernels can be compiled for here.
set -eu
cmake=$1 build=$2 work=$3 source=$4 cc=$5 generator=$6 examples=$7 targets=$(echo "$8" | tr , ";") flags=${9:-}

rm -rf "$work"
mkdir -p "$work/consumer"
"$cmake" --install "$build" --prefix "$work/first" >"$work/install.log"
mv "$work/first" "$work/moved"

for file in include/snapmla/snapmla.h bin/snapmla bin/snapmla-run share/doc/snapmla/LICENSE share/doc/snapmla/THIRD_PARTY.md; do
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

# shellcheck disable=SC2046
"$cc" $flags "$source/program.c" -o "$work/plain-deploy" $(pkg-config --cflags --libs snapmla-deploy)
LD_LIBRARY_PATH=$libdir "$work/plain-deploy"

echo "programs"
"$work/moved/bin/snapmla" --version
"$work/moved/bin/snapmla-run" --version

echo "snapmla_add_kernels"
cp -R "$examples/deploy" "$work/deploy"
mkdir "$work/tmp"
SNAPMLA_CACHE_DIR=$work/cache
export SNAPMLA_CACHE_DIR
"$cmake" -G "$generator" -S "$work/deploy" -B "$work/deploy/build" -DCMAKE_PREFIX_PATH="$work/moved" -DCMAKE_C_COMPILER="$cc" \
  -DCMAKE_C_FLAGS="$flags -Wall -Wextra -Werror" -DDECODE_TARGETS="$targets" >"$work/configure-deploy.log"
"$cmake" --build "$work/deploy/build" >"$work/build-deploy.log" || { cat "$work/build-deploy.log"; exit 1; }
for program in decode layer; do
  "$work/deploy/build/$program"
  if ldd "$work/deploy/build/$program" | grep -E 'lua|nvrtc|libsnapmla\.so'; then
    echo "the example needs what a target machine has not: $program"
    exit 1
  fi
done
# Nothing to do the second time; a changed list of problems makes the kernels again.
"$cmake" --build "$work/deploy/build" >"$work/again.log"
if grep -q "Compiling kernels" "$work/again.log"; then
  echo "kernels are compiled though nothing changed"
  exit 1
fi
sleep 1
touch "$work/deploy/problems.json"
"$cmake" --build "$work/deploy/build" >"$work/touched.log"
grep -q "Compiling kernels" "$work/touched.log" || { echo "kernels are not compiled though their problems changed"; exit 1; }
