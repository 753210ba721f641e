import base64
import hashlib
import hmac
import json
import subprocess
import tempfile
import unittest

from rig import keys


def raw(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class Tokens(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.keys = keys.Keys(cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def verified(self, token):
        """By openssl, with the public key that peers get."""
        signed, _, signature = token.rpartition(".")
        with open(self.keys.path("signed"), "w") as file:
            file.write(signed)
        with open(self.keys.path("signature"), "wb") as file:
            file.write(raw(signature))
        return subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.keys.path("jwt.pub"), "-signature",
                               self.keys.path("signature"), self.keys.path("signed")], capture_output=True).returncode == 0

    def test_good_tokens_verify_and_carry_their_claims(self):
        token = self.keys.tokens(3)[2]
        self.assertTrue(self.verified(token))
        claims = json.loads(raw(token.split(".")[1]))
        self.assertEqual((claims["iss"], claims["aud"], claims["customer_id"], claims["region"]),
                         (keys.ISSUER, keys.AUDIENCE, "customer-000002", "us-1"))
        self.assertGreater(claims["exp"], claims["iat"])

    def test_tokens_are_kept_and_differ(self):
        first = self.keys.tokens(2)
        more = self.keys.tokens(20)
        self.assertEqual(more[:2], first)
        self.assertEqual(len(set(more)), 20)
        self.assertTrue(all(self.verified(token) for token in more))

    def test_bad_tokens_are_bad_in_the_way_that_they_say(self):
        refused = self.keys.trial["refused"]
        for what in ("forged", "tampered", "HS256 by the public key", "alg none"):
            self.assertFalse(self.verified(refused[what]), what)
        # These are signed well: only who looks at the claims refuses them.
        for what in ("expired", "wrong issuer", "wrong audience"):
            self.assertTrue(self.verified(refused[what]), what)

    def test_the_key_set_holds_the_same_key(self):
        with open(self.keys.path("jwks.json")) as file:
            key = json.load(file)["keys"][0]
        modulus = subprocess.run(["openssl", "rsa", "-pubin", "-in", self.keys.path("jwt.pub"), "-noout", "-modulus"],
                                 capture_output=True, text=True, check=True).stdout.strip().split("=")[1]
        self.assertEqual(int.from_bytes(raw(key["n"]), "big"), int(modulus, 16))

    def test_tokens_in_bulk_are_signed_by_the_secret(self):
        tokens = list(keys.by_secret(self.keys.secret, 5, 2, self.keys.now))
        self.assertEqual(len(set(tokens)), 5)
        for number, token in enumerate(tokens):
            signed, _, signature = token.rpartition(".")
            self.assertEqual(raw(signature), hmac.new(self.keys.secret, signed.encode(), hashlib.sha256).digest())
            self.assertEqual(json.loads(raw(token.split(".")[1]))["customer_id"], keys.customer(number % 2))
