"""A small record with figures that are easy to check by hand."""


def load(scenario, peer, number, cpu, **other):
    return {"scenario": scenario, "peer": peer, "round": number, "requests": 1000, "seconds": 1.0, "rate": 1000.0,
            "cpu_us": cpu, "user_us": cpu / 2, "system_us": cpu / 2, "p50_us": 500, "p99_us": 2000, "refused": 0,
            "errors": 0, "unexpected": 0, "busy_percent": 90.0, "foreign_percent": 3.0, "rss_mib": 10.0,
            "peak_rss_mib": 12.0, **other}


def idle(peer, number, kib):
    return {"scenario": "idle", "peer": peer, "round": number, "kib_per_connection": kib, "rss_before_mib": 10.0,
            "rss_mib": 20.0, "idle_cpu_percent": 0.0, "dead": 0}


def record():
    measurements = []
    # The machine is twice as slow in the second round: figures double, ratios stay.
    for number, slow in ((1, 1), (2, 2), (3, 1)):
        measurements += [
            load("plain", "haproxy", number, 20.0 * slow),
            load("plain", "tollgate", number, 18.0 * slow),
            load("seed", "haproxy", number, 100.0 * slow),
            load("seed", "tollgate", number, 50.0 * slow),
            idle("tollgate", number, 8.0 + number),
            load("growth-base", "tollgate-growth", number, 40.0 * slow, rss_mib=20.0),
            load("growth-routes", "tollgate-growth", number, 42.0 * slow, rss_mib=30.0),
            load("open-half", "tollgate", number, 50.0, p999_us=9000, wanted_rate=500, achieved_rate=499.0),
        ]
    measurements.append({"scenario": "plain", "peer": "nginx", "round": 1, "failed": "it rained"})
    return {
        "format": 1, "begun": "2026-01-02T03:04:05Z",
        "machine": {"cpu": "A CPU", "cores": 2, "memory_mib": 4096, "kernel": "6.1", "congestion_control": "cubic"},
        "commit": {"id": "0123456789abcdef", "changed": True},
        "versions": {"haproxy": "HAProxy 1", "tollgate": "tollgate <2>"},
        "arguments": {"rounds": 3, "secs": 1, "warmup": 1, "workers": 1, "no_pin": False, "proxy_cpu": "1",
                      "load_cpu": "0", "boost": False},
        "skipped": {"envoy": "not installed"}, "failed_checks": {"caddy": ["lets everybody through"]},
        "upstream_alone_rate": 40000.0, "measurements": measurements,
    }
