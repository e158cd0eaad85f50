"""`check.py PORT CONTROL_PORT`: sends measurements like any client and compares the figures. Exit code 0 is well, 2 is not."""

import http.client
import json
import os
import socket
import sys
import time


def figures(port):
    """What the service tells."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    connection.request("GET", "/figures")
    return json.loads(connection.getresponse().read())["figures"]


def complaint(port, control_port):
    """What is wrong, in words."""
    name = f"check.{os.urandom(4).hex()}.größe"
    lines = [f"{name}:{value}|ms" for value in range(1, 21)] + [f"{name}.gauge:-4|g"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(1)
        sender.sendto(b"no measurement\nx:y|c\nx:1|z\n\xff", ("127.0.0.1", port))
        sender.sendto(b"x:y|c\n" + "\n".join(lines).encode(), ("127.0.0.1", port))
        sender.sendto(b"PING", ("127.0.0.1", control_port))
        if sender.recv(100) != b"PONG":
            return "control does not answer"
    expected = ({"count": 20, "p50": 10.0, "p95": 19.0, "max": 20.0}, {"last": -4.0})
    for _ in range(8):
        found = figures(port)
        found = (found.get(name), found.get(f"{name}.gauge"))
        if found == expected:
            return None
        time.sleep(0.05)
    return f"the figures are {found}"


def main():
    """Says what is wrong."""
    try:
        problem = complaint(*map(int, sys.argv[1:3]))
    except (OSError, ValueError, http.client.HTTPException) as failure:
        problem = repr(failure)
    print(problem or "well")
    return 2 if problem else 0


sys.exit(main())
