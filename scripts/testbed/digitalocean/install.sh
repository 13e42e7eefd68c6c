#!/usr/bin/env bash
# Installs the validating proxy (prism) into the testbed cache. Run it as often
# as you like: an install that matches the pinned packages is left alone.
#
#   install.sh        exit codes: 0 ready, 77 cannot be had here
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
[[ $# -eq 0 ]] || usage "install.sh"

pins=$here/package-lock.json
stamp=$cache/installed.json

# The stamp is a copy of the pins, written last: a broken-off install has none.
installed() { [[ -f $prism ]] && cmp -s "$pins" "$stamp"; }

install() {
  command -v node >/dev/null || missing "node is not installed"
  command -v npm >/dev/null || missing "npm is not installed"
  say "installing $(grep -c '"integrity"' "$pins") pinned packages into $cache (about 100 MB, 20 to 60 s)"
  rm -f "$stamp"
  cp "$here/package.json" "$pins" "$cache/"
  # No package may run anything of its own while it is installed.
  (cd "$cache" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) ||
    missing "the node packages could not be installed"
  cp "$pins" "$stamp"
}

started=$SECONDS
installed || { lock; installed || install; }
say "installed ($((SECONDS - started)) s)"
