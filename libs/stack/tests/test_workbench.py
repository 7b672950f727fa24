import json
import signal
import smtplib
import socket

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet
from rapport_stack.workbench import Workbench


def test_everything_is_served_where_the_file_says(workbench):
    written = json.loads((workbench.folder / "workbench.json").read_text())
    assert written["url"] == written["issuer"] == written["otlp_endpoint"] == workbench.url
    assert written["smtp"] == {"host": "127.0.0.1", "port": workbench.smtp_port}

    metadata = httpx.get(f"{written['issuer']}/.well-known/openid-configuration").raise_for_status().json()
    assert metadata["issuer"] == written["issuer"]
    with smtplib.SMTP(written["smtp"]["host"], written["smtp"]["port"], timeout=10) as smtp:
        assert smtp.noop()[0] == 250

    keys = KeySet.import_key_set(httpx.get(metadata["jwks_uri"]).json())
    token = workbench.issuer().token("someone", ["auditor"])
    assert jwt.decode(token, keys, algorithms=["ES256"]).claims["iss"] == written["issuer"]


def test_the_index_lists_what_is_there(start_workbench):
    started = start_workbench("--link", "Registry <API>=http://127.0.0.1:8001/docs")
    page = httpx.get(started.bench.url).raise_for_status().text
    assert '<a href="http://127.0.0.1:8001/docs">Registry &lt;API&gt;</a>' in page
    assert 'href="/inbox"' in page


def test_sigterm_stops_it_cleanly_and_a_restart_keeps_the_address(start_workbench):
    first = start_workbench()
    with httpx.Client() as kept_alive:
        kept_alive.get(first.bench.url).raise_for_status()
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(timeout=15) == 0
    assert first.process.stderr.read() == ""
    assert Workbench.read(first.bench.folder) is None

    second = start_workbench()
    assert (second.bench.url, second.bench.smtp_port) == (first.bench.url, first.bench.smtp_port)


def test_it_stops_when_its_lifeline_is_cut(start_workbench):
    started = start_workbench("--lifeline")
    started.process.stdin.write("still here\n")
    started.process.stdin.flush()
    httpx.get(started.bench.url).raise_for_status()
    started.process.stdin.close()
    assert started.process.wait(timeout=15) == 0


def test_a_killed_one_is_not_taken_for_a_running_one(start_workbench):
    started = start_workbench()
    started.process.kill()
    started.process.wait(timeout=15)
    assert (started.bench.folder / "workbench.json").exists()
    assert Workbench.read(started.bench.folder) is None


def test_a_taken_port_is_named(launch_workbench):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = launch_workbench("--port", str(port))
        _, errors = process.communicate(timeout=15)
    assert process.returncode == 1
    assert f"Port {port} is taken" in errors
