#!/usr/bin/env bash
# Tollgate that verifies every token; else the same as tollgate.sh.
TOLLGATE_TOKEN_CACHE=0 exec "$(dirname "$0")/tollgate.sh" "$@"
