#!/usr/bin/env bash
# Ends what start.sh started, by the pid it wrote down and by nothing else.
#
#   stop.sh moto-PORT | proxy-PORT ...      already ended is fine
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
[[ $# -ge 1 ]] || usage "stop.sh moto-PORT | proxy-PORT ..."

# stop NAME: asks first, insists after five seconds.
stop() {
  local pidfile=$run/$1.pid pid
  if alive "$pidfile"; then
    read -r pid _ <"$pidfile"
    kill -TERM "$pid" 2>/dev/null || true
    for _ in {1..50}; do
      alive "$pidfile" || break
      sleep 0.1
    done
    if alive "$pidfile"; then kill -KILL "$pid" 2>/dev/null || true; fi
    say "$1 ended"
  fi
  rm -f "$pidfile"
}

for name in "$@"; do
  [[ $name =~ ^(moto|proxy)-[0-9]+$ ]] || usage "stop.sh moto-PORT | proxy-PORT ..."
  stop "$name"
done
