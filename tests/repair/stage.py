"""Puts a bug where a host can be asked about it: the broken tree, and a boot configuration with its service alone.

    python3 tests/repair/stage.py SERVICE/BUG DIRECTORY

The directory gets `boot_config.json` and `service/`. Ports are always the same: every trial has a network of its own.
"""

import json
import pathlib
import sys

from judge import diffs
from verify import HERE, read_tree

PORT = 18_080


def stage(name, directory):
    """Writes it; what the bug deletes is not there."""
    service, _, bug = name.partition("/")
    home = HERE / service
    broken = diffs.apply(diffs.read((home / "bugs" / bug / "break.diff").read_text(encoding="utf-8")), read_tree(home / "tree"))
    for path, content in broken.items():
        file = directory / "service" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8", newline="")
    text = (home / "service.json").read_text(encoding="utf-8")
    component = json.loads(text.replace("{port2}", str(PORT + 1)).replace("{port}", str(PORT)))
    config = {"layers": ["all"], "components": [component | {"workdir": "service"}]}
    (directory / "boot_config.json").write_text(json.dumps(config, ensure_ascii=False, indent=2), encoding="utf-8")


if __name__ == "__main__":
    stage(sys.argv[1], pathlib.Path(sys.argv[2]))
