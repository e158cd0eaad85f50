"""`python3 -m spool`: works in the directory that `SPOOL` names, which is made if it is not there."""

import os
import pathlib

from spool.worker import Worker, settings

Worker(pathlib.Path(os.environ["SPOOL"]), **settings()).run()
