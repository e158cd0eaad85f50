"""Which modules of the standard library there are in the sandbox: these, all that is below those of them that are packages, and
all that they import. No other can be imported, because there are no files to import it from.

Left out: what needs an operating system that is not there (`multiprocessing`, `ssl`, `bz2`, `curses`, `fcntl`, `resource`, …), and
tools for people (`idlelib`, `pydoc`, `tkinter`, `venv`). The build fails when one of these cannot be imported.
"""

import importlib
import pkgutil
import sys

MODULES = """
    __future__ _strptime _threading_local abc argparse array ast asyncio atexit base64 bdb binascii bisect builtins cProfile calendar
    cmath cmd code codecs codeop collections colorsys compileall concurrent configparser contextlib contextvars copy copyreg csv
    dataclasses datetime dbm decimal difflib dis doctest email encodings enum errno faulthandler filecmp fileinput fnmatch fractions
    ftplib functools gc getopt getpass gettext glob graphlib gzip hashlib heapq hmac html http imaplib importlib inspect io ipaddress
    itertools json keyword linecache locale logging mailbox marshal math mimetypes modulefinder netrc ntpath numbers opcode operator
    optparse os pathlib pdb pickle pickletools pkgutil platform plistlib poplib posixpath pprint profile pstats py_compile pyclbr
    queue quopri random re reprlib rlcompleter runpy sched secrets select selectors shelve shlex shutil signal site smtplib socket
    socketserver sqlite3 stat statistics string stringprep struct subprocess symtable sys sysconfig tabnanny tarfile tempfile
    textwrap threading time timeit token tokenize tomllib trace traceback tracemalloc types typing unicodedata unittest urllib uuid
    warnings wave weakref webbrowser wsgiref xml xmlrpc zipapp zipfile zipimport zlib zoneinfo
"""

# Parts of packages that are of no use, or that do something when they are imported.
WITHOUT = (
    ".__main__",
    "asyncio.tools",
    "asyncio.windows",
    "concurrent.futures.interpreter",
    "concurrent.futures.process",
    "concurrent.interpreters",
    "ctypes",
    "dbm.gnu",
    "dbm.ndbm",
    "encodings.bz2_codec",
    "encodings.mbcs",
    "encodings.oem",
)

# What an interpreter that runs `python -m unittest` has loaded before it looks into the tree: a module of such a name in the tree
# is hidden there as it is here. For every other name the tree's module wins.
BEFORE = frozenset(
    """
    __future__ _abc _ast _bisect _codecs _collections _collections_abc _contextvars _functools _heapq _imp _io _json _opcode
    _operator _random _signal _sre _stat _string _struct _thread _tokenize _typing _warnings _weakref _weakrefset abc argparse ast
    asyncio bisect builtins codecs collections contextlib contextvars copyreg dataclasses difflib dis encodings enum errno fnmatch
    functools genericpath gettext heapq importlib inspect io itertools keyword linecache locale logging marshal math opcode operator
    os posix posixpath pprint random re reprlib selectors signal site socket stat string struct subprocess sys textwrap threading time
    token tokenize traceback types typing unittest warnings weakref zipimport
    """.split()
)


def load():
    """Imports all of them."""
    for name in MODULES.split():
        module = importlib.import_module(name)
        for part in pkgutil.walk_packages(getattr(module, "__path__", ()), name + "."):
            if not any(word in part.name for word in WITHOUT):
                importlib.import_module(part.name)
    # Where they came from is not there any more.
    sys.path.clear()
    sys.path_importer_cache.clear()
