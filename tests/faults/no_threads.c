/* Preloaded into a command, refuses it threads as a system does that is at its limit on processes.
 *
 * THREADS_ALLOWED   threads that still start
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

static int started;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*work)(void *), void *argument) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!real) real = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(RTLD_NEXT, "pthread_create");
    const char *allowed = getenv("THREADS_ALLOWED");
    if (allowed && __atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST) > atoi(allowed)) return EAGAIN;
    return real(thread, attributes, work, argument);
}
