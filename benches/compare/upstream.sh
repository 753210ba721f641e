#!/usr/bin/env bash
# The service behind the peers: one nginx, a pool on each of two ports.
#
#   /big    64 KiB from a file
#   /post   reads the whole body and then answers. nginx would answer `return` before the body is there, and a proxy that
#           stops sending then would be spared the work; `mirror` makes nginx read first
#   others  1 KiB of JSON
set -euo pipefail
NGINX=${NGINX:-nginx}
mkdir -p "$BENCH_DIR/files" "$BENCH_DIR/spool"
printf 'z%.0s' {1..65536} >"$BENCH_DIR/files/big"
filling=$(printf 'z%.0s' {1..980})

pool() { # name, address
  cat <<END
  server {
    listen $2 backlog=8192;
    root "$BENCH_DIR/files";
    default_type application/json;
    location / { return 200 '{"pool":"$1","filling":"$filling"}'; }
    location = /big { try_files /big =404; }
    location = /post { mirror /read; mirror_request_body on; try_files /none @read; }
    location = /read { internal; return 204; }
    location @read { return 200 '{"pool":"$1","read":true}'; }
  }
END
}

cat >"$BENCH_DIR/nginx.conf" <<END
daemon off;
master_process off;
pid "$BENCH_DIR/pid";
error_log stderr crit;
events { worker_connections 8192; multi_accept on; }
http {
  access_log off;
  server_tokens off;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=8;
  open_file_cache_valid 1h;
  keepalive_timeout 10m;
  keepalive_requests 2000000000;
  client_body_buffer_size 128k;
  client_body_temp_path "$BENCH_DIR/spool/1";
  proxy_temp_path "$BENCH_DIR/spool/2";
  fastcgi_temp_path "$BENCH_DIR/spool/3";
  uwsgi_temp_path "$BENCH_DIR/spool/4";
  scgi_temp_path "$BENCH_DIR/spool/5";
$(pool us-1 "$BENCH_US")
$(pool eu-1 "$BENCH_EU")
}
END
exec "$NGINX" -e stderr -p "$BENCH_DIR" -c "$BENCH_DIR/nginx.conf"
