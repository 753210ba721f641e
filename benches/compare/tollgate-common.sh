# What both scripts of Tollgate source after `entry.sh`: the program, and what is the same in all of its configurations.
TOLLGATE=${TOLLGATE:-tollgate}
available() { installed "$TOLLGATE"; }
version() { "$TOLLGATE" --version; }

# The server, one listener, the regions and the backend behind them. `$1`, if it is there, is a line of the listener.
around() {
  cat <<END
server:
  workers: $BENCH_WORKERS
  connections: { max: 10000, per-address: 10000 }
  timeouts: { idle: 5m }
listeners:
  - address: 127.0.0.1:$BENCH_PORT
${1:+    $1}
regions:
  us-1: { hosts: [us-1.test] }
  eu-1: { hosts: [eu-1.test] }
backends:
  rig:
    regions:
      us-1: [http://$BENCH_US]
      eu-1: [http://$BENCH_EU]
    pool: { idle: 256 }
END
}

# Becomes the gateway.
serve() { exec "$TOLLGATE" run --config "$BENCH_DIR/tollgate.yaml"; }
