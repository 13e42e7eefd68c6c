#!/usr/bin/env bash
# Ends what start.sh started, by the pid it wrote down and by nothing else.
#
#   stop.sh moto-PORT | proxy-PORT ...      already ended is fine
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
[[ $# -ge 1 ]] || usage "stop.sh moto-PORT | proxy-PORT ..."

for name in "$@"; do
  [[ $name =~ ^(moto|proxy)-[0-9]+$ ]] || usage "stop.sh moto-PORT | proxy-PORT ..."
  stop "$name"
done
