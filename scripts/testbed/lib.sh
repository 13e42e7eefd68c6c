# Shared by the testbeds: where things live, and how they are started and stopped.
# Sourced by each testbed's own lib.sh, which sets `testbed` first; never run.
# shellcheck shell=bash

# shellcheck disable=SC2034  # used by the scripts that source this file
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)/${testbed:?}
root=$(cd -- "$here/../../.." && pwd)

# The cache may be shared by several clones, so that only the first one pays
# for the download; what runs (pid files, logs) belongs to one clone.
# shellcheck disable=SC2034
cache=${INFRA_TESTBED_CACHE:-$root/.testbed}/$testbed
run=$root/.testbed/run

say() { printf '%s testbed: %s\n' "$testbed" "$*" >&2; }

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

# A port that somebody else has must be an error: otherwise whoever waits for
# ours would be answered by a stranger.
refuse_taken_port() {
  if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
    say "port $1 is taken"
    exit 1
  fi
}

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

# Two stages (or two clones with one cache) may install at once; the second
# waits and then finds the work done.
lock() {
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
}

# stop NAME: asks first, insists after five seconds. Already ended is fine.
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

# install_pinned SIZE: a virtual environment of the testbed's own with what its requirements.txt pins. Its lib.sh sets
# `python`. The stamp is a copy of the pins, written last: a broken-off install has none.
install_pinned() {
  local started=$SECONDS
  pins_installed || { lock; pins_installed || install_pins "$1"; }
  say "installed ($((SECONDS - started)) s)"
}

pins_installed() { [[ -x $python ]] && cmp -s "$here/requirements.txt" "$cache/installed.txt"; }

install_pins() {
  local pins=$here/requirements.txt
  say "installing $(grep -c '==' "$pins") pinned packages into $cache (about $1, 20 to 60 s)"
  command -v python3 >/dev/null || missing "python3 is not installed"
  rm -rf "$cache/venv" "$cache/installed.txt"
  python3 -m venv "$cache/venv" || missing "python3 cannot make a virtual environment (is python3-venv installed?)"
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$pins" ||
    missing "the Python packages could not be installed"
  cp "$pins" "$cache/installed.txt"
}
