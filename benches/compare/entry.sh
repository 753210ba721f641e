# What every script of `peers/` sources. A script sets SUPPORTS (the jobs that it does), defines `available`, `version` and
# `start`, and ends with `answer "$@"`. `start` writes what the proxy needs into BENCH_DIR and becomes the proxy by `exec`, so
# that the process which is stopped and accounted is the proxy itself.
set -euo pipefail

# Is there such a program, by name or by path?
installed() { command -v "$1" >/dev/null 2>&1; }

answer() {
  case "${1:-}" in
  supports) available && [[ " $SUPPORTS " == *" ${2:-} "* ]] ;;
  version) version ;;
  start) start ;;
  *)
    echo "$0: supports JOB, version or start" >&2
    return 2
    ;;
  esac
}
