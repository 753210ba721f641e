"""Signing in to a portal in a real browser (Debian's Chromium), at two providers of which one misbehaves.

    portal.py HOST PORT PROVIDER USERNAME PASSWORD

HOST is what the portal is called; the browser finds it at PORT on loopback. PROVIDER is where provider.py listens. Prints a JSON
object.
"""

import json
import sys
import urllib.request

from playwright.sync_api import sync_playwright

HOST, PORT, PROVIDER, USERNAME, PASSWORD = sys.argv[1:6]
PORTAL = f"https://{HOST}"
PATIENCE = 100_000
BROWSER = {
    "executable_path": "/usr/bin/chromium",
    "args": ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--host-resolver-rules=MAP {HOST}:443 127.0.0.1:{PORT}"],
}


def fetch(page, path, body=None, csrf=None, method="POST"):
    """What a script of the portal's own pages would do."""
    return page.evaluate(
        """async ([path, body, csrf, method]) => {
            const value = (document.cookie.split('; ').find(c => c.startsWith(csrf + '=')) || '').split('=')[1];
            const headers = { 'X-CSRF-Token': value || '', 'Content-Type': 'application/json' };
            const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
            return { status: answer.status, text: await answer.text() };
        }""",
        [path, body, csrf, method],
    )


def shown(page):
    return page.locator("body").inner_text()


def names(context):
    return sorted(cookie["name"] for cookie in context.cookies() if cookie["value"])


def allow(page):
    with page.expect_navigation(wait_until="load", url=PORTAL + "/**"):
        page.get_by_role("button", name="Allow").click()


def mode(word):
    urllib.request.urlopen(f"{PROVIDER}/mode?is={word}").read()


def at_home(context, result):
    """The portal's own provider."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    statuses = []
    page.on("response", lambda answer: statuses.append([answer.status, answer.url.split("?")[0].removeprefix(PORTAL)]))
    page.goto(PORTAL + "/portal/cases/7?open=1&all")
    result["way"] = statuses[:3]
    page.get_by_label("Name").fill(USERNAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Allow").wait_for()
    allow(page)
    result["arrived"] = [page.url.removeprefix(PORTAL), shown(page)]
    result["cookies"] = names(context)
    result["a_script_sees"] = sorted(pair.split("=")[0] for pair in page.evaluate("document.cookie").split("; "))
    result["made"] = fetch(page, "/portal/cases/8", {"title": "x"}, "portalcsrf")["status"]
    result["without_the_value"] = fetch(page, "/portal/cases/8", {"title": "x"}, "nothing")["status"]
    result["for_admins"] = fetch(page, "/portal/users/", method="GET", csrf="portalcsrf")["status"]
    result["signed_out"] = fetch(page, "/portal/logout", csrf="portalcsrf")["status"]
    result["cookies_then"] = names(context)
    answer = page.goto(PORTAL + "/portal/cases/7")
    result["then"] = [answer.status, page.url.split("?")[0].removeprefix(PORTAL)]
    page.close()


def elsewhere(context, result):
    """A foreign provider."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(PORTAL + "/portal/ctrlogin")
    result["foreign_page"] = page.url.startswith(PROVIDER)
    allow(page)
    result["registered_at"] = [page.url.removeprefix(PORTAL), shown(page)]
    made = fetch(page, "/portal/assets", {"uuid": "ctl-1"}, "registrationcsrf")
    result["asset"] = [made["status"], json.loads(made["text"])]
    result["status"] = json.loads(fetch(page, "/portal/assets/ctl-1", csrf="registrationcsrf", method="GET")["text"])["status"]
    page.close()


def misbehaving(browser, result):
    """The same provider in its other moods: what the browser shows, and which cookies it has."""
    for word in ("wrong-state", "wrong-issuer", "replayed", "slow", "down", "good"):
        context = browser.new_context(ignore_https_errors=True)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        mode(word)
        page.goto(PORTAL + "/portal/ctrlogin")
        with page.expect_navigation(wait_until="load", url=PORTAL + "/**") as arrived:
            page.get_by_role("button", name="Allow").click()
        session = "registration" in names(context)
        result[word] = [arrived.value.status, page.url.split("?")[0].removeprefix(PORTAL), session]
        if word == "replayed":
            result["shown"] = shown(page)
        context.close()


def main():
    result = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**BROWSER)
        context = browser.new_context(ignore_https_errors=True)
        at_home(context, result)
        elsewhere(context, result)
        misbehaving(browser, result)
        browser.close()
    print(json.dumps(result))


main()
