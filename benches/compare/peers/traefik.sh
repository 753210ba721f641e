#!/usr/bin/env bash
# Traefik. What is free of it verifies no tokens, so it only forwards here.
. "$(dirname "$0")/../entry.sh"
TRAEFIK=${TRAEFIK:-traefik}
SUPPORTS="plain"
available() { installed "$TRAEFIK"; }
version() { echo "Traefik $("$TRAEFIK" version | awk '/^Version:/ { print $2 }')"; }
start() {
  local router="" tls=""
  if [ "$BENCH_TLS" = 1 ]; then
    router="tls: {}"
    tls="tls:
  options:
    default: { minVersion: VersionTLS13, disableSessionTickets: true }
  stores:
    default:
      defaultCertificate: { certFile: $BENCH_KEYS/server.crt, keyFile: $BENCH_KEYS/server.key }"
  fi
  cat >"$BENCH_DIR/routes.yaml" <<END
http:
  routers:
    all:
      entryPoints: [gate]
      rule: PathPrefix(\`/\`)
      service: pool
      $router
  services:
    pool:
      loadBalancer:
        serversTransport: kept
        servers: [{ url: "http://$BENCH_US" }]
  serversTransports:
    kept: { maxIdleConnsPerHost: 1024 }
$tls
END
  cat >"$BENCH_DIR/traefik.yaml" <<END
global: { checkNewVersion: false, sendAnonymousUsage: false }
log: { level: ERROR }
entryPoints:
  gate: { address: "127.0.0.1:$BENCH_PORT" }
providers:
  file: { filename: $BENCH_DIR/routes.yaml, watch: false }
END
  export GOMAXPROCS=$BENCH_WORKERS
  exec "$TRAEFIK" --configFile="$BENCH_DIR/traefik.yaml"
}
answer "$@"
