#!/usr/bin/env bash
# Starts an OpenStack of its own on loopback ports and returns once all of it answers: 15 to 60 s.
#
#   start.sh KEYSTONE NOVA GLANCE NEUTRON PLACEMENT        five free ports
#
# Databases, logs and pid files go to .testbed/run/openstack-KEYSTONE. Exit codes: 0 answers, 1 does not, 64 wrong
# usage, 77 not installed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
[[ $# -eq 5 ]] || usage "start.sh KEYSTONE NOVA GLANCE NEUTRON PLACEMENT"
for port in "$@"; do is_port "$port" || usage "start.sh KEYSTONE NOVA GLANCE NEUTRON PLACEMENT"; done
[[ -x $python && -s $cache/snapshot.tar.gz ]] || missing "not installed: run scripts/testbed/openstack/install.sh"

# A port that somebody else has must be an error here: otherwise the waits below would be answered by a stranger.
for port in "$@"; do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    say "port $port is taken"
    exit 1
  fi
done

folder=$run/openstack-$1
started=$SECONDS
if alive "$folder/nova.pid"; then say "openstack-$1 already runs"; exit 1; fi
rm -rf "$folder"
mkdir -p "$folder"
tar -C "$folder" -xzf "$cache/snapshot.tar.gz"
trap 'stop_all "$folder"' EXIT
"$python" "$here/configure.py" "$folder" "$cache/venv" "$@"
start_mariadb "$folder"
"$python" "$here/rehome.py" "$folder" "$@"
start_apis "$folder" "$1" "$3" "$4" "$5"
say "Keystone, Placement, Glance and Neutron answer ($((SECONDS - started)) s)"
run_service "$folder" nova "$python" "$here/nova_all.py" "$2"
wait_for "$folder" nova answers "http://127.0.0.1:$2"
"$python" "$here/seed.py" flavors "$@"
trap - EXIT
say "openstack-$1 answers at http://127.0.0.1:$1/v3 ($((SECONDS - started)) s)"
