#!/usr/bin/env bash
# Ends what start.sh started, by the pid it wrote down and by nothing else.
#
#   stop.sh prism-PORT ...      already ended is fine
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
[[ $# -ge 1 ]] || usage "stop.sh prism-PORT ..."

for name in "$@"; do
  [[ $name =~ ^prism-[0-9]+$ ]] || usage "stop.sh prism-PORT ..."
  stop "$name"
done
