"""The sign-in and consent pages in a real browser (Debian's Chromium), worked by the keyboard alone.

    pages.py AUTHORIZE CLIENT USERNAME PASSWORD SCREENSHOTS

Listens on a loopback port as the application does (RFC 8252 section 7.3). First with scripts, so that axe can look at each page,
in a light and a dark colour scheme; then without scripts from the first page to the code. Prints a JSON object.
"""

import base64
import hashlib
import http.server
import json
import pathlib
import sys
import threading
from urllib.parse import parse_qs, urlencode, urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

AUTHORIZE, CLIENT, USERNAME, PASSWORD, SCREENSHOTS = sys.argv[1:6]
VERIFIER = "p" * 50
# Milliseconds for anything; a browser on a busy machine is slow.
PATIENCE = 100_000
# What Chromium is called; it must run as root too, in containers without user namespaces.
BROWSER = {"executable_path": "/usr/bin/chromium", "args": ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]}


class Application(http.server.BaseHTTPRequestHandler):
    """Takes the browser back."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><html lang=en><title>Back</title><h1>Back</h1>")

    def log_message(self, *_):
        pass


def authorization_url(redirect, **changed):
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": redirect,
        "scope": "read",
        "state": "s1",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return AUTHORIZE + "?" + urlencode(query | changed)


def ready(page, field):
    """Waits until the page has put the focus where it says, as whoever types looks first."""
    page.locator(f"#{field}:focus").wait_for()


def focused(page):
    """What the focus is on: a field's or a button's name, as assistive technology says it."""
    return page.evaluate(
        "() => { const e = document.activeElement;"
        " return e.labels && e.labels.length ? e.labels[0].textContent : e.textContent.trim(); }"
    )


def looked_at(page, name, findings):
    """Screenshots, and what axe finds: every rule that it has for WCAG 2.2 AA and its best practices."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=f"{SCREENSHOTS}/{name}-{scheme}.png")
        for found in Axe().run(page).response["violations"]:
            findings.append(f"{name} {scheme}: {found['id']}: {found['nodes'][0]['html']}")
    page.emulate_media(color_scheme="light")


def main():
    pathlib.Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
    application = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
    threading.Thread(target=application.serve_forever, daemon=True).start()
    redirect = f"http://127.0.0.1:{application.server_port}/cb"
    result, findings, order, blocked = {}, [], [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**BROWSER)

        # With scripts allowed, for the sake of axe.
        page = browser.new_context(ignore_https_errors=True).new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda line: blocked.append(line.text) if line.type == "error" else None)
        page.set_viewport_size({"width": 1000, "height": 700})
        page.goto(authorization_url(redirect))
        ready(page, "username")
        order.append(focused(page))
        looked_at(page, "sign-in", findings)
        page.keyboard.type(USERNAME)
        page.keyboard.press("Tab")
        order.append(focused(page))
        page.keyboard.type("not the password")
        page.keyboard.press("Tab")
        order.append(focused(page))
        page.keyboard.press("Enter")
        page.get_by_role("alert").wait_for()
        ready(page, "password")
        result["after_a_wrong_password"] = [page.get_by_role("alert").inner_text(), focused(page)]
        result["name_is_kept"] = page.get_by_label("Name").input_value()
        looked_at(page, "wrong-password", findings)
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Allow").wait_for()
        looked_at(page, "consent", findings)
        # 320 pixels are a page at 400 % (WCAG 2.2, 1.4.10): nothing may need scrolling in two directions.
        page.set_viewport_size({"width": 320, "height": 640})
        page.screenshot(path=f"{SCREENSHOTS}/consent-narrow.png")
        result["wider_than_the_window"] = page.evaluate("() => document.documentElement.scrollWidth > innerWidth")
        page.set_viewport_size({"width": 1000, "height": 700})
        for _ in range(3):
            page.keyboard.press("Tab")
            order.append(focused(page))
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        page.wait_for_url(redirect + "*")
        result["denied"] = parse_qs(urlsplit(page.url).query)["error"]
        page.goto(authorization_url(redirect, redirect_uri="https://evil.test/cb"))
        result["a_foreign_redirect_stays_here"] = page.url.startswith(AUTHORIZE)
        looked_at(page, "refused", findings)
        # What axe says of a page that is broken on purpose: if nothing, all of the above says nothing.
        page.evaluate("() => document.querySelector('main').append(new Image())")
        result["axe_can_find"] = [found["id"] for found in Axe().run(page).response["violations"]]

        # Without any script.
        page = browser.new_context(ignore_https_errors=True, java_script_enabled=False).new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(authorization_url(redirect))
        ready(page, "username")
        page.keyboard.type(USERNAME)
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Allow").wait_for()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url(redirect + "*")
        back = parse_qs(urlsplit(page.url).query)
        result["without_scripts"] = {"code": back["code"][0], "state": back["state"][0], "iss": back["iss"][0]}
        result |= {"redirect": redirect, "verifier": VERIFIER}

        # Somebody who is signed in is asked for the consent alone.
        page.goto(authorization_url(redirect))
        result["signed_in_is_not_asked_again"] = page.get_by_label("Password").count() == 0
        result["cookies"] = [
            [cookie["name"], cookie["httpOnly"], cookie["secure"], cookie["sameSite"]] for cookie in page.context.cookies()
        ]
        browser.close()
    result |= {"axe": findings, "tab_order": order, "blocked": [line for line in blocked if "status of 40" not in line]}
    print(json.dumps(result))


main()
