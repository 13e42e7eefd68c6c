# Shared by install.sh, start.sh and stop.sh: where things live. Sourced, never run.
# shellcheck shell=bash

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(cd -- "$here/../../.." && pwd)

# The cache may be shared by several clones, so that only the first one pays
# for the download; what runs (pid files, logs) belongs to one clone.
# shellcheck disable=SC2034  # used by the scripts that source this file
cache=${INFRA_TESTBED_CACHE:-$root/.testbed}/aws
# shellcheck disable=SC2034
run=$root/.testbed/run
# shellcheck disable=SC2034
python=$cache/venv/bin/python

say() { printf 'aws testbed: %s\n' "$*" >&2; }

# A missing counterpart is not a failure of the code under test: 77 tells the
# caller to report a skip (or an error, on CI), with the reason left in the file
# that scripts/test names.
missing() {
  say "$*"
  printf '%s\n' "$*" >>"${INFRA_SKIP_REASON:-/dev/null}"
  exit 77
}

# usage TEXT: the caller was called wrongly (64, EX_USAGE).
usage() { printf 'usage: %s\n' "$*" >&2; exit 64; }

# is_port TEXT: a number that can be a port.
is_port() { [[ $1 =~ ^[0-9]{1,5}$ ]] && ((10#$1 >= 1 && 10#$1 <= 65535)); }

# alive PIDFILE: the process that this file names still runs and still is the
# program we started. The second half matters: process ids are used again, and
# stop.sh must never end a stranger.
alive() {
  local pid program
  [[ -s $1 ]] || return 1
  read -r pid program <"$1"
  [[ $pid =~ ^[0-9]+$ && -r /proc/$pid/cmdline ]] || return 1
  tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF -- "$program"
}
