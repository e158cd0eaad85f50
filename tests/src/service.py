"""A small service whose behavior is written in its environment. It listens on HOST:PORT and answers HTTP.

Every start and clean stop is a line in SCENE/events: the word, NAME, the pid, and what marks the launch. A start while
another process of NAME lives is a line with the word `twice`. Files in SCENE steer it while it runs:
`NAME.crash` makes it exit with code 70, once; `NAME.sick` makes it answer 503 while it exists.
"""

import fcntl
import os
import select
import signal
import socket
import sys
import time

BEGAN = time.monotonic()
NAME, SCENE = os.environ["NAME"], os.environ["SCENE"]
MARKER = os.environ.get("RAZAR_INSTANCE", "-")
ready_after = float(os.environ.get("READY_AFTER", "0"))
healthy_from = int(os.environ.get("HEALTHY_FROM_START", "1"))
behavior = os.environ.get("BEHAVIOR", "")  # never, flap, stubborn, gated
answers = 0


def event(word):
    file = os.open(f"{SCENE}/events", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, f"{word} {NAME} {os.getpid()} {MARKER}\n".encode())
    os.close(file)


def starts():
    with open(f"{SCENE}/events", encoding="utf-8") as lines:
        return sum(line.split()[:2] == ["start", NAME] for line in lines)


def stop(_signal, _frame):
    event("stop")
    os._exit(0)


def healthy():
    global answers
    if behavior == "never" or start < healthy_from or time.monotonic() - BEGAN < ready_after:
        return False
    if os.path.exists(f"{SCENE}/{NAME}.sick"):
        return False
    if behavior == "gated" and not os.path.exists(f"{SCENE}/{NAME}.open"):
        return False
    answers += 1
    return behavior != "flap" or answers % 2 == 1


def answer(connection):
    connection.settimeout(2)
    try:
        connection.recv(4096)
        status, word = ("200 OK", "ready") if healthy() else ("503 Service Unavailable", "unwell")
        body = f'{{"status": "{word}", "name": "{NAME}"}}'
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        connection.sendall((head + body).encode())
    except OSError:
        pass
    finally:
        connection.close()


def alone():
    """Held until the kernel has taken this process apart."""
    lock = os.open(f"{SCENE}/{NAME}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        event("twice")


alone()
signal.signal(signal.SIGTERM, signal.SIG_IGN if behavior == "stubborn" else stop)
event("start")
start = starts()
listener = socket.create_server((os.environ["HOST"], int(os.environ["PORT"])))
print(f"{NAME} started, start {start}", flush=True)
while True:
    if os.path.exists(f"{SCENE}/{NAME}.crash"):
        os.unlink(f"{SCENE}/{NAME}.crash")
        print("RuntimeError: lost the upstream connection", flush=True)
        os._exit(70)
    if select.select([listener], [], [], 0.02)[0]:
        answer(listener.accept()[0])
