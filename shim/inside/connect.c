/* SPDX-License-Identifier: MIT */
#include "inside/connect.h"

#include "inside/apply.h"

#include "base/peek.h"
#include "inside/guard.h"
#include "object/connection.h"
#include "object/look.h"
#include "rules/config.h"

/* What connect says of an attempt, and not of its arguments. */
enum came { NOTHING, STANDS, BEGINS, FAILED };

static enum came came_of(int ret, int err)
{
	switch (ret ? err : 0) {
	case 0:
		return STANDS;
	case EINPROGRESS:
	case EINTR: /* connect(2): it goes on by itself */
		return BEGINS;
	case ECONNREFUSED:
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ECONNRESET:
	case ECONNABORTED:
	case EHOSTDOWN:
	case ENETDOWN:
	case ENETRESET:
		return FAILED;
	default:
		return NOTHING;
	}
}

/* The one that was on its way stands now, if its peer is the one it went to. */
static bool is_same_peer(int fd)
{
	struct pg_object o;
	const struct pg_story *s;

	pg_look_for(fd, &o, PG_LOOK_NAMES, false);
	s = o.story;
	return s && (!s->peer.family ||
		     (o.peer.family == s->peer.family && o.peer.port == s->peer.port &&
		      !__builtin_memcmp(o.peer.ip, s->peer.ip, sizeof o.peer.ip)));
}

void pg_number_connection(int fd)
{
	int saved = errno;

	pg_fd_number(fd);
	if (PG_UNLIKELY(pg_front.ruled))
		pg_apply_connection(fd);
	errno = saved;
}

/* RAW: asked for by syscall(2). */
static void begin(enum pg_call call, bool raw, int fd, const struct sockaddr *addr, size_t len,
		  int ret, uintptr_t caller)
{
	int saved = errno;

	pg_fd_connection(fd, PG_CLIENT, pg_fd_type(fd), addr, len, ret != 0);
	if (!raw)
		pg_number_connection(fd);
	errno = saved;
	if (PG_UNLIKELY(pg_watch_all) &&
	    call == PG_CALL_connect) /* others are logged by themselves */
		pg_guard_connected(call, fd, ret, caller);
}

static void fail(enum pg_call call, int fd, const struct sockaddr *addr, size_t len, int err,
		 uintptr_t caller, const void *original)
{
	if (!pg_fd_is_connecting(fd)) /* else it is the error of that one */
		pg_fd_unconnected(fd, addr, len);
	if (err == ECONNREFUSED)
		pg_guard_refused(call, fd, original, (uint32_t)len, caller);
	else
		pg_guard_warned(call, fd, err, caller);
}

int pg_connected(enum pg_call call, int fd, const struct sockaddr *addr, socklen_t len, int ret,
		 uintptr_t caller)
{
	struct sockaddr_storage copy;
	const struct sockaddr *a = (const struct sockaddr *)&copy;
	int saved = errno;
	enum came came = pg_config.active ? came_of(ret, saved) : NOTHING;
	bool raw = call == PG_CALL_syscall;

	if (raw)
		call = PG_CALL_connect;
	if (came == NOTHING || !addr || len > sizeof copy || !pg_take_kept(&copy, addr, len))
		return ret;
	if (came == FAILED)
		fail(call, fd, a, len, saved, caller, addr);
	else if (len >= sizeof copy.ss_family && copy.ss_family == AF_UNSPEC)
		pg_fd_disconnected(fd);
	else if (came == STANDS && pg_fd_is_connecting(fd) && is_same_peer(fd))
		pg_fd_established(fd);
	else
		errno = saved, begin(call, raw, fd, a, len, ret, caller);
	errno = saved;
	return ret;
}

static void adopt(int fd)
{
	pg_fd_fresh(fd, 0);
	pg_fd_adopt(fd);
}

/* Those of one control message, whose N bytes of data are at DATA. */
static void each_of(const unsigned char *data, size_t n, bool (*take)(void *, const void *, size_t),
		    void (*what)(int fd))
{
	enum { BATCH = 32 };
	int fd[BATCH];

	for (size_t k; n >= sizeof *fd; n -= k * sizeof *fd, data += k * sizeof *fd) {
		k = n / sizeof *fd < BATCH ? n / sizeof *fd : BATCH;
		if (!take(fd, data, k * sizeof *fd))
			return;
		for (size_t i = 0; i < k; i++)
			what(fd[i]);
	}
}

/* TAKE copies from the program's memory. */
static void each_passed(const struct msghdr *msg, bool (*take)(void *, const void *, size_t),
			void (*what)(int fd))
{
	const unsigned char *at = msg->msg_control;
	size_t left = msg->msg_controllen;
	int saved = errno;
	struct cmsghdr c;

	while (pg_config.active && left >= CMSG_LEN(0) && take(&c, at, sizeof c)) {
		size_t len = c.cmsg_len, whole = CMSG_ALIGN(len);

		if (len < CMSG_LEN(0) || len > left)
			break;
		if (c.cmsg_level == SOL_SOCKET && c.cmsg_type == SCM_RIGHTS)
			each_of(at + CMSG_LEN(0), len - CMSG_LEN(0), take, what);
		if (whole >= left)
			break;
		at += whole;
		left -= whole;
	}
	errno = saved;
}

static bool copy(void *to, const void *from, size_t n)
{
	__builtin_memcpy(to, from, n);
	return true;
}

void pg_adopt_passed(const struct msghdr *msg)
{
	each_passed(msg, copy, adopt);
}

void pg_lend_passed(int fd, const struct msghdr *msg)
{
	enum { NEAR = 256 << 10 };
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	struct msghdr m;

	if ((uintptr_t)msg - here < NEAR) /* above, on the stack */
		m = *msg;
	else if (pg_fd_is_ip(fd) || !pg_take_kept(&m, msg, sizeof m))
		return;
	if (m.msg_controllen)
		each_passed(&m, pg_take_kept, pg_fd_lent);
}
