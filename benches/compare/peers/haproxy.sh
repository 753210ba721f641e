#!/usr/bin/env bash
# HAProxy. It has a converter that verifies a signature and others that read claims, and no cache of verified tokens; with
# HAPROXY_TOKEN_CACHE=1 one is built of a stick table (haproxy-cache.sh).
. "$(dirname "$0")/../entry.sh"
HAPROXY=${HAPROXY:-haproxy}
SUPPORTS="plain seed"
# Forwarding is the same with and without it.
[ "${HAPROXY_TOKEN_CACHE:-0}" = 0 ] || SUPPORTS="seed"
available() { installed "$HAPROXY"; }
version() { "$HAPROXY" -v | awk 'NR == 1 { print "HAProxy", $3 }'; }

# The signature, in RSA each time.
signature() {
  echo "  acl signed var(txn.jwt),jwt_verify('RS256','$BENCH_KEYS/jwt.pub') 1"
  if [ "${HAPROXY_TOKEN_CACHE:-0}" = 1 ]; then
    # The digest of a token leads to a mark that its signature was good. Rules end at the first that refuses, so the mark is
    # set for good tokens only.
    cat <<'END'
  http-request track-sc1 var(txn.jwt),sha2(256) table tokens
  http-request deny deny_status 401 unless { sc1_get_gpt0(tokens) eq 1 } || signed
  http-request sc-set-gpt0(1) 1
END
  else
    echo "  http-request deny deny_status 401 unless signed"
  fi
}

# The whole job.
job() {
  cat <<END
  http-request set-var(txn.jwt) http_auth_bearer
  http-request deny deny_status 401 unless { var(txn.jwt) -m found }
  http-request deny deny_status 401 unless { var(txn.jwt),jwt_header_query('\$.alg') -m str RS256 }
END
  signature
  cat <<END
  http-request set-var(txn.customer) var(txn.jwt),jwt_payload_query('\$.customer_id')
  http-request set-var(txn.home) var(txn.jwt),jwt_payload_query('\$.region')
  http-request set-var(txn.now) date()
  http-request set-var(txn.end) var(txn.jwt),jwt_payload_query('\$.exp','int')
  acl ours var(txn.jwt),jwt_payload_query('\$.iss') -m str "$BENCH_ISS"
  acl for_us var(txn.jwt),jwt_payload_query('\$.aud') -m str "$BENCH_AUD"
  acl live var(txn.end),sub(txn.now) -m int gt 0
  http-request deny deny_status 401 unless ours for_us live { var(txn.customer) -m found }
  http-request track-sc0 var(txn.customer) table customers
  http-request deny deny_status 429 if { sc0_http_req_rate(customers) gt $BENCH_LIMIT }
  http-request set-header X-Tenant-ID %[var(txn.customer)]
  use_backend us-1 if { var(txn.home) -m str us-1 }
  use_backend eu-1 if { var(txn.home) -m str eu-1 }

backend customers
  stick-table type string len 64 size 200k expire 10s store http_req_rate(1s)

backend tokens
  stick-table type binary len 32 size 200k expire 10m store gpt0
END
}

start() {
  local tls=""
  # Neither tickets nor a session cache: each new connection is a full handshake.
  [ "$BENCH_TLS" = 0 ] || tls="ssl crt $BENCH_KEYS/server.pem ssl-min-ver TLSv1.3 no-tls-tickets alpn h2,http/1.1"
  {
    cat <<END
global
  nbthread $BENCH_WORKERS
  maxconn 4096
  tune.ssl.cachesize 0

defaults
  mode http
  timeout connect 5s
  timeout client 5m
  timeout server 5m
  timeout http-keep-alive 5m
  http-reuse always

frontend gate
  bind 127.0.0.1:$BENCH_PORT backlog 8192 $tls
END
    if [ "$BENCH_JOB" = seed ]; then job; else echo "  default_backend us-1"; fi
    cat <<END

backend us-1
  server one $BENCH_US

backend eu-1
  server one $BENCH_EU
END
  } >"$BENCH_DIR/haproxy.cfg"
  exec "$HAPROXY" -db -f "$BENCH_DIR/haproxy.cfg"
}
answer "$@"
