#!/usr/bin/env bash
# HAProxy that remembers which signatures were good: the strongest configuration of it that we know.
HAPROXY_TOKEN_CACHE=1 exec "$(dirname "$0")/haproxy.sh" "$@"
