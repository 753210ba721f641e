"""Programs that a run cannot do without, and how to get them."""
import os
import shutil

from . import peers

# Program: Debian package.
NECESSARY = {"bash": "bash", "openssl": "openssl", "taskset": "util-linux", "wrk": "wrk", "h2load": "nghttp2-client",
             "nginx": "nginx-light", "haproxy": "haproxy"}


def missing():
    path = peers.environment()["PATH"]
    found = []
    for program, package in NECESSARY.items():
        if not shutil.which(os.environ.get(program.upper()) or program, path=path):
            found.append((program, package))
    return found


def complaint():
    """What to say to somebody who lacks some, or nothing."""
    lacking = missing()
    if not lacking:
        return None
    return "missing: %s. Debian: apt-get install %s" % (", ".join(program for program, _ in lacking),
                                                        " ".join(sorted({package for _, package in lacking})))
