"""The host's probes as far as the corpus uses them: http, tcp, log and command, with the settings of the host's plugins."""

import http.client
import json
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request

UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0}


def seconds(span):
    """A span such as `250 ms` or `4 s`."""
    number, unit = re.fullmatch(r"(\d+(?:\.\d+)?) ?(ms|s|min)", span).groups()
    return float(number) * UNITS[unit]


def ask(health, service):
    """What is wrong with the service, in words, or None if it is well."""
    limit = seconds(health["timeout"])
    settings = health.get("settings", {})
    try:
        if "command" in health:
            return _command(health["command"], service, limit)
        if "log" in health:
            return _log(settings, service.output)
        address = health["address"]
        if address.startswith("http://"):
            return _http(settings, address, limit)
        return _tcp(settings, address.removeprefix("tcp://"), limit)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return f"{type(problem).__name__}: {problem}"


def _http(settings, address, limit):
    began = time.monotonic()
    try:
        with urllib.request.urlopen(address, timeout=limit) as answer:
            status, body = answer.status, answer.read(64 * 1024)
    except urllib.error.HTTPError as problem:
        with problem:
            status, body = problem.code, problem.read(64 * 1024)
    except (ValueError, http.client.HTTPException) as problem:
        return f"no answer: {problem!r}"
    took = time.monotonic() - began
    if status not in settings.get("status", range(200, 300)):
        return f"status {status}: {body[:200]!r}"
    if "contains" in settings and settings["contains"].encode() not in body:
        return f"the body does not contain `{settings['contains']}`: {body[:200]!r}"
    if "json" in settings:
        try:
            found = _pointed(json.loads(body), settings["json"]["pointer"])
        except (ValueError, LookupError, TypeError):
            return f"no such JSON: {body[:200]!r}"
        if found != settings["json"]["equals"]:
            return f"JSON is {found!r}, not {settings['json']['equals']!r}"
    if took * 1000 > settings.get("max_latency_ms", float("inf")):
        return f"took {took * 1000:.0f} ms"
    return None


def _pointed(document, pointer):
    for part in pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _tcp(settings, address, limit):
    host, port = address.rsplit(":", 1)
    ends, received = time.monotonic() + limit, b""
    with socket.create_connection((host, int(port)), limit) as connection:
        connection.sendall(settings.get("send", "").encode())
        expected = settings.get("expect", "").encode()
        while expected not in received:
            connection.settimeout(max(0.001, ends - time.monotonic()))
            piece = connection.recv(8192)
            if not piece or len(received) > 8192:
                return f"sent {received[:200]!r} without {expected!r}"
            received += piece
    return None


def _log(settings, output):
    text = output.read_bytes()[-64 * 1024 :].decode(errors="replace")
    if settings.get("contains", "") not in text:
        return f"the log does not contain `{settings['contains']}`"
    if "absent" in settings and settings["absent"] in text:
        return f"the log contains `{settings['absent']}`"
    age = time.time() - os.stat(output).st_mtime
    if age > settings.get("max_age_seconds", float("inf")):
        return f"the log was last written {age:.1f} s ago"
    return None


def _command(argv, service, limit):
    done = subprocess.run(argv, cwd=service.directory, env=service.env, capture_output=True, timeout=limit)
    return None if done.returncode == 0 else f"exit code {done.returncode}: {done.stdout[-200:]!r}"
