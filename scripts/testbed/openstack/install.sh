#!/usr/bin/env bash
# Installs a whole OpenStack control plane (Keystone, Nova, Glance, Neutron, Placement, MariaDB) into the testbed
# cache, and prepares its databases once, as a snapshot that start.sh unpacks. Run it as often as you like: what
# matches the pins is left alone.
#
#   install.sh        exit codes: 0 ready, 77 cannot be had here
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
[[ $# -eq 0 ]] || usage "install.sh"

requirements=$here/requirements.txt
stamp=$cache/installed.txt
snapshot=$cache/snapshot.tar.gz
recipe=$cache/snapshot.recipe

# The stamp is a copy of the pins, written last: a broken-off install has none.
installed() { [[ -x $python ]] && cmp -s "$requirements" "$stamp"; }

# What the snapshot is made of; it is made anew whenever one of them changes.
ingredients() { cat "$requirements" "$here"/{configure,neutron_schema,seed}.py "$here/install.sh" | sha256sum; }
prepared() { [[ -s $snapshot ]] && [[ "$(ingredients)" == "$(cat "$recipe" 2>/dev/null)" ]]; }

# Two stages (or two clones with one cache) may install at once; the second waits and then finds the work done.
lock() {
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
}

install_mariadb() {
  has_mariadb && return
  [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null || missing "MariaDB is not installed (mariadb-server-core, mariadb-client-core)"
  say "installing MariaDB (10 to 20 s)"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -q --no-install-recommends mariadb-server-core mariadb-client-core >"$cache/apt.log" 2>&1 ||
    { apt-get update -q >>"$cache/apt.log" 2>&1 &&
      apt-get install -y -q --no-install-recommends mariadb-server-core mariadb-client-core >>"$cache/apt.log" 2>&1; } ||
    missing "MariaDB could not be installed: $(tail -n 1 "$cache/apt.log")"
}

# Nothing is compiled ahead: most modules are never imported, and those that are get compiled by their first use.
install_packages() {
  say "installing $(grep -c '==' "$requirements") pinned packages into $cache (about 400 MB, 1 to 3 minutes)"
  command -v python3 >/dev/null || missing "python3 is not installed"
  rm -rf "$cache/venv" "$stamp"
  python3 -m venv "$cache/venv" || missing "python3 cannot make a virtual environment (is python3-venv installed?)"
  "$python" -m pip install --quiet --disable-pip-version-check --no-compile --no-deps -r "$requirements" ||
    missing "the Python packages could not be installed"
  cp "$requirements" "$stamp"
}

# tables FOLDER: each service's tables, all at once.
tables() {
  local folder=$1 bin=$cache/venv/bin jobs=() job
  for name in nova_api nova_cell0 nova_cell1 placement neutron; do
    mariadb --no-defaults -uroot -S "$folder/my.sock" -e "create database $name character set utf8mb3"
  done
  local identity=("$bin/keystone-manage" --config-file "$folder/keystone/keystone.conf")
  local compute=("$bin/nova-manage" --config-file "$folder/nova/nova.conf")
  local who cell url="http://127.0.0.1:$2/v3"
  who=$(id -un)
  cell="mysql+pymysql://root@localhost/nova_%s?unix_socket=$folder/my.sock"
  (
    "${identity[@]}" fernet_setup --keystone-user "$who" --keystone-group "$(id -gn)"
    "${identity[@]}" credential_setup --keystone-user "$who" --keystone-group "$(id -gn)"
    "${identity[@]}" db_sync
    "${identity[@]}" bootstrap --bootstrap-password secret --bootstrap-admin-url "$url" \
      --bootstrap-internal-url "$url" --bootstrap-public-url "$url" --bootstrap-region-id RegionOne
  ) >"$folder/log/keystone_tables.log" 2>&1 &
  jobs+=($!)
  (
    "${compute[@]}" api_db sync
    # shellcheck disable=SC2059  # the format is ours
    "${compute[@]}" cell_v2 map_cell0 --database_connection "$(printf "$cell" cell0)"
    # shellcheck disable=SC2059
    "${compute[@]}" cell_v2 create_cell --name cell1 --database_connection "$(printf "$cell" cell1)" --transport-url fake://
    "${compute[@]}" db sync
  ) >"$folder/log/nova_tables.log" 2>&1 &
  jobs+=($!)
  "$bin/glance-manage" --config-file "$folder/glance/glance-api.conf" db_sync >"$folder/log/glance_tables.log" 2>&1 &
  jobs+=($!)
  "$python" "$here/neutron_schema.py" "mysql+pymysql://root@localhost/neutron?unix_socket=$folder/my.sock" \
    >"$folder/log/neutron_tables.log" 2>&1 &
  jobs+=($!)
  "$bin/placement-manage" --config-file "$folder/placement/placement.conf" db sync >"$folder/log/placement_tables.log" 2>&1 &
  jobs+=($!)
  for job in "${jobs[@]}"; do
    wait "$job" || { tail -n 5 "$folder"/log/*_tables.log >&2; return 1; }
  done
  for name in keystone glance; do
    "$python" -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("pragma journal_mode = wal")' "$folder/$name/$name.db"
  done
}

# The snapshot is taken before Nova's first start: what a compute host remembers belongs to one run.
prepare() {
  local folder=$cache/prepare keystone nova glance neutron placement started=$SECONDS
  say "preparing the databases (1 to 2 minutes)"
  rm -rf "$folder" "$snapshot" "$recipe"
  read -r keystone nova glance neutron placement < <(free_ports 5)
  # shellcheck disable=SC2064  # the folder of now
  trap "stop_all '$folder'" EXIT
  "$python" "$here/configure.py" "$folder" "$cache/venv" "$keystone" "$nova" "$glance" "$neutron" "$placement"
  mariadb-install-db --no-defaults --datadir="$folder/my" --auth-root-authentication-method=normal --skip-test-db \
    --user="$(id -un)" >"$folder/log/mariadb_install.log" 2>&1
  start_mariadb "$folder"
  say "MariaDB runs ($((SECONDS - started)) s)"
  tables "$folder" "$keystone"
  say "the tables are there ($((SECONDS - started)) s)"
  start_apis "$folder" "$keystone" "$glance" "$neutron" "$placement"
  say "Keystone, Placement, Glance and Neutron answer ($((SECONDS - started)) s)"
  "$python" "$here/seed.py" base "$keystone" "$nova" "$glance" "$neutron" "$placement"
  stop_all "$folder"
  trap - EXIT
  tar -C "$folder" --exclude=log --exclude=my.sock -czf "$snapshot.part" .
  mv "$snapshot.part" "$snapshot"
  ingredients >"$recipe"
  rm -rf "$folder"
}

started=$SECONDS
if ! { installed && prepared && has_mariadb; }; then
  lock
  install_mariadb
  installed || install_packages
  prepared || prepare
fi
say "installed ($((SECONDS - started)) s)"
