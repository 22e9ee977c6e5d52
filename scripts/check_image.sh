#!/usr/bin/env bash
# Builds the Dockerfile with Buildah and uses the image as its user does. Takes minutes; needs root and Debian's buildah.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/check_image.sh BASE [OPTIONS of buildah build …]

BASE stands in for python:3.11-slim: a folder that debootstrap made, or `pull` for the real image. For a folder:
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm BASE

Each further option goes to `buildah build`. Where pip must look elsewhere for its packages, a pip.conf can say so:
  --build-arg TORCH_INDEX_URL= --volume "$PWD/pip.conf:/etc/pip.conf:ro" --volume "$WHEELS:/wheels:ro"
USAGE
}

if [ $# -lt 1 ] || [ "$1" = -h ] || [ "$1" = --help ]; then
    usage >&2
    exit 2
fi
base=$1
shift
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
port=${PORT:-8765}
container=
server=

store() { buildah --root "$work/images" --runroot "$work/run" "$@"; }

clean_up() {
    if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then kill "$server"; fi
    if [ -n "$container" ]; then store rm "$container" >/dev/null || true; fi
    store rmi --all --force >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT

step() { printf '%s  %s\n' "$(date +%T)" "$*"; }

fail() {
    echo "FAILED: $*" >&2
    tail -n 30 "$work/log" >&2 2>/dev/null || true
    exit 1
}

name_base() {
    local made root
    made=$(store from scratch)
    root=$(store mount "$made")
    cp --archive "$base/." "$root"
    # Debian calls it python3 only.
    [ -e "$root/usr/bin/python" ] || ln -s python3 "$root/usr/bin/python"
    store umount "$made" >/dev/null
    store commit --quiet --rm "$made" docker.io/library/python:3.11-slim >/dev/null
}

in_container() {
    store run --isolation chroot --user 10001 --volume "$work/home:/var/lib/ktrdr" "$container" -- "$@"
}

start_server() {
    # The command of the image, on a port that is free on this machine: chroot isolation shares its network.
    in_container env KTRDR_API_PORT="$port" sh -c 'exec ktrdr serve --insecure 2>&1' >"$work/log" &
    for _ in $(seq 120); do
        if curl --fail --silent "$url/api/v1/health" >"$work/health"; then return; fi
        sleep 1
    done
    fail "no server answers at $url"
}

ktrdr() { in_container env KTRDR_API_URL="$url" ktrdr "$@"; }

finds() {
    grep -E "$1" "$work/log" >/dev/null || fail "the log has no line like: $1"
}

lacks() {
    if grep -iE "$1" "$work/log" >&2; then fail "the log has a line like: $1"; fi
}

check_log() {
    finds 'INFO .*Created operation.*op_training'
    finds 'Registered local bridge for operation op_training'
    finds 'Starting training: symbols='
    finds 'Training completed successfully'
    finds 'Completed operation op_training.* with results'
    lacks 'no running event loop|callback.*failed|asyncio.*error|create_task.*error'
    lacks 'metrics.*failed|failed to store metrics|bridge.*error|refresh.*failed|cache.*error|ttl.*error'
    lacks 'Exception|Traceback| ERROR '
}

stop_server() {
    server=$(cat "$work/home/server.lock")
    local began=$SECONDS
    kill -TERM "$server"
    while kill -0 "$server" 2>/dev/null; do
        [ $((SECONDS - began)) -le 10 ] || fail "the server still runs 10 s after SIGTERM"
        sleep 0.2
    done
    server=
    wait || true
    step "stopped within $((SECONDS - began + 1)) s of SIGTERM"
}

url=http://127.0.0.1:$port
export BUILDAH_ISOLATION=chroot
pull=(--pull)
if [ "$base" != pull ]; then
    step "make the base image of $base"
    name_base
    pull=(--pull-never)
fi

step "build"
store build --quiet "${pull[@]}" --tag ktrdr-check "$@" . >"$work/log" 2>&1 || fail "the build"
if grep -i 'useradd.*warning\|uid.*outside' "$work/log"; then fail "the build warns of the user's id"; fi
container=$(store from --pull-never ktrdr-check)
step "built: $(du -sh "$(store mount "$container")" | cut -f1)"
store umount "$container" >/dev/null

# What a new volume looks like: the folder of the image, with its owner.
install --directory --owner=10001 --group=10001 --mode=755 "$work/home"
chmod 711 "$work"

step "packages"
in_container python -c 'import lightgbm, asyncpg, torch; assert torch.version.cuda is None, "this PyTorch brings CUDA"' ||
    fail "a package is missing, or PyTorch is not the CPU build"

step "serve"
start_server
grep -q '"status": *"ok"' "$work/health" || fail "health says $(cat "$work/health")"
server=$(cat "$work/home/server.lock")
[ "$(stat --format %u "/proc/$server")" = 10001 ] || fail "the server does not run as uid 10001"

step "load and train"
ktrdr data load AAPL 1d --provider sample || fail "the load did not complete"
ktrdr models train --strategy config/strategies/test_e2e.yaml --symbols AAPL --timeframes 1d --follow ||
    fail "the training did not complete"
check_log
ktrdr doctor --home /var/lib/ktrdr || fail "the doctor found faults"

step "stop"
stop_server
check_log
strangers=$(find "$work/home" ! -uid 10001 -print)
[ -z "$strangers" ] || fail "files of another owner: $strangers"
step "all well"
