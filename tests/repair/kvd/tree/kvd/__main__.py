"""`python3 -m kvd`: serves on 127.0.0.1, at the port that `PORT` names."""

import os

from kvd.server import Server

server = Server(int(os.environ["PORT"]))
print(f"kvd: listening on {server.port}", flush=True)
server.serve()
