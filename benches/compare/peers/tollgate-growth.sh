#!/usr/bin/env bash
# Tollgate with much of something: BENCH_ROUTES routes, BENCH_CUSTOMERS customers named in the configuration, room for
# BENCH_CACHE verified tokens. All else is the same in every growth scenario, so that one thing grows at a time.
#
# A bucket is kept while it is not full. At the usual rates a customer's would be full again, and free for the next, before
# the last of a million has called; one call that comes back in a day keeps all of them. At most 1,572,864 buckets of a limit
# are live at a time: a million fits.
. "$(dirname "$0")/../entry.sh"
. "$(dirname "$0")/../tollgate-common.sh"
SUPPORTS="growth"
start() {
  {
    around
    cat <<END
issuers:
  rig:
    issuer: $BENCH_ISS
    audience: [$BENCH_AUD]
    algorithms: [HS256]
    keys: { secret: { file: $BENCH_KEYS/secret } }
    claims: { customer: customer_id, region: region }
    cache: $BENCH_CACHE
limits:
  per-customer: { rate: 1/d, burst: $BENCH_LIMIT, per: customer }
apis:
  rig:
    hosts: ["*"]
    region: { from: [claim] }
    credentials: [bearer: rig]
    limits: [per-customer]
    headers: { customer: X-Tenant-ID }
    access: {}
    routes:
END
    for ((number = 0; number < BENCH_ROUTES; number++)); do
      echo "      - { path: '/shelf-$number/{item}', to: { backend: rig } }"
    done
    if [ "$BENCH_CUSTOMERS" -gt 0 ]; then
      echo "customers:"
      for ((number = 0; number < BENCH_CUSTOMERS; number++)); do
        # A quota of its own, so that the name is looked up for something.
        printf '  customer-%06d: { limits: { per-customer: { rate: 2/d, burst: %d } } }\n' "$number" "$BENCH_LIMIT"
      done
    fi
  } >"$BENCH_DIR/tollgate.yaml"
  serve
}
answer "$@"
