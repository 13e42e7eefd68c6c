# Shared by the stages: sourced, never run.
# shellcheck shell=bash

# skip BECAUSE...: ends the stage as skipped; scripts/test shows the reason.
skip() {
  printf '%s\n' "$*" >>"${INFRA_SKIP_REASON:-/dev/stderr}"
  exit 77
}
