/* Preloaded, moves the time of day by LAB_CLOCK_S seconds for all but Ray's own code; see hosts.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset(void *caller)
{
    const char *text = getenv("LAB_CLOCK_S");
    Dl_info from;
    if (!text || !dladdr(caller, &from) || !from.dli_fname)
        return 0;
    /* Ray waits until moments of this clock, which the kernel knows better; its C++ asks through libstdc++, too. */
    if (strstr(from.dli_fname, "raylet") || strstr(from.dli_fname, "gcs_server") || strstr(from.dli_fname, "libstdc++"))
        return 0;
    return atol(text);
}

int clock_gettime(clockid_t id, struct timespec *at)
{
    int failed = syscall(SYS_clock_gettime, id, at);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        at->tv_sec += offset(__builtin_return_address(0));
    return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    int failed = syscall(SYS_gettimeofday, at, zone);
    if (!failed)
        at->tv_sec += offset(__builtin_return_address(0));
    return failed;
}

time_t time(time_t *to)
{
    struct timespec at;
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &at);
    at.tv_sec += offset(__builtin_return_address(0));
    if (to)
        *to = at.tv_sec;
    return at.tv_sec;
}
