"""`python3 -m orders`: serves on 127.0.0.1, at the port that `PORT` names."""

import os

from orders.server import serve

serve(int(os.environ["PORT"]))
