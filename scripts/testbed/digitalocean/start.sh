#!/usr/bin/env bash
# Starts the validating proxy before an HTTP server, on a loopback port, and
# returns once it listens. A request or an answer that does not fit the schema
# is answered by the proxy itself, as application/problem+json.
#
#   start.sh PORT UPSTREAM_PORT SCHEMA
#
# The pid goes to .testbed/run/prism-PORT.pid, the output to the .log beside it.
# Exit codes: 0 listens, 1 does not, 64 wrong usage, 77 not installed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

readonly answer_within_s=${INFRA_TESTBED_START_S:-60}

wrong() { usage "start.sh PORT UPSTREAM_PORT SCHEMA"; }

[[ $# -eq 3 && -f ${3:-} ]] || wrong
is_port "$1" || wrong
is_port "$2" || wrong
[[ -f $prism ]] || missing "not installed: run scripts/testbed/digitalocean/install.sh"
readonly name=prism-$1 pidfile=$run/prism-$1.pid log=$run/prism-$1.log
mkdir -p "$run"
refuse_taken_port "$1"
refuse_taken_port "$2"

# Its own session: a Ctrl-C meant for the caller must not take it along.
setsid node "$prism" proxy "$3" "http://127.0.0.1:$2" --errors -h 127.0.0.1 -p "$1" >"$log" 2>&1 </dev/null &
echo "$! $prism" >"$pidfile"
deadline=$((SECONDS + answer_within_s))
until grep -q 'Prism is listening' "$log"; do
  if ! kill -0 "$!" 2>/dev/null || ((SECONDS >= deadline)); then
    say "$name does not listen; the end of $log:"
    tail -n 20 "$log" >&2
    stop "$name"
    exit 1
  fi
  sleep 0.1
done
say "$name listens (pid $!)"
