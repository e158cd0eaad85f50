/*
 * What disks and clocks do to a process, done to the host and its launcher: the tests load this into them (LD_PRELOAD). It
 * stands between them and the C library, so SQLite and Rust's own files meet it alike. It is never part of the product.
 *
 * RAZAR_FAULTS names a file, which is read at every call:
 *
 *     clock SECONDS                       the wall clock says so much more
 *     CALL PART SKIP TIMES ERRNO          calls on paths with PART in them fail, after SKIP of them, so many times
 *
 * CALL is open (for writing), write, sync, truncate, rename, unlink or mkdir. An ERRNO of 0 lets a write do half of it.
 * Every failure is a line in `<file>.done`.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RULES 8
#define HALF (-1)

/* The C library's own function of this name. */
#define NEXT(type, name)                                          \
    static __typeof__(type) next;                                      \
    if (!next)                                                    \
        next = (type)dlsym(RTLD_NEXT, name)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char known[1024];
static unsigned long passed[RULES];

static ssize_t plan(char *text, size_t size)
{
    const char *file = getenv("RAZAR_FAULTS");
    if (!file)
        return 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    ssize_t length = syscall(SYS_read, fd, text, size - 1);
    syscall(SYS_close, fd);
    if (length <= 0)
        return 0;
    text[length] = 0;
    return length;
}

static void tell(const char *call, const char *path, int number)
{
    char name[512], line[1024];
    snprintf(name, sizeof name, "%s.done", getenv("RAZAR_FAULTS"));
    int length = snprintf(line, sizeof line, "%s %s %d\n", call, path, number);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    syscall(SYS_write, fd, line, (size_t)length);
    syscall(SYS_close, fd);
}

/* 0: it may be done; HALF: half of it; otherwise the error it ends with. */
static int verdict(const char *call, const char *path)
{
    int before = errno, found = 0;
    char text[sizeof known], *rest = text;
    if (plan(text, sizeof text) == 0) {
        errno = before;
        return 0;
    }
    pthread_mutex_lock(&lock);
    if (strcmp(text, known) != 0) {
        strcpy(known, text);
        memset(passed, 0, sizeof passed);
    }
    for (int rule = 0; rule < RULES && !found; rule++) {
        char *line = strsep(&rest, "\n"), name[16], part[256];
        unsigned long skip, times;
        int number;
        if (!line)
            break;
        if (sscanf(line, "%15s %255s %lu %lu %d", name, part, &skip, &times, &number) != 5)
            continue;
        if (strcmp(name, call) != 0 || !strstr(path, part))
            continue;
        unsigned long count = passed[rule]++;
        if (count >= skip && count - skip < times)
            found = number ? number : HALF;
    }
    pthread_mutex_unlock(&lock);
    if (found)
        tell(call, path, found);
    errno = before;
    return found;
}

static int verdict_fd(const char *call, int fd)
{
    int before = errno;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length <= 0)
        return 0;
    path[length] = 0;
    return verdict(call, path);
}

/* Ends a function with an error if there is to be one. */
#define REFUSE(found)                                             \
    do {                                                          \
        int number = (found);                                     \
        if (number > 0) {                                         \
            errno = number;                                       \
            return -1;                                            \
        }                                                         \
    } while (0)

static int to_open(const char *path, int flags)
{
    return (flags & O_ACCMODE) == O_RDONLY && !(flags & O_CREAT) ? 0 : verdict("open", path);
}

#define OPEN(symbol)                                              \
    int symbol(const char *path, int flags, ...)                  \
    {                                                             \
        NEXT(int (*)(const char *, int, mode_t), #symbol);        \
        va_list more;                                             \
        va_start(more, flags);                                    \
        mode_t mode = va_arg(more, mode_t);                       \
        va_end(more);                                             \
        REFUSE(to_open(path, flags));                             \
        return next(path, flags, mode);                           \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(symbol)                                            \
    int symbol(int dir, const char *path, int flags, ...)         \
    {                                                             \
        NEXT(int (*)(int, const char *, int, mode_t), #symbol);   \
        va_list more;                                             \
        va_start(more, flags);                                    \
        mode_t mode = va_arg(more, mode_t);                       \
        va_end(more);                                             \
        REFUSE(to_open(path, flags));                             \
        return next(dir, path, flags, mode);                      \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *bytes, size_t size)
{
    NEXT(ssize_t (*)(int, const void *, size_t), "write");
    int found = verdict_fd("write", fd);
    REFUSE(found);
    return next(fd, bytes, found == HALF && size > 1 ? size / 2 : size);
}

#define PWRITE(symbol)                                                        \
    ssize_t symbol(int fd, const void *bytes, size_t size, off_t at)          \
    {                                                                         \
        NEXT(ssize_t (*)(int, const void *, size_t, off_t), #symbol);         \
        int found = verdict_fd("write", fd);                                  \
        REFUSE(found);                                                        \
        return next(fd, bytes, found == HALF && size > 1 ? size / 2 : size, at); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define ON_FD(symbol, call)                                       \
    int symbol(int fd)                                            \
    {                                                             \
        NEXT(int (*)(int), #symbol);                              \
        REFUSE(verdict_fd(call, fd));                             \
        return next(fd);                                          \
    }
ON_FD(fsync, "sync")
ON_FD(fdatasync, "sync")

#define TRUNCATE(symbol)                                          \
    int symbol(int fd, off_t size)                                \
    {                                                             \
        NEXT(int (*)(int, off_t), #symbol);                       \
        REFUSE(verdict_fd("truncate", fd));                       \
        return next(fd, size);                                    \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

int rename(const char *from, const char *to)
{
    NEXT(int (*)(const char *, const char *), "rename");
    REFUSE(verdict("rename", to));
    return next(from, to);
}

int unlink(const char *path)
{
    NEXT(int (*)(const char *), "unlink");
    REFUSE(verdict("unlink", path));
    return next(path);
}

int mkdir(const char *path, mode_t mode)
{
    NEXT(int (*)(const char *, mode_t), "mkdir");
    REFUSE(verdict("mkdir", path));
    return next(path, mode);
}

static long ahead(void)
{
    char text[sizeof known], *line;
    if (plan(text, sizeof text) == 0 || !(line = strstr(text, "clock ")))
        return 0;
    return atol(line + strlen("clock "));
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    NEXT(int (*)(clockid_t, struct timespec *), "clock_gettime");
    int result = next(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int before = errno;
        now->tv_sec += ahead();
        errno = before;
    }
    return result;
}

int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec exact;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &exact) != 0)
        return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now)
{
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now)
        *now = exact.tv_sec;
    return exact.tv_sec;
}
