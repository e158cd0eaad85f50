"""`python3 -m gauge`: on 127.0.0.1, measurements (UDP) and figures (HTTP) at `PORT`, control (UDP) at `CONTROL_PORT`."""

import os

from gauge.server import serve

serve(int(os.environ["PORT"]), int(os.environ["CONTROL_PORT"]))
