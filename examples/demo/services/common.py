"""What every demo service does the same way: say what happens on one line, and end cleanly on SIGTERM."""

import os
import signal
import sys
import threading
import time

NAME = os.environ.get("SERVICE_NAME", "service")
stopping = threading.Event()


def say(text):
    """One line on standard output, at once, with the time."""
    now = time.strftime("%H:%M:%S")
    print(f"{now} {NAME}: {text}", flush=True)


def number(variable, default):
    """A number from the environment; a bad one ends the service with a message instead of a traceback."""
    text = os.environ.get(variable, "")
    try:
        return float(text) if text else default
    except ValueError:
        say(f"{variable}={text!r} is not a number")
        sys.exit(2)


def on_stop(act=None):
    """SIGTERM and SIGINT set `stopping` and run `act` beside the main thread, which may be inside a server loop."""

    def handle(signum, _frame):
        stopping.set()
        if act is not None:
            threading.Thread(target=act, daemon=True).start()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
