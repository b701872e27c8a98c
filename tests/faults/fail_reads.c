/* Preloaded into a command, makes one of its positioned reads go wrong, to see what the command says then.
 *
 * FAULT_UNDER   only files below this folder count
 * FAULT_LOG     a line for every read that counts: its number, the offset, the path, and HIT where it went wrong
 * FAULT_AT      number of the read that goes wrong, from 1; 0 for none
 * FAULT_KIND    eio: the read fails; cut: the file ends in the middle of it; grow: a byte is added to the file;
 *               write: the file's bytes from there on are overwritten; nomap: every map is refused (FAULT_AT is not used)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int number;

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    const char *under = getenv("FAULT_UNDER");
    if (n <= 0 || !under) return 0;
    path[n] = 0;
    return strncmp(path, under, strlen(under)) == 0;
}

static void change(const char *kind, const char *path, off64_t offset, size_t count) {
    if (!strcmp(kind, "cut")) {
        struct stat64 there;
        if (stat64(path, &there)) abort();
        off64_t left = there.st_size - offset;
        if (left > (off64_t)count) left = (off64_t)count;
        if (truncate64(path, left > 1 ? offset + left / 2 : there.st_size / 2)) abort();
        return;
    }
    int fd = open(path, O_WRONLY | (strcmp(kind, "grow") ? 0 : O_APPEND));
    if (fd < 0) abort();
    const char zeros[64] = {0};
    size_t n = strcmp(kind, "grow") ? sizeof zeros : 1;
    if (strcmp(kind, "grow")) lseek64(fd, offset, SEEK_SET);
    if (write(fd, zeros, n) != (ssize_t)n) abort();
    close(fd);
}

ssize_t pread64(int fd, void *buf, size_t count, off64_t offset) {
    static ssize_t (*real)(int, void *, size_t, off64_t);
    if (!real) real = (ssize_t(*)(int, void *, size_t, off64_t))dlsym(RTLD_NEXT, "pread64");
    char path[PATH_MAX];
    const char *kind = getenv("FAULT_KIND"), *at = getenv("FAULT_AT"), *log = getenv("FAULT_LOG");
    if (!kind || !at || !log || !path_of(fd, path)) return real(fd, buf, count, offset);
    int this = __atomic_add_fetch(&number, 1, __ATOMIC_SEQ_CST);
    int hit = this == atoi(at);
    char line[PATH_MAX + 64];
    int n = snprintf(line, sizeof line, "%d %lld %s%s\n", this, (long long)offset, path, hit ? " HIT" : "");
    int out = open(log, O_WRONLY | O_APPEND | O_CREAT, 0644);
    if (out < 0 || write(out, line, n) != n) abort();
    close(out);
    if (hit && !strcmp(kind, "eio")) {
        errno = EIO;
        return -1;
    }
    if (hit) change(kind, path, offset, count);
    return real(fd, buf, count, offset);
}

ssize_t pread(int fd, void *buf, size_t count, off_t offset) {
    return pread64(fd, buf, count, offset);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
    static void *(*real)(void *, size_t, int, int, int, off64_t);
    if (!real) real = (void *(*)(void *, size_t, int, int, int, off64_t))dlsym(RTLD_NEXT, "mmap64");
    char path[PATH_MAX];
    const char *kind = getenv("FAULT_KIND");
    if (kind && !strcmp(kind, "nomap") && fd >= 0 && path_of(fd, path)) {
        errno = ENODEV;
        return MAP_FAILED;
    }
    return real(address, length, protection, flags, fd, offset);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    return mmap64(address, length, protection, flags, fd, offset);
}
