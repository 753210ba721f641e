#!/usr/bin/env bash
# Envoy with its own cache of verified tokens.
ENVOY_TOKEN_CACHE=1 exec "$(dirname "$0")/envoy.sh" "$@"
