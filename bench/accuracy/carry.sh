#!/bin/sh
# Gathers what run.sh needs on a machine without network into build/accuracy (ignored by git; copy it along): the tokens, and the
# library with the shared libraries that it uses.
#
#   sh bench/accuracy/carry.sh [BUILD]      BUILD: build/release, or another build with lib/libsnapmla.so
#
# prepare.py needs numpy and tokenizers (PyPI): SNAPMLA_PYTHON names a Python that has them.
set -eu
cd "$(dirname "$0")/../.."
build=${1:-build/release}
out=build/accuracy
[ -e "$build/lib/libsnapmla.so" ] || { echo "error: $build/lib/libsnapmla.so is not there: build it first" >&2; exit 1; }
mkdir -p "$out/lib"
cp -L "$build/lib/libsnapmla.so" "$out/lib/"
strip --strip-unneeded "$out/lib/libsnapmla.so"
for name in liblua5.4 libjansson libsodium libzstd; do
  file=$(ldd "$build/lib/libsnapmla.so" | awk -v n="$name" 'index($1, n) == 1 { print $3 }')
  [ -z "$file" ] || cp -L "$file" "$out/lib/"
done
[ -e "$out/tokens.npz" ] || "${SNAPMLA_PYTHON:-python3}" bench/accuracy/prepare.py "$out"
du -sh "$out"
