#!/bin/sh
# Renews generated/, the expanded kernels that are committed for reading and review; with --check only says whether they are
# current: sh scripts/generated.sh [--check] [PATH-OF-snapmla]
set -eu
cd "$(dirname "$0")/.."
check=0
if [ "${1:-}" = --check ]; then
  check=1
  shift
fi
program=${1:-build/release/bin/snapmla}
[ -x "$program" ] || { echo "generated: no program at $program: build it first, or name it" >&2; exit 2; }
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
for family in schedule query_quant mla_decode mla_combine kv_append shard_merge query_absorb value_project output_project kv_fetch; do
  "$program" gen --family "$family" --target sm90a -o "$new/$family.cu" >/dev/null
done
# What append does in a layer step.
"$program" gen --variant kv_append:norm=rms,rotate=interleaved --target sm90a -o "$new/kv_append_layer.cu" >/dev/null
# The decode kernel's other shape.
"$program" gen --family mla_decode --heads 16 --target sm90a -o "$new/mla_decode_16_rows.cu" >/dev/null
# An up-projection that merges the pieces of cut requests.
"$program" gen --variant value_project:combine=fused,columns=8 --target sm90a -o "$new/value_project_fused.cu" >/dev/null
# A product whose reduction blocks share: a cluster.
"$program" gen --variant output_project:columns=8,groups=1,split=2,stages=12 --target sm90a -o "$new/output_project_split.cu" >/dev/null
# The decode kernel whose blocks read their pages together: a cluster.
"$program" gen --family mla_decode --variant mla_decode:cluster=2 --target sm90a -o "$new/mla_decode_cluster.cu" >/dev/null
# Another format: rows by tensor copies, bf16 products.
"$program" gen --family mla_decode --heads 16 --format bf16 --target sm90a -o "$new/mla_decode_16_rows_bf16.cu" >/dev/null
"$program" gen --family mla_decode --heads 64 --format bf16 --target sm90a -o "$new/mla_decode_64_rows_bf16.cu" >/dev/null
# The decode kernel of sparse decoding.
"$program" gen --family mla_decode --sparse 2048 --target sm90a -o "$new/mla_decode_sparse.cu" >/dev/null
stale=0
for file in "$new"/*.cu generated/*.cu; do
  [ -e "$file" ] || continue
  name=$(basename "$file")
  cmp -s "$new/$name" "generated/$name" && continue
  stale=1
  if [ $check = 1 ]; then
    echo "generated: generated/$name is not what the templates expand to: run sh scripts/generated.sh" >&2
  elif [ -f "$new/$name" ]; then
    cp "$new/$name" "generated/$name"
    echo "generated/$name"
  else
    rm -f "generated/$name"
    echo "generated/$name removed"
  fi
done
[ $check = 0 ] || exit $stale
