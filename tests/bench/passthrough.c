// SPDX-License-Identifier: MIT
/*
 * The floor that no preloaded library can beat: every call that pipeguard
 * interposes on a busy path is passed on by one jump through a pointer that
 * was filled at start, and nothing else is done.
 */
#include <dlfcn.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define PASSED                                                                                     \
	PASS(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))                        \
	PASS(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))                  \
	PASS(ssize_t, send, (int fd, const void *p, size_t n, int f), (fd, p, n, f))               \
	PASS(ssize_t, sendto,                                                                      \
	     (int fd, const void *p, size_t n, int f, __CONST_SOCKADDR_ARG a, socklen_t l),        \
	     (fd, p, n, f, a, l))                                                                  \
	PASS(ssize_t, sendmsg, (int fd, const struct msghdr *m, int f), (fd, m, f))                \
	PASS(ssize_t, sendfile, (int out, int in, off_t *at, size_t n), (out, in, at, n))          \
	PASS(ssize_t, sendfile64, (int out, int in, off64_t *at, size_t n), (out, in, at, n))      \
	PASS(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))                               \
	PASS(ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n))                   \
	PASS(ssize_t, recv, (int fd, void *p, size_t n, int f), (fd, p, n, f))                     \
	PASS(ssize_t, recvfrom,                                                                    \
	     (int fd, void *p, size_t n, int f, __SOCKADDR_ARG a, socklen_t *l),                   \
	     (fd, p, n, f, a, l))                                                                  \
	PASS(ssize_t, recvmsg, (int fd, struct msghdr *m, int f), (fd, m, f))                      \
	PASS(int, connect, (int fd, __CONST_SOCKADDR_ARG a, socklen_t l), (fd, a, l))              \
	PASS(int, accept, (int fd, __SOCKADDR_ARG a, socklen_t *l), (fd, a, l))                    \
	PASS(int, accept4, (int fd, __SOCKADDR_ARG a, socklen_t *l, int f), (fd, a, l, f))         \
	PASS(int, socket, (int d, int t, int p), (d, t, p))                                        \
	PASS(int, pipe, (int fd[2]), (fd))                                                         \
	PASS(int, pipe2, (int fd[2], int f), (fd, f))                                              \
	PASS(int, close, (int fd), (fd))

#define PASS(type, name, parameters, arguments) static __typeof__(name) *next_##name;
PASSED
#undef PASS

#define PASS(type, name, parameters, arguments)                                                    \
	type name parameters                                                                       \
	{                                                                                          \
		return next_##name arguments;                                                      \
	}
PASSED
#undef PASS

static void __attribute__((constructor)) start(void)
{
#define PASS(type, name, parameters, arguments)                                                    \
	next_##name = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);
	PASSED
#undef PASS
}
