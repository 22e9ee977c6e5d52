#!/usr/bin/env bash
# The ktrdr server in Docker: container ktrdr-backend, port 8000, data in a volume that outlives the container.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
    cat <<'USAGE'
usage: ./docker_dev.sh COMMAND
  start     build the image, start the server, wait until it is healthy
  stop      stop the server; the data stays
  restart   start it anew, with the settings of .env as they are now
  status    the container's state, and whether work can be done
  logs      print the log and follow it (Ctrl-C ends that); more words go to docker logs
  test      load bars and train a model inside the container
USAGE
}

compose() {
    if docker compose version >/dev/null 2>&1; then
        docker compose "$@"
    elif command -v docker-compose >/dev/null; then
        docker-compose "$@"
    else
        echo "error: neither 'docker compose' nor docker-compose is installed" >&2
        exit 3
    fi
}

in_container() {
    docker exec ktrdr-backend ktrdr "$@"
}

prepare_env() {
    [ -e .env ] || install -m 644 /dev/null .env
    if [ -z "$(find -L .env \( -perm -o=r -o -group 10001 -perm -g=r \))" ]; then
        echo "note: the container's user may not be allowed to read .env; allow it with: sudo chgrp 10001 .env; chmod 640 .env" >&2
    fi
    for name in LOG_LEVEL OPERATIONS_CACHE_TTL KTRDR_MAX_CONCURRENT KTRDR_STANDBY_WORKERS KTRDR_API_TOKEN \
        KTRDR_ALLOWED_HOSTS KTRDR_DATABASE_URL KTRDR_ROOT_PATH KTRDR_TRUSTED_PROXIES; do
        if [ -n "${!name:-}" ]; then
            echo "note: $name is set in this shell, but the container reads .env: add $name=${!name} there" >&2
        fi
    done
}

# Whatever runs in a container ends with it.
tell_what_ends() {
    local running
    running=$(in_container operations list --status RUNNING --json 2>/dev/null |
        sed -n 's/.*"operation_id": "\(.*\)".*/\1/p') || true
    if [ -n "$running" ]; then
        echo "note: these run, will be FAILED at the next start, and go on with: ktrdr operations resume ID" >&2
        echo "$running" >&2
    fi
}

start() {
    prepare_env
    compose up --detach --build "$@" backend
    for _ in $(seq 120); do
        case "$(docker inspect --format '{{.State.Health.Status}}' ktrdr-backend)" in
            healthy)
                echo "ktrdr serves at http://$(docker port ktrdr-backend 8000), with the settings of .env"
                echo "After a change of .env: docker-compose restart backend. A training that runs then is FAILED afterwards;"
                echo "go on with it by: docker exec ktrdr-backend ktrdr operations resume ID"
                return
                ;;
            unhealthy) break ;;
        esac
        sleep 1
    done
    echo "error: the server does not become healthy; see: ./docker_dev.sh logs" >&2
    exit 1
}

case "${1:-}" in
    start) start ;;
    stop)
        tell_what_ends
        compose stop backend
        ;;
    restart)
        tell_what_ends
        start --force-recreate
        ;;
    status)
        compose ps backend
        docker exec ktrdr-backend python -c \
            'import urllib.request as r; print(r.urlopen("http://127.0.0.1:8000/api/v1/health/ready").read().decode())'
        ;;
    logs)
        shift
        if [ $# -eq 0 ]; then set -- --follow --tail 100; fi
        docker logs "$@" ktrdr-backend
        ;;
    test)
        in_container data load AAPL 1d --provider sample
        in_container models train --strategy config/strategies/test_e2e.yaml --symbols AAPL --timeframes 1d --follow
        ;;
    -h | --help | help) usage ;;
    *)
        usage >&2
        exit 2
        ;;
esac
