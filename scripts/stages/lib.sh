# Shared by the stages: sourced, never run.
# shellcheck shell=bash

# select_crates [PACKAGE [FEATURES]]: sets SELECTED, the options that say to cargo what to build; all crates by default.
#
# On CI every stage says the same, all crates with all features, so that one build serves them all; a selection of
# its own would bring features of its own and build our crates, and AWS's SDK, once more. Elsewhere a stage builds
# what it needs: nobody who plays one stage pays for AWS.
select_crates() {
  if [[ ${CI:-} == true ]]; then
    SELECTED=(--workspace --features infra-examples/aws,infra-examples/otlp)
  else
    SELECTED=(${1:+--package "$1"} ${2:+--features "$2"})
    [[ $# -gt 0 ]] || SELECTED=(--workspace)
  fi
}

# build_server WHERE [FEATURES]: builds the server and copies it there: the next build writes over it.
build_server() {
  local target targets=(--bin http-server)
  select_crates infra-examples "${2:-}"
  # With a test beside it, its dependencies have the features that tests give them in every other stage.
  [[ ${CI:-} != true ]] || targets+=(--test openapi)
  cargo build "${SELECTED[@]}" "${targets[@]}"
  target=$(cargo metadata --no-deps --format-version 1 |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
  cp "$target/debug/http-server" "$1"
}

# skip BECAUSE...: ends the stage as skipped; scripts/test shows the reason.
skip() {
  printf '%s\n' "$*" >>"${INFRA_SKIP_REASON:-/dev/stderr}"
  exit 77
}
