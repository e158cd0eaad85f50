"""What the host's gate refuses by what a patch touches, as far as the corpus needs it. The real one is `razar-core`'s."""

import fnmatch
import re

PROTECTED = {
    "protected-tests": [
        "test", "tests", "fixtures", "test_*", "*_test.*", "conftest.py", "pytest.ini", "sitecustomize.*",
        "usercustomize.*", "*.pth",
    ],
    "protected-build": ["makefile", "tox.ini", "setup.py", "setup.cfg", "pyproject.toml"],
    "protected-ci": [".github", ".gitlab-ci.*", ".pre-commit-config.*"],
    "protected-config": ["boot_config*", "razar_*"],
    "protected-vcs": [".git", ".gitignore", ".gitattributes"],
    "protected-secrets": [".env", "*.env", "*.pem", "*.key", "secrets"],
    "protected-dependencies": ["site-packages", ".venv", "venv", "vendor", "__pycache__", "*.pyc"],
}
SKIPS = ["unittest.skip", "skipTest", "SkipTest", "skipIf", "skipUnless", "expectedFailure"]
RUNNERS = [
    "unittest", "pytest", "doctest", "conftest", "sitecustomize", "load_tests", "TestResult", "TextTestRunner",
    "settrace", "setprofile",
]
LIBRARY = ["asyncio", "codecs", "json", "logging", "random", "signal", "socket", "threading", "time", "unittest"]


def refusal(files, tree, patch):
    """The host's word for the first thing wrong with where a patch goes and what it reaches for; else None."""
    for diff in files:
        reason = _place(diff.path, patch)
        if reason:
            return reason
    for diff in files:
        if diff.kind == "delete":
            return "deletes-file"
        reason = _words(diff) or _shadow(diff, tree)
        if reason:
            return reason
    return None


def _place(path, patch):
    parts = path.lower().split("/")
    if path.startswith("/"):
        return "absolute-path"
    if ".." in parts:
        return "parent-path"
    for reason, patterns in PROTECTED.items():
        if any(fnmatch.fnmatchcase(part, pattern) for part in parts for pattern in patterns):
            return reason
    if any(_protects(pattern.lower(), parts) for pattern in patch.get("protect", [])):
        return "protected-operator"
    if not any(path == root or path.startswith(root + "/") for root in patch["roots"]):
        return "outside"
    return None


def _protects(pattern, parts):
    if "/" not in pattern:
        return any(fnmatch.fnmatchcase(part, pattern) for part in parts)
    wanted = pattern.strip("/").split("/")
    return len(parts) >= len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def _words(diff):
    came, gone = diff.added(), diff.removed()
    if _tests(came) < _tests(gone):
        return "removes-tests"
    for reason, words in (("skips-tests", SKIPS), ("steers-tests", RUNNERS)):
        for word in words:
            alone = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
            if sum(len(alone.findall(line)) for line in came) > sum(len(alone.findall(line)) for line in gone):
                return reason
    return None


def _tests(lines):
    return sum(line.strip().startswith(("def test_", "async def test_")) for line in lines)


def _shadow(diff, tree):
    folder, _, name = diff.path.rpartition("/")
    packaged = folder and f"{folder}/__init__.py" in tree
    if diff.kind == "create" and not packaged and name.removesuffix(".py") in LIBRARY:
        return "shadows-module"
    return None
