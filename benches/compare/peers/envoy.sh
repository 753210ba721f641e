#!/usr/bin/env bash
# Envoy: tokens by jwt_authn, limits by local_ratelimit with a bucket for each customer, which newer versions can make as
# customers come (wildcard descriptors).
. "$(dirname "$0")/../entry.sh"
ENVOY=${ENVOY:-envoy}
SUPPORTS="plain seed"
# Forwarding is the same with and without it.
[ "${ENVOY_TOKEN_CACHE:-0}" = 0 ] || SUPPORTS="seed"
TYPE=type.googleapis.com/envoy.extensions
available() { installed "$ENVOY"; }
version() { echo "Envoy $("$ENVOY" --version | sed -n 's|.*/\([0-9][0-9.]*\)/.*|\1|p')"; }

tls() {
  [ "$BENCH_TLS" = 1 ] || return 0
  cat <<END
      transport_socket:
        name: tls
        typed_config:
          "@type": $TYPE.transport_sockets.tls.v3.DownstreamTlsContext
          disable_stateless_session_resumption: true
          disable_stateful_session_resumption: true
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_params: { tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3 }
            tls_certificates:
            - certificate_chain: { filename: "$BENCH_KEYS/server.crt" }
              private_key: { filename: "$BENCH_KEYS/server.key" }
END
}

routes() {
  if [ "$BENCH_JOB" = seed ]; then
    for region in us-1 eu-1; do
      echo "              - { match: { prefix: /, headers: [{ name: x-home, string_match: { exact: $region } }] }, route: { cluster: $region } }"
    done
  else
    echo "              - { match: { prefix: / }, route: { cluster: us-1 } }"
  fi
}

job() {
  [ "$BENCH_JOB" = seed ] || return 0
  local cache=""
  [ "${ENVOY_TOKEN_CACHE:-0}" = 0 ] || cache="jwt_cache_config: { jwt_cache_size: 10000 }"
  cat <<END
          - name: tokens
            typed_config:
              "@type": $TYPE.filters.http.jwt_authn.v3.JwtAuthentication
              rules: [{ match: { prefix: / }, requires: { provider_name: login } }]
              providers:
                login:
                  issuer: "$BENCH_ISS"
                  audiences: ["$BENCH_AUD"]
                  require_expiration: true
                  forward: true
                  local_jwks: { filename: "$BENCH_KEYS/jwks.json" }
                  claim_to_headers:
                  - { claim_name: customer_id, header_name: x-tenant-id }
                  - { claim_name: region, header_name: x-home }
                  clear_route_cache: true
                  $cache
          - name: limits
            typed_config:
              "@type": $TYPE.filters.http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: limits
              filter_enabled: { default_value: { numerator: 100 } }
              filter_enforced: { default_value: { numerator: 100 } }
              token_bucket: { max_tokens: 2000000000, tokens_per_fill: 2000000000, fill_interval: 1s }
              max_dynamic_descriptors: 20000
              rate_limits:
              - actions: [{ request_headers: { header_name: x-tenant-id, descriptor_key: customer } }]
              descriptors:
              - entries: [{ key: customer }]
                token_bucket: { max_tokens: $BENCH_LIMIT, tokens_per_fill: $BENCH_LIMIT, fill_interval: 1s }
END
}

cluster() { # name, address
  cat <<END
  - name: $1
    type: STATIC
    connect_timeout: 5s
    circuit_breakers:
      thresholds: [{ max_connections: 20000, max_pending_requests: 200000, max_requests: 200000 }]
    load_assignment:
      cluster_name: $1
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: ${2%:*}, port_value: ${2##*:} } } } }] }]
END
}

start() {
  cat >"$BENCH_DIR/envoy.yaml" <<END
static_resources:
  listeners:
  - name: gate
    address: { socket_address: { address: 127.0.0.1, port_value: $BENCH_PORT } }
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": $TYPE.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: gate
          generate_request_id: false
          server_header_transformation: PASS_THROUGH
          route_config:
            name: all
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
$(routes)
          http_filters:
$(job)
          - name: router
            typed_config:
              "@type": $TYPE.filters.http.router.v3.Router
              dynamic_stats: false
              suppress_envoy_headers: true
$(tls)
  clusters:
$(cluster us-1 "$BENCH_US")
$(cluster eu-1 "$BENCH_EU")
END
  exec "$ENVOY" -c "$BENCH_DIR/envoy.yaml" --concurrency "$BENCH_WORKERS" --disable-hot-restart --log-level error
}
answer "$@"
