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
sh scripts/carry_library.sh "$build" "$out/lib"
[ -e "$out/tokens.npz" ] || "${SNAPMLA_PYTHON:-python3}" bench/accuracy/prepare.py "$out"
du -sh "$out"
