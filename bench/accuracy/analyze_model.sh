#!/bin/sh
# `snapmla analyze` of a model of train.py, per layer and head, with every format and level: dumps it under each scenario (dump_model.py),
# analyses the dump, and writes OUTDIR/analysis.csv and a picture SCENARIO.svg of each. Then bench/accuracy/accuracy_page.py renews docs/accuracy.md.
#
#   sh bench/accuracy/analyze_model.sh MODEL.pt TOKENS.npz OUTDIR [BUILD]     BUILD: build/release
#
# Needs no GPU; SNAPMLA_PYTHON names a Python with torch, numpy and matplotlib; BUDGET (0.01) is that of --recommend, LENGTH (1024) the tokens in the
# cache, SCENARIOS ("plain sink severe") those of scenarios.py. Minutes on two cores.
set -eu
[ $# -ge 3 ] || { echo "usage: sh bench/accuracy/analyze_model.sh MODEL.pt TOKENS.npz OUTDIR [BUILD]" >&2; exit 2; }
model=$(realpath "$1") tokens=$(realpath "$2") build=$(realpath "${4:-$(dirname "$0")/../../build/release}")
mkdir -p "$3" && out=$(cd "$3" && pwd)
cd "$(dirname "$0")/../.."
. scripts/lib.sh
python=${SNAPMLA_PYTHON:-python3} program=$build/bin/snapmla budget=${BUDGET:-0.01}
[ -x "$program" ] || die "$program is not there: cmake --preset release && cmake --build --preset release"
scratch=$(mktemp -d)
reports=
trap 'rm -rf "$scratch"' EXIT
export PYTHONDONTWRITEBYTECODE=1
for scenario in ${SCENARIOS:-plain sink severe}; do
  "$python" bench/accuracy/dump_model.py "$model" "$tokens" "$scratch/dump.safetensors" --scenario "$scenario" ${LENGTH:+--length "$LENGTH"}
  # Exit status 1: a layer has no format within the budget, which the report says.
  "$program" analyze "$scratch/dump.safetensors" --recommend --budget "$budget" --json >"$scratch/$scenario.json" || [ $? = 1 ]
  "$python" scripts/plot_analysis.py "$scratch/$scenario.json" -o "$out/$scenario.svg"
  reports="$reports $scratch/$scenario.json"
done
# shellcheck disable=SC2086 # a list of paths without blanks
"$python" bench/accuracy/analysis.py "$out/analysis.csv" $reports
