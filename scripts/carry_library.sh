#!/bin/sh
# Gathers what the Python package needs of a build on a machine where nothing can be installed: the shared library, and those that it
# uses. From the `release` preset, as a `portable` build has none; a portable build's programs go beside it, if any.
#
#   sh scripts/carry_library.sh [BUILD [OUTDIR]]      build/release into build/carry, which is ignored by git: copy it along
set -eu
cd "$(dirname "$0")/.."
build=${1:-build/release} out=${2:-build/carry}
[ -e "$build/lib/libsnapmla.so" ] || { echo "error: $build/lib/libsnapmla.so is not there: build it first" >&2; exit 1; }
mkdir -p "$out"
cp -L "$build/lib/libsnapmla.so" "$out/"
strip --strip-unneeded "$out/libsnapmla.so"
for name in liblua5.4 libjansson libsodium libzstd; do
  file=$(ldd "$build/lib/libsnapmla.so" | awk -v n="$name" 'index($1, n) == 1 { print $3 }')
  [ -z "$file" ] || cp -L "$file" "$out/"
done
du -sh "$out"
