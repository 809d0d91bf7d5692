#!/bin/sh
# gpu_pack.sh BUILD DEVICE OUTDIR: exports a signed pack of a problem and of its layer, and decodes and runs a layer's step with it as a
# target machine does: without a compiler, cache or writable directory.
set -eu
build=$1 device=$2 out=$3
target=sm90a allow=
if [ "$device" = emulator ]; then
  target=emulator allow=--allow-host-code
fi
rm -f "$out/pack.key" "$out/pack.pub"
"$build/bin/snapmla" pack keygen -o "$out/pack"
echo '[{"heads": 16, "max_batch": 4, "max_context": 4096, "layer": [false, true]}]' >"$out/pack.json"
"$build/bin/snapmla" export --problems "$out/pack.json" --target "$target" --sign "$out/pack.key" -o "$out/kernels.smlapack"
rm "$out/pack.key"
# shellcheck disable=SC2086 # nothing, or one word
env -u SNAPMLA_CACHE_DIR HOME=/nonexistent TMPDIR=/nonexistent "$build/bin/snapmla-run" --pack "$out/kernels.smlapack" --strict \
  --key "$out/pack.pub" --device "$device" --heads 16 --context 700,65 $allow
# shellcheck disable=SC2086
env -u SNAPMLA_CACHE_DIR HOME=/nonexistent TMPDIR=/nonexistent "$build/bin/snapmla" layer --pack "$out/kernels.smlapack" --strict \
  --key "$out/pack.pub" --device "$device" --heads 16 --context 700,65 $allow
