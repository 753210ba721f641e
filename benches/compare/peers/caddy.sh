#!/usr/bin/env bash
# Caddy. It verifies no tokens without plug-ins, so it only forwards here.
. "$(dirname "$0")/../entry.sh"
CADDY=${CADDY:-caddy}
SUPPORTS="plain"
available() { installed "$CADDY"; }
version() { echo "Caddy $("$CADDY" version | awk '{ print $1 }')"; }
start() {
  local tls=""
  # In its JSON form, because only that can switch session tickets off.
  [ "$BENCH_TLS" = 0 ] || tls='"tls_connection_policies": [{"protocol_min": "tls1.3", "default_sni": "localhost"}],'
  cat >"$BENCH_DIR/caddy.json" <<END
{
  "admin": {"disabled": true, "config": {"persist": false}},
  "logging": {"logs": {"default": {"level": "ERROR"}}},
  "apps": {
    "tls": {
      "session_tickets": {"disabled": true},
      "certificates": {"load_files": [{"certificate": "$BENCH_KEYS/server.crt", "key": "$BENCH_KEYS/server.key"}]}
    },
    "http": {"servers": {"gate": {
      "listen": ["127.0.0.1:$BENCH_PORT"],
      "automatic_https": {"disable": true},
      $tls
      "routes": [{"handle": [{
        "handler": "reverse_proxy",
        "upstreams": [{"dial": "$BENCH_US"}],
        "transport": {"protocol": "http", "compression": false, "keep_alive": {
          "idle_timeout": "5m", "max_idle_conns": 4096, "max_idle_conns_per_host": 1024}}
      }]}]
    }}}
  }
}
END
  export GOMAXPROCS=$BENCH_WORKERS HOME=$BENCH_DIR XDG_DATA_HOME=$BENCH_DIR XDG_CONFIG_HOME=$BENCH_DIR
  exec "$CADDY" run --config "$BENCH_DIR/caddy.json"
}
answer "$@"
