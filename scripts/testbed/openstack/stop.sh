#!/usr/bin/env bash
# Ends what start.sh started, by the pids it wrote down and by nothing else, and removes its databases.
#
#   stop.sh openstack-KEYSTONE_PORT ...      already ended is fine
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
[[ $# -ge 1 ]] || usage "stop.sh openstack-PORT ..."

for name in "$@"; do
  [[ $name =~ ^openstack-[0-9]+$ ]] || usage "stop.sh openstack-PORT ..."
  stop_all "$run/$name"
  # The logs stay.
  find "$run/$name" -mindepth 1 -maxdepth 1 ! -name log -exec rm -rf {} + 2>/dev/null || true
  say "$name ended"
done
