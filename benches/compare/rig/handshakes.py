"""Load whose every request opens a TLS 1.3 connection with a full handshake.

    python3 handshakes.py PORT CONNECTIONS SECONDS PATH

A program of its own, so that it can be put on the load's CPU. Prints one JSON object.
"""
import json
import os
import socket
import ssl
import sys
import time

from figures import percentile


def one(context, port, call):
    """The status of one request on a connection of its own; no session is kept for the next."""
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        with context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=True) as connection:
            if connection.session_reused or connection.version() != "TLSv1.3":
                raise ssl.SSLError("this is no full handshake of TLS 1.3")
            connection.sendall(call)
            answer = b""
            while piece := connection.recv(16384):
                answer += piece
    return int(answer.split(b" ", 2)[1])


def worker(port, call, deadline):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    times, refused, errors = [], 0, 0
    while (begun := time.monotonic()) < deadline:
        try:
            refused += one(context, port, call) >= 400
            times.append(int((time.monotonic() - begun) * 1e6))
        except (OSError, IndexError, ValueError):
            errors += 1
            time.sleep(0.001)
    return {"times": times, "refused": refused, "errors": errors}


def main():
    port, connections, seconds = map(int, sys.argv[1:4])
    call = ("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % sys.argv[4]).encode()
    begun = time.monotonic()
    pipes = []
    for _ in range(connections):
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.close(reading)
            with os.fdopen(writing, "w") as pipe:
                json.dump(worker(port, call, begun + seconds), pipe)
            os._exit(0)
        os.close(writing)
        pipes.append(os.fdopen(reading))
    results = [json.load(pipe) for pipe in pipes]
    for _ in range(connections):
        os.wait()  # so that their CPU time counts as ours, and not as a stranger's
    took = time.monotonic() - begun
    times = sorted(micros for result in results for micros in result["times"])
    print(json.dumps({
        "requests": len(times), "seconds": took, "p50_us": percentile(times, .5), "p99_us": percentile(times, .99),
        "refused": sum(result["refused"] for result in results), "errors": sum(result["errors"] for result in results)}))


if __name__ == "__main__":
    main()
