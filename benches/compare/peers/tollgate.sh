#!/usr/bin/env bash
# Tollgate. The same job as the other peers: BENCH_WORKERS worker threads, no access log, metrics and all deadlines on. TOLLGATE
# is the binary.
. "$(dirname "$0")/../entry.sh"
. "$(dirname "$0")/../tollgate-common.sh"
# Verified tokens that are remembered; 0 verifies each time (tollgate-nocache.sh).
TOLLGATE_TOKEN_CACHE=${TOLLGATE_TOKEN_CACHE:-10000}
SUPPORTS="plain seed"
# Forwarding is the same with and without it.
[ "$TOLLGATE_TOKEN_CACHE" != 0 ] || SUPPORTS="seed"
start() {
  local tls="" apis
  [ "$BENCH_TLS" = 1 ] && tls="tls: { certificate: $BENCH_KEYS/server.crt, key: $BENCH_KEYS/server.key }"
  if [ "$BENCH_JOB" = seed ]; then
    apis="issuers:
  rig:
    issuer: $BENCH_ISS
    audience: [$BENCH_AUD]
    algorithms: [RS256]
    keys: { file: $BENCH_KEYS/jwt.pub }
    claims: { customer: customer_id, region: region }
    cache: $TOLLGATE_TOKEN_CACHE
limits:
  per-customer: { rate: $BENCH_LIMIT/s, burst: $BENCH_LIMIT, per: customer }
apis:
  rig:
    hosts: [\"*\"]
    region: { from: [claim] }
    credentials: [bearer: rig]
    limits: [per-customer]
    headers: { customer: X-Tenant-ID }
    routes:
      - path: /{*rest}
        access: {}
        to: { backend: rig }"
  else
    apis="apis:
  rig:
    hosts: [\"*\"]
    region: { default: us-1 }
    routes:
      - path: /{*rest}
        public: true
        to: { backend: rig }"
  fi
  {
    around "$tls"
    echo "$apis"
  } >"$BENCH_DIR/tollgate.yaml"
  serve
}
answer "$@"
