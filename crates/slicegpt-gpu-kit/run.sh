#!/bin/sh
# Checks and measures the GPU of this machine with the binaries in bin/, and writes the results to
# results/results.json and results/results.md. Each stage has a time limit; the results of finished
# stages are kept, whatever happens to the rest. Needs a POSIX shell, the driver of the GPU and, for
# Vulkan, a loader (libvulkan.so.1).
#
# Usage: ./run.sh [--minutes N] [--device NAME] [--out DIR] [--scratch DIR] [--stages "NAME ..."]
set -u

PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
export PATH
here=$(cd "$(dirname "$0")" && pwd) || exit 2
kit="$here/bin/slicegpt-gpu-kit"
minutes=6
device=
out="$here/results"
scratch="$here/scratch"
only=
# Seconds reserved for assembling the results, and for a stage that does not stop by itself.
margin=6

usage() {
    echo "usage: run.sh [--minutes N] [--device NAME] [--out DIR] [--scratch DIR] [--stages \"NAME ...\"]" >&2
    echo "  --minutes  how long the whole run may take (6)" >&2
    echo "  --device   as \`bin/slicegpt devices\` names it (the best hardware device)" >&2
    echo "  --out      folder for the results (results, next to this script)" >&2
    echo "  --scratch  folder for models that are made and cut; up to 30 GB (scratch, next to this script)" >&2
    echo "  --stages   these stages only: see \`bin/slicegpt-gpu-kit plan\`" >&2
}

while [ $# -gt 0 ]; do
    case $1 in
        --minutes | --device | --out | --scratch | --stages)
            [ $# -ge 2 ] || { usage; exit 2; }
            case $1 in
                --minutes) minutes=$2 ;;
                --device) device=$2 ;;
                --out) out=$2 ;;
                --scratch) scratch=$2 ;;
                --stages) only=$2 ;;
            esac
            shift 2
            ;;
        -h | --help) usage; exit 0 ;;
        *) echo "error: unknown option $1" >&2; usage; exit 2 ;;
    esac
done

began=$(date +%s)
started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
plan=$("$kit" plan --minutes "$minutes") || exit 2
# Minutes may be a fraction, but the shell has only whole numbers.
total=$(awk "BEGIN { printf \"%d\", 60 * $minutes }" 2>/dev/null) || total=$((60 * ${minutes%.*}))
mkdir -p "$out" "$scratch" || exit 2
rm -f "$out"/*.jsonl "$out"/*.part "$out"/*.end "$out"/*.log "$out"/results.json "$out"/results.md

elapsed() {
    echo $(($(date +%s) - began))
}

# Runs a command for at most $1 seconds; status 124 if it was stopped. `timeout` may not exist.
limited() {
    patience=$1
    shift
    "$@" &
    running=$!
    (
        # Short sleeps, because the last one outlives a watcher that is killed. The watcher also
        # ends with the run.
        while [ "$patience" -gt 0 ]; do
            sleep 1
            kill -0 "$$" 2>/dev/null || exit 0
            patience=$((patience - 1))
        done
        kill -TERM "$running" 2>/dev/null && sleep 2 && kill -KILL "$running" 2>/dev/null
    ) >/dev/null 2>&1 &
    watching=$!
    wait "$running"
    status=$?
    running=
    # Not TERM: a shell that was just forked may lose it to the trap of its parent.
    kill -KILL "$watching" 2>/dev/null
    wait "$watching" 2>/dev/null
    watching=
    # A command that a signal ended has status 128 plus its number.
    [ "$status" -lt 128 ] || status=124
    return "$status"
}

# Writes a file whole or not at all.
put() {
    printf '%s\n' "$2" >"$1.new" && mv "$1.new" "$1"
}

assemble() {
    "$kit" assemble "$out" --device "$device" --started "$started" --minutes "$minutes" \
        --kit "$here/kit.json"
}

# Kills the running stage, and keeps the results so far.
stopped() {
    trap '' INT TERM HUP
    [ -z "${running:-}" ] || kill -KILL "$running" 2>/dev/null
    [ -z "${watching:-}" ] || kill -KILL "$watching" 2>/dev/null
    assemble
    rm -rf "$scratch"
    echo "stopped; the results of the finished stages are in $out" >&3
    exit 130
}
running=
watching=
# The messages of a stage go to a file, those of the run to the terminal.
exec 3>&2
trap stopped INT TERM HUP

if [ -z "$device" ]; then
    if ! limited 45 "$kit" pick >"$out/device.log" 2>"$out/pick.log"; then
        cat "$out/pick.log" >&2
        exit 2
    fi
    device=$(cat "$out/device.log")
fi
echo "testing $device for at most $minutes minutes; results in $out"

set -f
for line in $(echo "$plan" | tr ' ' ','); do
    name=${line%%,*}
    rest=${line#*,}
    limit=${rest%,*}
    least=${rest#*,}
    if [ -n "$only" ]; then
        case " $only " in
            *" $name "*) ;;
            *) continue ;;
        esac
    fi
    left=$((total - $(elapsed) - margin))
    if [ "$left" -lt "$least" ]; then
        [ "$left" -gt 0 ] || left=0
        put "$out/$name.end" "skipped 0 $left s of the $minutes minutes were left; it needs $least"
        echo "$name: skipped, $left s are left"
        continue
    fi
    [ "$limit" -le "$left" ] || limit=$left
    before=$(elapsed)
    echo "$name: up to $limit s"
    limited $((limit + 3)) "$kit" stage "$name" --device "$device" --seconds "$limit" \
        --fixtures "$here/fixtures" --scratch "$scratch" >"$out/$name.part" 2>"$out/$name.log"
    status=$?
    seconds=$(($(elapsed) - before))
    mv "$out/$name.part" "$out/$name.jsonl"
    case $status in
        0) put "$out/$name.end" "done $seconds" ;;
        124) put "$out/$name.end" "timed-out $seconds stopped after its $limit s" ;;
        *) put "$out/$name.end" "failed $seconds $(tail -n 1 "$out/$name.log")" ;;
    esac
    echo "$name: $(cut -d ' ' -f 1 "$out/$name.end") after $seconds s"
    assemble
done
assemble
rm -rf "$scratch"
echo "done after $(elapsed) s: $out/results.md and $out/results.json"
"$kit" verdict "$out/results.json"
