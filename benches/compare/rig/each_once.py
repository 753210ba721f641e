"""Sends one call with each token that it is given, and sees that each is answered with 200.

    python3 each_once.py PORT PATH < tokens

Many calls are on their way at once on a few connections (HTTP/1.1 pipelining): a million take less than a minute.
"""
import itertools
import json
import socket
import sys
import time

CONNECTIONS = 16
# Small enough that neither side's socket buffers fill while the other is not reading.
AT_ONCE = 32


def answered(connection, count):
    """Reads so many answers; how many of them were 200."""
    text = b""
    while text.count(b"HTTP/1.1 ") < count or not text.endswith(b"}"):
        piece = connection.recv(65536)
        if not piece:
            break
        text += piece
    return text.count(b"HTTP/1.1 200 "), text


def main():
    port, path = int(sys.argv[1]), sys.argv[2]
    connections = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(CONNECTIONS)]
    call = "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %%s\r\n\r\n" % path
    sent = good = 0
    begun = time.monotonic()
    tokens = (line.strip() for line in sys.stdin)
    while True:
        waiting = []
        for connection in connections:
            batch = list(itertools.islice(tokens, AT_ONCE))
            if batch:
                connection.sendall("".join(call % token for token in batch).encode())
                waiting.append((connection, len(batch)))
        if not waiting:
            break
        for connection, count in waiting:
            passed, text = answered(connection, count)
            sent += count
            good += passed
            if passed != count:
                print("%d of %d calls were answered with 200; the last answer: %r" % (good, sent, text[-400:]))
                return 1
    print(json.dumps({"calls": sent, "seconds": time.monotonic() - begun}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
