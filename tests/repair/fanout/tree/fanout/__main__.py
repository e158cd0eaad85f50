"""`python3 -m fanout`: serves on 127.0.0.1, at the port that `PORT` names."""

import asyncio
import os

from fanout.server import serve

asyncio.run(serve(int(os.environ["PORT"])))
