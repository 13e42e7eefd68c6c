# Shared by install.sh, start.sh and stop.sh: where things live. Sourced, never run.
# shellcheck shell=bash

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(cd -- "$here/../../.." && pwd)

# The cache may be shared by several clones, so that only the first one pays
# for the download; what runs (pid files, logs, databases) belongs to one clone.
# shellcheck disable=SC2034  # used by the scripts that source this file
cache=${INFRA_TESTBED_CACHE:-$root/.testbed}/openstack
# shellcheck disable=SC2034
run=$root/.testbed/run
# shellcheck disable=SC2034
python=$cache/venv/bin/python

say() { printf 'openstack testbed: %s\n' "$*" >&2; }

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

has_mariadb() {
  local program
  for program in mariadbd mariadb mariadb-install-db; do command -v "$program" >/dev/null || return 1; done
}

mariadb_args() {
  printf '%s\n' --no-defaults --user="$(id -un)" --datadir="$1/my" --socket="$1/my.sock" --pid-file="$1/my.pid" \
    --skip-networking --skip-log-bin --performance-schema=off --max-connections=500 --innodb-log-file-size=8M \
    --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --innodb-buffer-pool-size=128M
}

# answers URL: whatever it says, somebody answers there.
answers() { "$python" -c '
import sys, urllib.error, urllib.request as u
try: u.build_opener(u.ProxyHandler({})).open(sys.argv[1], timeout=1)
except urllib.error.HTTPError: pass' "$1" 2>/dev/null; }

# run_service FOLDER NAME PROGRAM ARGUMENTS...: in its own session (a Ctrl-C meant for the caller must not take it
# along), its pid and the word that proves it in FOLDER/NAME.pid.
run_service() {
  local folder=$1 name=$2 program=$3
  shift 3
  OS_KEYSTONE_CONFIG_DIR=$folder/keystone OS_NOVA_CONFIG_DIR=$folder/nova OS_PLACEMENT_CONFIG_DIR=$folder/placement \
    OS_GLANCE_CONFIG_DIR=$folder/glance OS_GLANCE_CONFIG_FILES=glance-api.conf \
    OS_NEUTRON_CONFIG_DIR=$folder/neutron OS_NEUTRON_CONFIG_FILES=neutron.conf \
    setsid "$program" "$@" >"$folder/log/$name.log" 2>&1 </dev/null &
  echo "$! $folder" >"$folder/$name.pid"
  case $program in *python) echo "$! $1" >"$folder/$name.pid" ;; esac
}

# wait_for FOLDER NAME COMMAND...: until the command succeeds; fails when the service ends or takes too long.
wait_for() {
  local folder=$1 name=$2 deadline=$((SECONDS + ${INFRA_TESTBED_START_S:-120}))
  shift 2
  until "$@"; do
    if ! alive "$folder/$name.pid" || ((SECONDS >= deadline)); then
      say "$name does not answer; the end of its log:"
      tail -n 20 "$folder/log/$name.log" >&2
      return 1
    fi
    sleep 0.2
  done
}

mariadb_answers() { mariadb --no-defaults -uroot -S "$1/my.sock" -e 'select 1' >/dev/null 2>&1; }

start_mariadb() {
  local arguments
  mapfile -t arguments < <(mariadb_args "$1")
  run_service "$1" mariadb "$(command -v mariadbd || echo /usr/sbin/mariadbd)" "${arguments[@]}"
  wait_for "$1" mariadb mariadb_answers "$1"
}

# start_apis FOLDER KEYSTONE GLANCE NEUTRON PLACEMENT: all but Nova, which needs them.
start_apis() {
  run_service "$1" keystone "$python" "$here/serve.py" keystone.wsgi.api "$2" 8
  run_service "$1" placement "$python" "$here/serve.py" placement.wsgi.api "$5" 4
  run_service "$1" glance "$python" "$here/serve.py" glance.wsgi.api "$3" 4
  run_service "$1" neutron "$python" "$here/serve.py" neutron.wsgi.api "$4" 4
  wait_for "$1" keystone answers "http://127.0.0.1:$2/v3"
  wait_for "$1" placement answers "http://127.0.0.1:$5"
  wait_for "$1" glance answers "http://127.0.0.1:$3"
  wait_for "$1" neutron answers "http://127.0.0.1:$4"
}

# stop_all FOLDER: what run_service started there, youngest first; asks, and insists after ten seconds.
stop_all() {
  local name pid pidfile
  for name in nova neutron glance placement keystone mariadb; do
    pidfile=$1/$name.pid
    if alive "$pidfile"; then
      read -r pid _ <"$pidfile"
      kill -TERM "$pid" 2>/dev/null || true
      for _ in {1..100}; do
        alive "$pidfile" || break
        sleep 0.1
      done
      if alive "$pidfile"; then kill -KILL "$pid" 2>/dev/null || true; fi
    fi
    rm -f "$pidfile"
  done
}

free_ports() {
  "$python" -c '
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(one.getsockname()[1] for one in held))' "$1"
}
