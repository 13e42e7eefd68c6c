# Shared by install.sh and the stage. Sourced, never run.
# shellcheck shell=bash

testbed=api
# shellcheck source-path=SCRIPTDIR
source "$(dirname -- "${BASH_SOURCE[0]}")/../lib.sh"

# shellcheck disable=SC2034  # used by the scripts that source this file
python=$cache/venv/bin/python
