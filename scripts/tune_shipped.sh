#!/bin/sh
# Tunes the problems that wisdom is shipped for, on the machine at hand, and writes it: sh scripts/tune_shipped.sh FILE [DEVICE]
# FILE belongs into autotune/wisdom/, and is written when every problem has a winner. All are measured, whatever wisdom the program
# carries (tune --again). SNAPMLA names the program (build/release/bin/snapmla), EFFORT the effort (patient), HEADS those to tune, where not all
# kernels changed: what FILE has of others stays (16 64 128).
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

[ $# -ge 1 ] || die "name the file to write: sh scripts/tune_shipped.sh FILE [DEVICE]"
file=$1
device=${2:-}
program=${SNAPMLA:-build/release/bin/snapmla}
[ -x "$program" ] || die "no program at $program: build it, or name it in SNAPMLA"
cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT
problems=0
for heads in ${HEADS:-16 64 128}; do
  for shape in "1 1024" "1 8192" "1 32768" "1 131072" "2 8192" "4 8192" "4 32768" "8 1024" "32 16384" "64 32768" "128 8192" "128 32768"; do
    # Left to the model (docs/tuning.md): at the first lengths that differ want 32 rows on an H100, by 4 %, which cost equal ones 7 %; at the
    # second its search took 16 rows, which take 6 % more than the model's 32.
    case "$heads $shape" in
    "64 32 16384" | "128 1 8192") continue ;;
    esac
    # shellcheck disable=SC2086 # two words
    set -- $shape
    say "tuning $heads heads, batch $1, context $2"
    SNAPMLA_CACHE_DIR=$cache "$program" tune --again --effort "${EFFORT:-patient}" --heads "$heads" --batch "$1" \
      --max-context "$2" ${device:+--device "$device"}
    problems=$((problems + 1))
  done
done
# Winners alone: the library reads what it carries for every plan.
SNAPMLA_CACHE_DIR=$cache "$program" wisdom -o "$cache/all.json"
python3 -c 'import collections, json, os, sys
source, target, problems, heads = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4].split()
wisdom = json.load(open(source, encoding="utf-8"))
wisdom["measurements"] = [m for m in wisdom["measurements"] if m["won"]]
winners = collections.Counter(m["problem"] for m in wisdom["measurements"])
if len(winners) != problems or max(winners.values(), default=0) > 1:
    sys.exit(f"{problems} problems were tuned, and {sum(winners.values())} measurements of {len(winners)} problems won: "
             f"{target} is as it was")
if heads and os.path.exists(target):
    try:
        old = json.load(open(target, encoding="utf-8"))["measurements"]
    except (ValueError, KeyError) as error:
        sys.exit(f"{target} is no wisdom whose other heads could stay ({error}): name another FILE, or tune all heads")
    wisdom["measurements"] += [m for m in old if m["problem"].split("-")[0][1:] not in heads]
with open(target + ".new", "w", encoding="utf-8") as file:
    json.dump(wisdom, file, indent=1, sort_keys=True)
    file.write("\n")
os.replace(target + ".new", target)' "$cache/all.json" "$file" "$problems" "${HEADS:-}"
say "wrote $file"
