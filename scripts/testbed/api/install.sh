#!/usr/bin/env bash
# Installs Schemathesis and the client generator into the testbed cache. Run it as often as
# you like: an install that matches the pinned requirements is left alone.
#
#   install.sh        exit codes: 0 ready, 77 cannot be had here
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
[[ $# -eq 0 ]] || usage "install.sh"

requirements=$here/requirements.txt
stamp=$cache/installed.txt

# The stamp is a copy of the pins, written last: a broken-off install has none.
installed() { [[ -x $python ]] && cmp -s "$requirements" "$stamp"; }

create_venv() {
  command -v python3 >/dev/null || missing "python3 is not installed"
  rm -rf "$cache/venv" "$stamp"
  python3 -m venv "$cache/venv" || missing "python3 cannot make a virtual environment (is python3-venv installed?)"
}

install() {
  say "installing $(grep -c '==' "$requirements") pinned packages into $cache (about 60 MB, 20 to 60 s)"
  create_venv
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$requirements" ||
    missing "the Python packages could not be installed"
  cp "$requirements" "$stamp"
}

started=$SECONDS
installed || { lock; installed || install; }
say "installed ($((SECONDS - started)) s)"
