#!/usr/bin/env bash
# Starts the emulated AWS, or a fault proxy before any HTTP server, on a
# loopback port and returns once it answers.
#
#   start.sh moto  PORT                        AWS at http://127.0.0.1:PORT
#   start.sh proxy PORT CONTROL_PORT UPSTREAM_PORT
#
# The pid goes to .testbed/run/{moto,proxy}-PORT.pid, the output to the .log
# beside it. The environment (STRICT_*) is handed on. Exit codes: 0 answers,
# 1 does not, 64 wrong usage, 77 not installed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

readonly answer_within_s=${INFRA_TESTBED_START_S:-30}

wrong() { usage "start.sh moto PORT | start.sh proxy PORT CONTROL_PORT UPSTREAM_PORT"; }

# check_ports COUNT PORT...: exactly COUNT ports, each a possible one.
check_ports() {
  local count=$1 port
  shift
  [[ $# -eq $count ]] || wrong
  for port in "$@"; do is_port "$port" || wrong; done
}

answers() { "$python" -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=1)' "$1" 2>/dev/null; }

# launch NAME PROBE_URL PROGRAM ARGUMENTS...
launch() {
  local name=$1 probe=$2 program=$3
  shift 3
  local pidfile=$run/$name.pid log=$run/$name.log deadline=$((SECONDS + answer_within_s))
  mkdir -p "$run"
  if alive "$pidfile"; then say "$name already runs"; exit 1; fi
  # Its own session: a Ctrl-C meant for the caller must not take it along.
  setsid "$python" "$program" "$@" >"$log" 2>&1 </dev/null &
  echo "$! $program" >"$pidfile"
  until answers "$probe"; do
    if ! kill -0 "$!" 2>/dev/null || ((SECONDS >= deadline)); then
      say "$name does not answer; the end of $log:"
      tail -n 20 "$log" >&2
      "$here/stop.sh" "$name" || true
      exit 1
    fi
    sleep 0.1
  done
  say "$name answers (pid $!)"
}

start_moto() {
  check_ports 1 "$@"
  refuse_taken_port "$1"
  launch "moto-$1" "http://127.0.0.1:$1/moto-api/strict" "$here/moto_strict.py" -H 127.0.0.1 -p "$1"
}

start_proxy() {
  check_ports 3 "$@"
  refuse_taken_port "$1"
  refuse_taken_port "$2"
  launch "proxy-$1" "http://127.0.0.1:$2/health" "$here/fault_proxy.py" --listen "$1" --control "$2" --upstream "$3"
}

[[ $# -ge 1 ]] || wrong
kind=$1
shift
[[ -x $python ]] || missing "not installed: run scripts/testbed/aws/install.sh"
case $kind in
  moto) start_moto "$@" ;;
  proxy) start_proxy "$@" ;;
  *) wrong ;;
esac
