/* SPDX-License-Identifier: MIT */
#include "base/names.h"

#include "base/text.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

/* clang-format off */
#define ERRNOS(X) \
	X(EPERM) X(ENOENT) X(EINTR) X(EIO) X(ENXIO) X(EBADF) X(EAGAIN) X(ENOMEM) X(EACCES) \
	X(EFAULT) X(EBUSY) X(EEXIST) X(ENODEV) X(ENOTDIR) X(EISDIR) X(EINVAL) X(ENFILE) \
	X(EMFILE) X(EFBIG) X(ENOSPC) X(ESPIPE) X(EROFS) X(EPIPE) X(ENAMETOOLONG) X(ENOSYS) \
	X(ELOOP) X(EPROTO) X(EOVERFLOW) X(ENOTSOCK) X(EDESTADDRREQ) X(EMSGSIZE) \
	X(EPROTOTYPE) X(EOPNOTSUPP) X(EAFNOSUPPORT) X(EADDRINUSE) X(EADDRNOTAVAIL) \
	X(ENETDOWN) X(ENETUNREACH) X(ENETRESET) X(ECONNABORTED) X(ECONNRESET) X(ENOBUFS) \
	X(EISCONN) X(ENOTCONN) X(ESHUTDOWN) X(ETIMEDOUT) X(ECONNREFUSED) X(EHOSTDOWN) \
	X(EHOSTUNREACH) X(EALREADY) X(EINPROGRESS) X(ESTALE) X(EDQUOT) X(ECANCELED)
/* clang-format on */

/* A switch, not a table: nothing to relocate. */
const char *pg_errno_action(int err)
{
	switch (err) {
#define X(name)                                                                                    \
	case name:                                                                                 \
		return "error=" #name;
		ERRNOS(X)
#undef X
	default:
		return NULL;
	}
}

const char *pg_errno_name(int err)
{
	const char *action = pg_errno_action(err);

	return action ? action + sizeof "error=" - 1 : NULL;
}

static const unsigned char listed[] = {
#define X(name) name,
	ERRNOS(X)
#undef X
};

int pg_errno_listed(unsigned n)
{
	return n < sizeof listed ? listed[n] : 0;
}

int pg_errno_named(const char *s, size_t n)
{
	static const char names[][16] = {
#define X(name) #name,
		ERRNOS(X)
#undef X
	};

	for (unsigned i = 0; n && n < sizeof *names && i < sizeof listed; i++)
		if (names[i][n - 1] == s[n - 1] && pg_is(s, n, names[i]))
			return listed[i];
	return 0;
}

const char *pg_signal_name(int sig)
{
	static const char names[][8] = {
		[SIGHUP] = "SIGHUP",   [SIGINT] = "SIGINT",   [SIGQUIT] = "SIGQUIT",
		[SIGILL] = "SIGILL",   [SIGTRAP] = "SIGTRAP", [SIGABRT] = "SIGABRT",
		[SIGBUS] = "SIGBUS",   [SIGFPE] = "SIGFPE",   [SIGKILL] = "SIGKILL",
		[SIGUSR1] = "SIGUSR1", [SIGSEGV] = "SIGSEGV", [SIGUSR2] = "SIGUSR2",
		[SIGPIPE] = "SIGPIPE", [SIGALRM] = "SIGALRM", [SIGTERM] = "SIGTERM",
		[SIGXCPU] = "SIGXCPU", [SIGXFSZ] = "SIGXFSZ", [SIGSYS] = "SIGSYS",
	};

	return sig > 0 && (size_t)sig < sizeof names / sizeof *names && *names[sig] ? names[sig]
										    : NULL;
}

bool pg_is_libc(const char *file)
{
	static const char starts[][14] = {
		"libc.so", "libc-2.", "libc.musl-", "libpthread",    "ld-linux",
		"ld64.so", "ld-2.",   "ld-musl-",   "linux-vdso.so", "linux-gate.so",
	};

	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
		if (pg_prefix(file, starts[i]))
			return true;
	return pg_same(file, "[vdso]");
}
