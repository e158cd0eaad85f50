"""What the operator may say; the host has checked it against `settings.schema.json`, and a plugin run by hand may not have been."""

import json

KEYS = {"start", "pattern", "path"}


class Settings:
    """Where tests are, what they are called, and from where modules are imported."""

    def __init__(self, start, pattern, path):
        self.start, self.pattern, self.path = start, pattern, path


def parse(text):
    """Settings from JSON; a `ValueError` says what is wrong."""
    given = json.loads(text or "{}")
    if not isinstance(given, dict):
        raise ValueError("not an object")
    unknown = sorted(set(given) - KEYS)
    if unknown:
        raise ValueError(f"unknown field `{unknown[0]}`, expected one of {', '.join(sorted(KEYS))}")
    pattern = given.get("pattern", "test*.py")
    if not isinstance(pattern, str) or not pattern or "/" in pattern:
        raise ValueError("`pattern` is not the name of a file")
    return Settings(directories(given, "start", ["."]), pattern, directories(given, "path", [".", "src"]))


def directories(given, key, default):
    """A list of directories inside of the tree."""
    value = given.get(key, default)
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise ValueError(f"`{key}` is not a list of directories")
    for name in value:
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"`{key}`: `{name}` leads out of the component")
    return value
