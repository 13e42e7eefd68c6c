#!/usr/bin/env bash
# Installs Schemathesis and the client generator into the testbed cache. Run it as often as
# you like: an install that matches the pinned requirements is left alone.
#
#   install.sh        exit codes: 0 ready, 77 cannot be had here
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
[[ $# -eq 0 ]] || usage "install.sh"

install_pinned "60 MB"
