"""The page in a network namespace that has a loopback and nothing else: what it needs is on the host itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PASSWORD
from tests.folders import Store

# In the namespace: no route anywhere; log in, look at everything, export the report.
_INSIDE = """
import re, sys, socket, subprocess, threading, urllib.request, http.cookiejar, urllib.parse
from pathlib import Path
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
try:
    socket.create_connection(("192.0.2.1", 80), 2)
    sys.exit("the namespace reaches other hosts")
except OSError:
    pass
names = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout.splitlines()
assert len(names) == 1, names
from thermograph_gateway.accounts import Accounts
from thermograph_gateway.cli import opened_catalogue
from thermograph_gateway.options import parser
from thermograph_gateway.service import run, server_for
from thermograph_gateway.web import create_app
import time
catalogue = opened_catalogue(parser().parse_args(["verify", *sys.argv[2:]]))
Accounts(catalogue.ledger, time.time).add("reader", "reader", sys.argv[1])
server = server_for(create_app(catalogue), "127.0.0.1", 0, None, None)
ready = threading.Event()
threading.Thread(target=run, args=(server, ready), daemon=True).start()
assert ready.wait(60)
base = f"http://127.0.0.1:{server.bind_addr[1]}"
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
def get(path, **form):
    data = urllib.parse.urlencode(form).encode() if form else None
    return opener.open(base + path, data, timeout=60).read().decode("latin-1")
token = re.search('name="csrf" value="([^"]+)"', get("/login")).group(1)
page = get("/login", csrf=token, name="reader", password=sys.argv[1])
assert "4 captures, newest first" in page, page
seen, waiting = set(), ["/"]
while waiting:
    path = waiting.pop()
    if path in seen or path in ("/logout", "/compare"):
        continue
    seen.add(path)
    text = get(path)
    for found in re.findall(r'(?:href|src|action|data-values)="([^"#]+)', text):
        assert found.startswith("/"), found
        if not found.endswith(("/logout", "/reading", "/answer", "/answer/confirmed")):
            waiting.append(found.replace("&amp;", "&"))
assert len(seen) > 15, seen
print(len(seen), "addresses of the page, all on the host")
"""


def test_the_page_needs_no_other_host(received: Store, tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    assert unshare
    allowed = subprocess.run([unshare, "--net", "--map-root-user", "true"], capture_output=True, check=False)
    if allowed.returncode != 0:
        pytest.skip("this machine gives no network namespace to a test")
    answer = subprocess.run(
        [unshare, "--net", "--map-root-user", sys.executable, "-c", _INSIDE, PASSWORD, *received.arguments(tmp_path / "state")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "all on the host" in answer.stdout
