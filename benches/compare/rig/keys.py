"""Keys, certificates and tokens of one run.

Everything is made anew in the run's own folder: nothing of it is worth keeping, and nothing of it can be out of date.
RSA signatures are made here (the private exponent by `openssl`), so that no Python package is needed.
"""
import base64
import hashlib
import hmac
import json
import multiprocessing
import os
import re
import secrets
import subprocess
import time

ISSUER = "https://issuer.test"
AUDIENCE = "compare"
KEY_NAME = "compare-1"
CUSTOMERS = 100
# Longer than any run. Tokens that end within one would turn the last rounds into refusals.
LIFETIME = 24 * 3600
# RFC 8017 section 9.2, note 1: what stands before a SHA-256 digest in a PKCS #1 v1.5 signature.
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


def unpadded(data):
    """base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value):
    """A JSON value as a part of a token."""
    return unpadded(json.dumps(value, separators=(",", ":")).encode())


def compact(header, claims, sign):
    """A token in the compact form; `sign` makes the signature of its first two parts."""
    signed = part(header) + "." + part(claims)
    return signed + "." + unpadded(sign(signed.encode()))


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True).stdout


class RsaKey:
    """A private key of 2048 bits, in a PEM file."""

    def __init__(self, path):
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", path)
        numbers = {}
        name = None
        for line in openssl("rsa", "-in", path, "-noout", "-text").splitlines():
            if line[:1].isalpha():
                name = line.split(":")[0]
                numbers[name] = ""
            elif name:
                numbers[name] += line.strip().replace(":", "")
        number = {name: int(digits, 16) for name, digits in numbers.items() if re.fullmatch("[0-9a-f]+", digits)}
        self.path = path
        self.modulus = number["modulus"]
        self.public_exponent = 65537
        self.first, self.second = number["prime1"], number["prime2"]
        self.exponents = number["exponent1"], number["exponent2"]
        self.coefficient = number["coefficient"]

    def sign(self, message):
        """RS256 (RFC 7518 section 3.3)."""
        digest = SHA256_PREFIX + hashlib.sha256(message).digest()
        size = (self.modulus.bit_length() + 7) // 8
        padded = int.from_bytes(b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest, "big")
        # By the Chinese remainder theorem: four times as fast, and a thousand tokens are made at every start.
        by_first = pow(padded, self.exponents[0], self.first)
        by_second = pow(padded, self.exponents[1], self.second)
        difference = (by_first - by_second) * self.coefficient % self.first
        return (by_second + difference * self.second).to_bytes(size, "big")

    def public_pem(self):
        return openssl("pkey", "-in", self.path, "-pubout")

    def public_set(self):
        """The public key as a JWK set (RFC 7517 section 5)."""
        numbers = {"n": self.modulus, "e": self.public_exponent}
        key = {name: unpadded(value.to_bytes((value.bit_length() + 7) // 8, "big")) for name, value in numbers.items()}
        return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_NAME, **key}]}


def customer(number):
    return "customer-%06d" % number


def claims_of(number, now, customers=CUSTOMERS):
    """The claims of the token with this number. Customers take turns; every other one is at home in the second region."""
    who = number % customers
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "user-%06d" % number,
        "iat": now,
        "exp": now + LIFETIME,
        "customer_id": customer(who),
        "region": "us-1" if who % 2 == 0 else "eu-1",
    }


def by_secret(secret, count, customers, now):
    """`count` tokens by HS256, one after the other: a million of them would take an hour by RSA."""
    header = part({"alg": "HS256", "typ": "JWT"}).encode() + b"."
    for number in range(count):
        signed = header + part(claims_of(number, now, customers)).encode()
        yield (signed + b"." + unpadded(hmac.digest(secret, signed, "sha256")).encode()).decode()


def trial_tokens(key, forger, public_pem, now):
    """The tokens by which a peer is tried before it counts: some to let through, others to refuse."""
    header = {"alg": "RS256", "typ": "JWT", "kid": KEY_NAME}

    def good(number, **other):
        return compact(header, {**claims_of(number, now), **other}, key.sign)

    own, foreign = good(2), good(5)
    unsigned = part({"alg": "none", "typ": "JWT"}) + "." + part(claims_of(2, now)) + "."
    # The old confusion of algorithms: the public key, which everybody has, taken as a shared secret.
    confused = compact({**header, "alg": "HS256"}, claims_of(2, now),
                       lambda message: hmac.digest(public_pem.encode(), message, "sha256"))
    return {
        "first_region": {"token": own, "customer": customer(2)},
        "second_region": {"token": good(3), "customer": customer(3)},
        "readiness": good(90),
        "limited": good(6),
        "neighbour": good(8),
        "refused": {
            "expired": good(2, exp=now - 3600),
            "forged": compact(header, claims_of(2, now), forger.sign),
            "tampered": ".".join([own.split(".")[0], foreign.split(".")[1], own.split(".")[2]]),
            "alg none": unsigned,
            "HS256 by the public key": confused,
            "wrong issuer": good(2, iss="https://elsewhere.test"),
            "wrong audience": good(2, aud="another"),
            "garbage": "not.a.token",
        },
    }


class Keys:
    """The folder of a run's keys and tokens, as peers and load tools get it."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.now = int(time.time())
        signer = RsaKey(self.path("jwt.key"))
        public_pem = signer.public_pem()
        self.write("jwt.pub", public_pem)
        self.write("jwks.json", json.dumps(signer.public_set()))
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                "-keyout", self.path("server.key"), "-out", self.path("server.crt"))
        with open(self.path("server.crt")) as certificate, open(self.path("server.key")) as private:
            self.write("server.pem", certificate.read() + private.read())
        self.signer = signer
        self.minted = []
        self.trial = trial_tokens(signer, RsaKey(self.path("forger.key")), public_pem, self.now)
        self.secret = secrets.token_hex(32).encode()
        self.secret_file = self.write("secret", self.secret.decode())

    def mint(self, number):
        return compact({"alg": "RS256", "typ": "JWT", "kid": KEY_NAME}, claims_of(number, self.now), self.signer.sign)

    def tokens(self, count):
        """The first so many tokens, made when they are first asked for, by all CPUs together."""
        if len(self.minted) < count:
            numbers = range(len(self.minted), count)
            if len(numbers) > 16:
                with multiprocessing.Pool() as pool:
                    self.minted += pool.map(self.mint, numbers)
            else:
                self.minted += [self.mint(number) for number in numbers]
        return self.minted[:count]

    def token_file(self, count):
        """The same as a file, one a line."""
        return self.write("tokens-%d" % count, "".join(token + "\n" for token in self.tokens(count)))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)
