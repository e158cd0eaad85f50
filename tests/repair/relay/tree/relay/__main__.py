"""`python3 -m relay`: serves on 127.0.0.1, at the port that `PORT` names."""

import asyncio
import os

from relay.server import Server

asyncio.run(Server(int(os.environ["PORT"])).serve())
