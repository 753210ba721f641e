"""Generic OAuth libraries, as they are, against the gateway's token service.

    browserless.py URL CERTIFICATE CLIENT SECRET REDIRECT USERNAME PASSWORD

The endpoints are those of its metadata (RFC 8414), at the port of URL. The browser's part (sign-in page, consent page) is played by `requests` with a form parser of the standard library. Prints a
JSON object of what came of it.
"""

import json
import os
import sys
from html.parser import HTMLParser
from urllib.parse import parse_qs, urljoin, urlsplit

import requests
from authlib.integrations.requests_client import OAuth2Session as Authlib
from requests_oauthlib import OAuth2Session as RequestsOAuthlib

URL, CERTIFICATE, CLIENT, SECRET, REDIRECT, USERNAME, PASSWORD = sys.argv[1:8]
os.environ["REQUESTS_CA_BUNDLE"] = CERTIFICATE
# The way back to the application is loopback without TLS (RFC 8252 section 7.3), which one of the libraries asks to be told.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

METADATA = requests.get(URL + "/.well-known/oauth-authorization-server", timeout=10).json()


def endpoint(name):
    """The port is the test's own, so the metadata cannot know it."""
    return URL + urlsplit(METADATA[name]).path


AUTHORIZE, TOKEN = endpoint("authorization_endpoint"), endpoint("token_endpoint")
REVOKE, INTROSPECT = endpoint("revocation_endpoint"), endpoint("introspection_endpoint")


class Form(HTMLParser):
    """The hidden fields of a page."""

    def __init__(self, text):
        super().__init__()
        self.hidden = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "input" and attrs.get("type") == "hidden":
            self.hidden[attrs["name"]] = attrs.get("value", "")


def visit(url, decision="allow"):
    """From the authorization URL to the redirect: what a person does with two pages."""
    browser = requests.Session()
    page = browser.get(url, timeout=10)
    assert page.status_code == 200 and "text/html" in page.headers["content-type"], page.text
    fields = Form(page.text).hidden | {"username": USERNAME, "password": PASSWORD}
    page = browser.post(url, data=fields, headers={"Origin": "{0.scheme}://{0.netloc}".format(urlsplit(url))}, timeout=10)
    assert page.status_code == 200, page.text
    fields = Form(page.text).hidden | {"decision": decision}
    answer = browser.post(page.url, data=fields, allow_redirects=False, timeout=10)
    assert answer.status_code == 303, (answer.status_code, answer.text)
    return urljoin(url, answer.headers["location"])


def main():
    result = {}
    client = Authlib(CLIENT, SECRET, redirect_uri=REDIRECT, scope="read", code_challenge_method="S256")
    verifier = "v" * 50
    url, _state = client.create_authorization_url(AUTHORIZE, code_verifier=verifier)
    back = visit(url)
    result["iss"] = parse_qs(urlsplit(back).query).get("iss")
    token = client.fetch_token(TOKEN, authorization_response=back, code_verifier=verifier)
    result["authlib"] = sorted(token)
    again = client.refresh_token(TOKEN, refresh_token=token["refresh_token"])
    result["rotated"] = again["refresh_token"] != token["refresh_token"]
    seen = client.introspect_token(INTROSPECT, token=again["access_token"]).json()
    result["introspected"] = [seen["active"], seen["scope"]]
    result["revoked"] = client.revoke_token(REVOKE, token=again["access_token"]).status_code

    own = Authlib(CLIENT, SECRET, scope="read").fetch_token(TOKEN, grant_type="client_credentials")
    result["client_credentials"] = sorted(own)

    client = RequestsOAuthlib(CLIENT, redirect_uri=REDIRECT, scope=["read"], pkce="S256")
    url, _state = client.authorization_url(AUTHORIZE)
    token = client.fetch_token(TOKEN, authorization_response=visit(url), client_secret=SECRET)
    result["requests_oauthlib"] = sorted(token)
    result["token"] = token["access_token"]

    client = RequestsOAuthlib(CLIENT, redirect_uri=REDIRECT, scope=["read"])
    url, _state = client.authorization_url(AUTHORIZE)
    result["denied"] = parse_qs(urlsplit(visit(url, "deny")).query)["error"]
    print(json.dumps(result))


main()
