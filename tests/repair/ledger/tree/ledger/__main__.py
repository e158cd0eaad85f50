"""`python3 -m ledger`: serves on 127.0.0.1, at the port that `PORT` names."""

import os

from ledger.server import serve

serve(int(os.environ["PORT"]))
