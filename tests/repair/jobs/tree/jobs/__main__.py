"""`python3 -m jobs`: serves on 127.0.0.1; jobs at `PORT`, figures for operators at `ADMIN_PORT`."""

import os

from jobs.server import serve

serve(int(os.environ["PORT"]), int(os.environ["ADMIN_PORT"]))
