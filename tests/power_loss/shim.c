/*
 * The harshest legal disk, for one process: what it did not sync is gone when the power fails.
 *
 * Preloaded (LD_PRELOAD) into the server, this library stands between it and libc. For every file of the data folder
 * it keeps in another folder what the disk surely holds: a copy, made at every successful fsync. Only an fsync makes
 * content durable, lengths included. Names are durable at once: a file that was made and never synced is there and
 * empty, one that was unlinked is gone.
 *
 * Before every call that changes or syncs such a file, and after every sync, the power may fail: at the k-th of these
 * points the process kills itself. Whoever runs it then puts the copies in the place of the files.
 *
 * The -shm file is left alone: it is mapped memory, and nothing of it is durable.
 *
 *   POWER_LOSS_DATA     the data folder: an absolute path without symbolic links
 *   POWER_LOSS_DURABLE  the folder of the copies
 *   POWER_LOSS_POINTS   a file that gets one line for every point: the call, and the file's name
 *   POWER_LOSS_AT       the point at which the power fails; 0: never
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* `real`: the function of libc that ours stands before. */
#define REAL(result, name, ...)                                                     \
  static result (*real)(__VA_ARGS__);                                               \
  if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* What the shim cannot do is a fault of the test; nothing may go on as if all were well. */
static void give_up(const char *what) {
  dprintf(2, "power loss shim: %s: %s\n", what, strerror(errno));
  _exit(99);
}

static const char *setting(const char *name) {
  const char *value = getenv(name);
  if (!value) give_up(name);
  return value;
}

/* The file's name within the data folder, if its content is to survive a power loss; else NULL. */
static const char *name_of(const char *path) {
  const char *folder = setting("POWER_LOSS_DATA"), *name;
  size_t length = strlen(folder);
  if (strncmp(path, folder, length) || path[length] != '/') return NULL;
  name = path + length + 1;
  length = strlen(name);
  return length > 4 && !strcmp(name + length - 4, "-shm") ? NULL : name;
}

static const char *name_of_fd(int fd, char path[PATH_MAX]) {
  char link[32];
  struct stat file;
  ssize_t length;
  if (fstat(fd, &file) || !S_ISREG(file.st_mode) || !file.st_nlink) return NULL;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  if ((length = readlink(link, path, PATH_MAX - 1)) < 0) give_up(link);
  path[length] = 0;
  return name_of(path);
}

/* The shim's own calls go to the kernel directly: they are no points. */
static int open_own(const char *path, int flags) {
  int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) give_up(path);
  return fd;
}

static void write_own(int fd, const char *bytes, ssize_t length) {
  if (syscall(SYS_write, fd, bytes, length) != length) give_up("write");
}

/* The power may fail here. */
static void point(const char *call, const char *name) {
  static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
  static long points;
  static int list = -1;
  char line[PATH_MAX + 64];
  int error = errno;
  pthread_mutex_lock(&turn);
  if (list < 0) list = open_own(setting("POWER_LOSS_POINTS"), O_APPEND);
  write_own(list, line, snprintf(line, sizeof line, "%s %s\n", call, name));
  if (++points == atol(setting("POWER_LOSS_AT"))) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  pthread_mutex_unlock(&turn);
  errno = error;
}

static void copy_of(const char *name, const char *suffix, char path[PATH_MAX]) {
  if (snprintf(path, PATH_MAX, "%s/%s%s", setting("POWER_LOSS_DURABLE"), name, suffix) >= PATH_MAX) give_up(name);
}

/* A copy counts only when it is whole: another thread may meet its point while it is made. */
static void keep(int fd, const char *name) {
  char half[PATH_MAX], whole[PATH_MAX], bytes[1 << 14];
  ssize_t length;
  off_t at = 0;
  int copy;
  copy_of(name, ".half", half);
  copy_of(name, "", whole);
  copy = open_own(half, O_TRUNC);
  for (; (length = pread(fd, bytes, sizeof bytes, at)) > 0; at += length) write_own(copy, bytes, length);
  if (length < 0 || syscall(SYS_close, copy) || syscall(SYS_rename, half, whole)) give_up(name);
}

static int sync_and_keep(int (*real)(int), int fd) {
  char path[PATH_MAX];
  const char *name = name_of_fd(fd, path);
  int result;
  if (name) point("before fsync", name);
  result = real(fd);
  if (name && !result) {
    keep(fd, name);
    point("after fsync", name);
  }
  return result;
}

int fsync(int fd) {
  REAL(int, "fsync", int);
  return sync_and_keep(real, fd);
}

int fdatasync(int fd) {
  REAL(int, "fdatasync", int);
  return sync_and_keep(real, fd);
}

static void point_of_fd(const char *call, int fd) {
  char path[PATH_MAX];
  const char *name = name_of_fd(fd, path);
  if (name) point(call, name);
}

ssize_t write(int fd, const void *bytes, size_t length) {
  REAL(ssize_t, "write", int, const void *, size_t);
  point_of_fd("write", fd);
  return real(fd, bytes, length);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
  REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
  point_of_fd("pwrite", fd);
  return real(fd, bytes, length, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
  REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
  point_of_fd("pwrite", fd);
  return real(fd, bytes, length, at);
}

int ftruncate(int fd, off_t length) {
  REAL(int, "ftruncate", int, off_t);
  point_of_fd("ftruncate", fd);
  return real(fd, length);
}

int ftruncate64(int fd, off64_t length) {
  REAL(int, "ftruncate64", int, off64_t);
  point_of_fd("ftruncate", fd);
  return real(fd, length);
}

/* A file may begin here. Its content is nothing, until it is synced. */
static int open_at(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
  const char *name = flags & O_CREAT ? name_of(path) : NULL;
  if (name) point("open", name);
  return real(path, flags, mode);
}

#define MODE_OF(flags, mode)                                                        \
  mode_t mode = 0;                                                                  \
  if (flags & (O_CREAT | __O_TMPFILE)) {                                            \
    va_list rest;                                                                   \
    va_start(rest, flags);                                                          \
    mode = va_arg(rest, mode_t);                                                    \
    va_end(rest);                                                                   \
  }

int open(const char *path, int flags, ...) {
  REAL(int, "open", const char *, int, ...);
  MODE_OF(flags, mode)
  return open_at(real, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  REAL(int, "open64", const char *, int, ...);
  MODE_OF(flags, mode)
  return open_at(real, path, flags, mode);
}

int unlink(const char *path) {
  REAL(int, "unlink", const char *);
  char copy[PATH_MAX];
  const char *name = name_of(path);
  int result;
  if (name) point("unlink", name);
  result = real(path);
  if (name && !result) {
    copy_of(name, "", copy);
    syscall(SYS_unlink, copy);
  }
  return result;
}

/* The new name holds what was synced under the old one, or nothing. */
int rename(const char *from, const char *to) {
  REAL(int, "rename", const char *, const char *);
  char old_copy[PATH_MAX], new_copy[PATH_MAX];
  const char *old_name = name_of(from), *new_name = name_of(to);
  int result;
  if (new_name) point("rename", new_name);
  result = real(from, to);
  if (new_name && old_name && !result) {
    copy_of(old_name, "", old_copy);
    copy_of(new_name, "", new_copy);
    if (syscall(SYS_rename, old_copy, new_copy)) syscall(SYS_unlink, new_copy);
  }
  return result;
}
