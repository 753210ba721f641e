"""An identity provider written with Authlib: authorization code with PKCE, OpenID Connect, introspection, revocation.

    provider.py CLIENT SECRET REDIRECT

Prints its port as a JSON number. Its one user is signed in already; its page has a button. `/mode?is=MODE` makes it misbehave:
`wrong-state` and `wrong-issuer` change its answer to the browser, `replayed` gives a code that was redeemed before, `slow` and
`down` are its token endpoint's; `good` is what it is at first.
"""

import json
import sys
import threading
import time
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc6749.models import AuthorizationCodeMixin
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, abort, request
from joserfc.jwk import OctKey
from werkzeug.serving import make_server

CLIENT, SECRET, REDIRECT = sys.argv[1:4]
STATE = {"mode": "good", "spent": None}
CODES, TOKENS = {}, {}


class User:
    id = "u-42"

    def get_user_id(self):
        return self.id


class Client(ClientMixin):
    def get_client_id(self):
        return CLIENT

    def get_default_redirect_uri(self):
        return REDIRECT

    def get_allowed_scope(self, scope):
        return scope

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri == REDIRECT

    def check_client_secret(self, client_secret):
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method, endpoint):
        return method == "client_secret_basic"

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type in ("authorization_code", "refresh_token")


class Code(AuthorizationCodeMixin):
    def __init__(self, text, request):
        payload = request.payload
        self.code, self.redirect_uri, self.scope = text, payload.redirect_uri, payload.scope
        self.nonce = payload.data.get("nonce")
        self.code_challenge = payload.data.get("code_challenge")
        self.code_challenge_method = payload.data.get("code_challenge_method")

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope

    def get_nonce(self):
        return self.nonce

    def get_auth_time(self):
        return int(time.time())

    def get_acr(self):
        return None

    def get_amr(self):
        return None


class Token(TokenMixin):
    def __init__(self, fields):
        self.fields, self.revoked, self.at = fields, False, time.time()

    def check_client(self, client):
        return True

    def get_scope(self):
        return self.fields.get("scope", "")

    def get_expires_in(self):
        return self.fields["expires_in"]

    def get_client(self):
        return Client()

    def get_user(self):
        return User()

    def is_expired(self):
        return self.at + self.fields["expires_in"] < time.time()

    def is_revoked(self):
        return self.revoked


class ByCode(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]

    def save_authorization_code(self, code, request):
        CODES[code] = Code(code, request)

    def query_authorization_code(self, code, client):
        return CODES.get(code)

    def delete_authorization_code(self, authorization_code):
        STATE["spent"] = authorization_code.code
        CODES.pop(authorization_code.code)

    def authenticate_user(self, authorization_code):
        return User()


class OpenID(OpenIDCode):
    def exists_nonce(self, nonce, request):
        return False

    def resolve_client_private_key(self, client):
        return OctKey.import_key("k" * 32)

    def get_client_algorithm(self, client):
        return "HS256"

    def get_client_claims(self, client):
        return {"iss": issuer()}

    def get_jwt_config(self, grant=None, client=None):
        return {"key": "k" * 32, "alg": "HS256", "iss": issuer(), "exp": 3600}

    def generate_user_info(self, user, scope):
        return UserInfo(sub=user.id)


class Refresh(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token):
        token = TOKENS.get(refresh_token)
        return None if token is None or token.revoked else token

    def authenticate_user(self, refresh_token):
        return User()

    def revoke_old_credential(self, refresh_token):
        refresh_token.revoked = True


class Introspect(IntrospectionEndpoint):
    def check_permission(self, token, client, request):
        return True

    def query_token(self, token_string, token_type_hint):
        return TOKENS.get(token_string)

    def introspect_token(self, token):
        return {
            "active": True, "client_id": CLIENT, "sub": User.id, "scope": token.get_scope(), "iss": issuer(),
            "exp": int(token.at) + token.get_expires_in(), "customer": "acme", "roles": ["customer_admin"],
        }


class Revoke(RevocationEndpoint):
    def query_token(self, token_string, token_type_hint):
        return TOKENS.get(token_string)

    def revoke_token(self, token, request):
        token.revoked = True


def keep(fields, request):
    token = Token(fields)
    TOKENS[fields["access_token"]] = token
    if fields.get("refresh_token"):
        TOKENS[fields["refresh_token"]] = token


app = Flask(__name__)
app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
server = AuthorizationServer(app, query_client=lambda id: Client() if id == CLIENT else None, save_token=keep)
server.register_grant(ByCode, [CodeChallenge(required=True), OpenID(require_nonce=True)])
server.register_grant(Refresh)
server.register_endpoint(Introspect)
server.register_endpoint(Revoke)


def issuer():
    return STATE["issuer"]


def changed(location):
    """The answer to the browser, as this provider's mode has it."""
    url = urlsplit(location)
    query = dict(parse_qsl(url.query)) | {"iss": issuer()}
    if STATE["mode"] == "wrong-state":
        query["state"] = query["state"][:8] + "x" * 35
    if STATE["mode"] == "wrong-issuer":
        query["iss"] = "https://evil.example"
    if STATE["mode"] == "replayed" and STATE["spent"]:
        query["code"] = STATE["spent"]
    return urlunsplit(url._replace(query=urlencode(query)))


@app.route("/authorize", methods=["GET", "POST"])
def authorize():
    if request.method == "GET":
        return "<!doctype html><html lang=en><title>Provider</title><h1>Provider</h1><form method=post><button>Allow</button></form>"
    answer = server.create_authorization_response(grant_user=User())
    answer.headers["Location"] = changed(answer.headers["Location"])
    return answer


@app.route("/token", methods=["POST"])
def token():
    if STATE["mode"] == "slow":
        time.sleep(12)
    if STATE["mode"] == "down":
        abort(502)
    return server.create_token_response()


@app.route("/introspect", methods=["POST"])
def introspect():
    return server.create_endpoint_response("introspection")


@app.route("/revoke", methods=["POST"])
def revoke():
    return server.create_endpoint_response("revocation")


@app.route("/mode")
def mode():
    STATE["mode"] = request.args["is"]
    return ""


def main():
    # Authlib wants HTTPS, but on loopback.
    import os

    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    running = make_server("127.0.0.1", 0, app, threaded=True)
    STATE["issuer"] = f"http://127.0.0.1:{running.server_port}"
    threading.Thread(target=running.serve_forever, daemon=True).start()
    print(json.dumps(running.server_port), flush=True)
    # Until whoever started it goes.
    sys.stdin.read()


main()
