"""What cannot be done in the sandbox, and how it is noticed. A test that needed it says nothing, whatever it came to: one that
fails may be sound, and one that passes may have been content with an error.

Threads, sockets and processes announce themselves to an audit hook, which no Python code can take away again. What never
gets that far here (event loops, `subprocess`) is stopped and noted at its beginning. What is missing altogether shows in the
exception: a module of the standard library, or a function of `os`, that this interpreter does not have.
"""

import asyncio.selector_events
import errno
import io
import os
import subprocess
import sys

EVENTS = {
    "_thread.start_new_thread": "threads",
    "_thread.start_joinable_thread": "threads",
    "socket.__new__": "sockets",
    "socket.getaddrinfo": "sockets",
    "socket.gethostbyname": "sockets",
    "os.system": "processes",
    "os.fork": "processes",
    "os.forkpty": "processes",
    "os.exec": "processes",
    "os.posix_spawn": "processes",
    "os.spawn": "processes",
    "pty.spawn": "processes",
}

# Events about files, with the places of the paths that they would change.
CHANGES = {
    "os.mkdir": (0,),
    "os.rmdir": (0,),
    "os.remove": (0,),
    "os.rename": (0, 1),
    "os.link": (1,),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.utime": (0,),
}

# Without the bit that says reading, where that is one.
WRITING = (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND) & ~os.O_RDONLY

FILES = "files to be written outside of temporary directories"

# What these modules have on Linux and not here. A name that is not in this table is a mistake of whoever wrote it.
LACKING = {
    "os": """abort chown chroot cpu_count ctermid dup dup2 execl execle execlp execlpe execv execve execvp execvpe fchdir
        fchmod fchown fork forkpty getegid geteuid getgid getgrouplist getgroups getloadavg getlogin getpgid getpgrp getppid
        getpriority getresgid getresuid getsid getuid getxattr kill killpg lchown lockf login_tty memfd_create mkfifo mknod
        nice openpty pidfd_open pipe pipe2 popen posix_openpt posix_spawn posix_spawnp register_at_fork sched_getaffinity
        sched_setaffinity sched_yield sendfile set_blocking setegid seteuid setgid setgroups setpgid setpriority setregid
        setresgid setresuid setreuid setsid setuid setxattr spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe
        statvfs sync system tcgetpgrp tcsetpgrp times ttyname umask uname unshare wait wait3 wait4 waitid waitpid waitstatus_to_exitcode""",
    "signal": """alarm getitimer pause pthread_kill pthread_sigmask raise_signal set_wakeup_fd setitimer siginterrupt sigpending
        sigtimedwait sigwait sigwaitinfo SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGTERM SIGUSR1 SIGUSR2""",
    "socket": """AF_UNIX create_connection create_server fromfd getaddrinfo gethostbyname gethostname getfqdn socketpair
        SO_REUSEADDR SO_REUSEPORT""",
    "select": "epoll poll select",
    "time": "clock_settime pthread_getcpuclockid tzset thread_time",
}
LACKING = {module: frozenset(names.split()) for module, names in LACKING.items()}


def nowhere():
    """A text file that forgets: what tests print is nobody's result."""

    class Nowhere(io.RawIOBase):
        def writable(self):
            return True

        def write(self, data):
            return len(data)

    return io.TextIOWrapper(io.BufferedWriter(Nowhere()), encoding="utf-8", errors="backslashreplace", newline="\n")


def _hook():
    """The audit hook, and the two functions with which a call uses it. Nothing holds what it notes but these functions."""
    noted = set()
    ours = [None]

    def hook(event, arguments):
        needed = EVENTS.get(event)
        if needed is not None:
            noted.add(needed)
        elif ours[0] is not None:
            if event == "open":
                if isinstance(arguments[2], int) and arguments[2] & WRITING and ours[0](arguments[0]):
                    noted.add(FILES)
            else:
                for place in CHANGES.get(event, ()):
                    if ours[0](arguments[place]):
                        noted.add(FILES)

    def note(needed):
        noted.add(needed)

    def take():
        taken = sorted(noted)
        noted.clear()
        return taken

    def begin(is_ours):
        ours[0] = is_ours
        noted.clear()

    sys.addaudithook(hook)
    return note, take, begin


_note, _take, _begin = _hook()


def _stop(needed, note=_note):
    """What stands for a function that would go wrong later and not tell."""

    def stopped(self, *_, **__):
        note(needed)
        raise OSError(errno.ENOTSUP, f"there are no {needed} in this sandbox")

    return stopped


def _leave(code=1):
    """What stands for a function that would end the evaluator in the middle."""
    raise SystemExit(code)


os._exit = _leave
subprocess.Popen.__init__ = _stop("processes")
asyncio.selector_events.BaseSelectorEventLoop.__init__ = _stop("event loops")


class Watch:
    """What the code under test has reached for since it was last asked."""

    def __init__(self, root, scratch):
        scratch = scratch.rstrip("/")

        def is_ours(path):
            # File descriptors were opened, and noted, before.
            if isinstance(path, bytes):
                path = path.decode("utf-8", "replace")
            if not isinstance(path, str):
                return False
            whole = os.path.normpath(os.path.join(root, path))
            return whole != scratch and not whole.startswith(scratch + "/")

        _begin(is_ours)
        self.take = _take


def missing(error):
    """What an exception says is missing in the sandbox, in words; nothing if it says something else."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        found = _missing(error)
        if found:
            return found
        error = error.__cause__ or error.__context__
    return None


def _missing(error):
    if isinstance(error, AttributeError):
        module = getattr(error.obj, "__name__", None) if type(error.obj) is type(os) else None
        if module in LACKING and error.name in LACKING[module]:
            return f"`{module}.{error.name}`"
    if isinstance(error, ModuleNotFoundError):
        top = (error.name or "").partition(".")[0]
        if top in sys.stdlib_module_names and not _has(top):
            return f"the module `{error.name}` of the standard library"
    if isinstance(error, ImportError) and error.name in LACKING and error.name_from in LACKING[error.name]:
        return f"`{error.name}.{error.name_from}`"
    if type(error).__name__ == "ZoneInfoNotFoundError" and type(error).__module__.startswith("zoneinfo"):
        return "time zone data"
    return None


def _has(top, known=frozenset(sys.builtin_module_names)):
    """Whether a module of this name can be had; one that is there lacks something else, by the same name."""
    return top in known or top in sys.modules


def in_words(needed):
    """Why a test cannot be run."""
    return f"needs {', '.join(needed)}: not in this sandbox"
