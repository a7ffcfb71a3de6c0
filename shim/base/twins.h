/* SPDX-License-Identifier: MIT */
/* Calls that libc exports and no header declares, with the types of the calls they stand for. */
#ifndef PG_TWINS_H
#define PG_TWINS_H

#include "base/redirect.h"
#include "base/sys.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* glibc's socket calls take a transparent union of every sockaddr; a definition must spell it
 * alike. */
#ifdef __GLIBC__
#define PG_SOCKADDR __CONST_SOCKADDR_ARG
#define PG_SOCKADDR_OUT __SOCKADDR_ARG
#define PG_ADDR(a) ((a).__sockaddr__)
#else
#define PG_SOCKADDR const struct sockaddr *
#define PG_SOCKADDR_OUT struct sockaddr *
#define PG_ADDR(a) (a)
#endif

/* The type of the flags of sendmmsg and recvmmsg. */
#ifdef __GLIBC__
#define PG_MMSG_FLAGS int
#else
#define PG_MMSG_FLAGS unsigned
#endif

/* musl has macros for the names of large-file calls; the symbols are there as well, for programs
 * built elsewhere. */
#ifndef __GLIBC__
#undef sendfile64
#undef freopen64
#undef off64_t
#define off64_t off_t
#endif

/* NAME's other name: one function, so that they cannot come to differ. */
#if __has_attribute(copy)
#define PG_LIKE(name) __attribute__((copy(name)))
#else
#define PG_LIKE(name)
#endif
#define PG_TWIN(twin, name)                                                                        \
	extern __typeof__(name) twin __attribute__((alias(#name))) PG_LIKE(name) PG_EXPORT

ssize_t __read_chk(int fd, void *buf, size_t len, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t room, int flags, PG_SOCKADDR_OUT from,
		       socklen_t *from_len);
int __dprintf_chk(int fd, int flag, const char *format, ...);
int __vdprintf_chk(int fd, int flag, const char *format, va_list ap);
FILE *freopen64(const char *path, const char *mode, FILE *f);
#if __SIZEOF_LONG__ == 4
ssize_t __sendmsg64(int fd, const struct msghdr *msg, int flags);
int __sendmmsg64(int fd, struct mmsghdr *msgs, unsigned n, PG_MMSG_FLAGS flags);
ssize_t __recvmsg64(int fd, struct msghdr *msg, int flags);
int __recvmmsg64(int fd, struct mmsghdr *msgs, unsigned n, PG_MMSG_FLAGS flags,
		 struct timespec *wait);
int __recvmmsg_time64(int fd, struct mmsghdr *msgs, unsigned n, PG_MMSG_FLAGS flags,
		      struct timespec *wait); /* musl's */
int __getsockopt64(int fd, int level, int name, void *value, socklen_t *len);
int __fcntl_time64(int fd, int command, ...);
int __prctl_time64(int option, ...);
#endif
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
int fcntl64(int fd, int command, ...);
sighandler_t __sysv_signal(int sig, sighandler_t handler);
sighandler_t sysv_signal(int sig, sighandler_t handler);
sighandler_t bsd_signal(int sig, sighandler_t handler);
sighandler_t ssignal(int sig, sighandler_t handler);
sighandler_t sigset(int sig, sighandler_t handler);
int sigignore(int sig);
int siginterrupt(int sig, int interrupt);
int execveat(int folder, const char *path, char *const *argv, char *const *env, int flags);
int close_range(unsigned first, unsigned last, int flags);
void closefrom(int first);
ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t pwritev64v2(int fd, const struct iovec *iov, int n, off64_t at, int flags);
ssize_t sendfile64(int out, int in, off64_t *at, size_t len);

#endif
