#!/usr/bin/env bash
# nginx. What is free of it verifies no tokens, so it only forwards here.
. "$(dirname "$0")/../entry.sh"
NGINX=${NGINX:-nginx}
SUPPORTS="plain"
available() { installed "$NGINX"; }
version() { "$NGINX" -v 2>&1 | sed 's|.*: nginx/|nginx |; s| (.*||'; }
start() {
  local kind="" tls=""
  mkdir -p "$BENCH_DIR/spool"
  if [ "$BENCH_TLS" = 1 ]; then
    kind="ssl http2"
    tls="ssl_protocols TLSv1.3; ssl_session_cache off; ssl_session_tickets off;
    ssl_certificate \"$BENCH_KEYS/server.crt\"; ssl_certificate_key \"$BENCH_KEYS/server.key\";"
  fi
  cat >"$BENCH_DIR/nginx.conf" <<END
daemon off;
worker_processes $BENCH_WORKERS;
pid "$BENCH_DIR/pid";
error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off;
  server_tokens off;
  keepalive_timeout 5m;
  keepalive_requests 2000000000;
  # Nothing touches a disk: bodies and answers of these sizes stay in memory.
  client_body_buffer_size 64k;
  proxy_max_temp_file_size 0;
  proxy_buffers 16 8k;
  client_body_temp_path "$BENCH_DIR/spool/1";
  proxy_temp_path "$BENCH_DIR/spool/2";
  fastcgi_temp_path "$BENCH_DIR/spool/3";
  uwsgi_temp_path "$BENCH_DIR/spool/4";
  scgi_temp_path "$BENCH_DIR/spool/5";
  upstream pool {
    server $BENCH_US;
    keepalive 1024;
    keepalive_requests 2000000000;
    keepalive_timeout 5m;
  }
  server {
    listen 127.0.0.1:$BENCH_PORT $kind backlog=8192;
    $tls
    location / {
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_pass http://pool;
    }
  }
}
END
  exec "$NGINX" -e stderr -p "$BENCH_DIR" -c "$BENCH_DIR/nginx.conf"
}
answer "$@"
