"""Tokens by a foreign library (PyJWT), good ones and forgeries, as JSON on standard output.

    mint.py DIRECTORY

Writes into DIRECTORY: jwks.json (public keys of every kind) and prints
{"good": {name: token}, "forged": {name: token}}. Issuer `https://idp.example/`, audience `api`.
"""
import base64, hashlib, hmac, json, sys, time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER, AUDIENCE = "https://idp.example/", "api"
NOW = int(time.time())


def claims(**over):
    out = {"iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "iat": NOW, "exp": NOW + 3600,
           "customer_id": "cust-1", "region": "us-1", "scope": "read"}
    out.update(over)
    return {k: v for k, v in out.items() if v is not ...}


def raw(header, body, sign):
    part = lambda x: base64.urlsafe_b64encode(json.dumps(x).encode()).rstrip(b"=").decode()
    message = part(header) + "." + part(body)
    return message + "." + base64.urlsafe_b64encode(sign(message.encode())).rstrip(b"=").decode()


def main(directory):
    keys = {
        "RS256": rsa.generate_private_key(65537, 2048),
        "PS256": rsa.generate_private_key(65537, 2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }
    jwks = []
    for alg, key in keys.items():
        jwk = jwt.get_algorithm_by_name(alg).to_jwk(key.public_key(), as_dict=True)
        jwk.update(kid=alg.lower(), alg=alg, use="sig")
        jwks.append(jwk)
    with open(directory + "/jwks.json", "w") as file:
        json.dump({"keys": jwks}, file)

    good = {alg: jwt.encode(claims(), key, alg, headers={"kid": alg.lower()}) for alg, key in keys.items()}
    good["audience in a list"] = jwt.encode(claims(aud=["other", AUDIENCE]), keys["ES256"], "ES256", headers={"kid": "es256"})
    good["nbf in the past"] = jwt.encode(claims(nbf=NOW - 5), keys["ES256"], "ES256", headers={"kid": "es256"})
    good["typ at+jwt"] = jwt.encode(claims(), keys["ES256"], "ES256", headers={"kid": "es256", "typ": "at+jwt"})

    rs, es = keys["RS256"], keys["ES256"]
    es_headers = {"kid": "es256"}
    other = rsa.generate_private_key(65537, 2048)
    public = rs.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    forged = {
        "another key under the same kid": jwt.encode(claims(), other, "RS256", headers={"kid": "rs256"}),
        "alg none": jwt.encode(claims(), None, "none", headers={"kid": "rs256"}),
        "alg None in mixed case": raw({"alg": "NoNe", "kid": "rs256"}, claims(), lambda m: b""),
        "hs256 with the public key": raw({"alg": "HS256", "kid": "rs256"}, claims(),
                                         lambda m: hmac.new(public, m, hashlib.sha256).digest()),
        "rs384 with an rs256 key": jwt.encode(claims(), rs, "RS384", headers={"kid": "rs256"}),
        "ps256 with an rs256 key": jwt.encode(claims(), rs, "PS256", headers={"kid": "rs256"}),
        "expired": jwt.encode(claims(exp=NOW - 600), es, "ES256", headers=es_headers),
        "not yet valid": jwt.encode(claims(nbf=NOW + 600), es, "ES256", headers=es_headers),
        "no exp": jwt.encode(claims(exp=...), es, "ES256", headers=es_headers),
        "no iss": jwt.encode(claims(iss=...), es, "ES256", headers=es_headers),
        "no aud": jwt.encode(claims(aud=...), es, "ES256", headers=es_headers),
        "no sub": jwt.encode(claims(sub=...), es, "ES256", headers=es_headers),
        "wrong issuer": jwt.encode(claims(iss="https://evil.example/"), es, "ES256", headers=es_headers),
        "issuer without its slash": jwt.encode(claims(iss="https://idp.example"), es, "ES256", headers=es_headers),
        "wrong audience": jwt.encode(claims(aud="other"), es, "ES256", headers=es_headers),
        "exp as a string": raw({"alg": "ES256", "kid": "es256"}, claims(exp=str(NOW + 60)),
                               lambda m: jwt.get_algorithm_by_name("ES256").sign(m, es)),
        "nbf as a string": raw({"alg": "ES256", "kid": "es256"}, claims(nbf="soon"),
                               lambda m: jwt.get_algorithm_by_name("ES256").sign(m, es)),
        "unknown crit": raw({"alg": "ES256", "kid": "es256", "crit": ["x"], "x": 1}, claims(),
                            lambda m: jwt.get_algorithm_by_name("ES256").sign(m, es)),
        "unknown kid": jwt.encode(claims(), es, "ES256", headers={"kid": "nobody"}),
        "kid of another algorithm": jwt.encode(claims(), es, "ES256", headers={"kid": "rs256"}),
        "empty customer": jwt.encode(claims(customer_id=""), es, "ES256", headers=es_headers),
        "customer of the wrong type": jwt.encode(claims(customer_id=7), es, "ES256", headers=es_headers),
        "customer with a line break": jwt.encode(claims(customer_id="a\r\nX-Evil: 1"), es, "ES256", headers=es_headers),
        "no customer": jwt.encode(claims(customer_id=...), es, "ES256", headers=es_headers),
        "padded": good["ES256"] + "=",
        "four parts": good["ES256"] + ".x",
        "two parts": good["ES256"].rsplit(".", 1)[0],
        "tampered": ".".join([good["ES256"].split(".")[0],
                              base64.urlsafe_b64encode(json.dumps(claims(customer_id="cust-2")).encode()).rstrip(b"=").decode(),
                              good["ES256"].split(".")[2]]),
        "larger than 8 KiB": jwt.encode(claims(pad="x" * 9000), es, "ES256", headers=es_headers),
    }
    print(json.dumps({"good": good, "forged": forged}))


if __name__ == "__main__":
    main(sys.argv[1])
