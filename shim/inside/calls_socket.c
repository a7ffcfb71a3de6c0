/* SPDX-License-Identifier: MIT */
/* Where connections begin. */
#include "base/peek.h"
#include "base/twins.h"
#include "inside/apply.h"
#include "inside/calls.h"
#include "inside/connect.h"
#include "inside/guard.h"
#include "inside/leave.h"
#include "object/connection.h"
#include "rules/config.h"

static bool rules_watch(enum pg_call call)
{
	return PG_UNLIKELY(pg_front.ruled & PG_BIT(call));
}

PG_EXPORT int connect(int fd, PG_SOCKADDR addr, socklen_t len)
{
	int ret;

	if (!rules_watch(PG_CALL_connect) ||
	    !pg_apply_connect(PG_CALL_connect, fd, PG_ADDR(addr), len, &ret, PG_CALLER))
		ret = NEXT(connect)(fd, addr, len);
	return pg_connected(PG_CALL_connect, fd, PG_ADDR(addr), len, ret, PG_CALLER);
}
PG_TWIN(__connect, connect);

/*
 * Where the program asks for the peer's address, LEN says how much of it the
 * kernel has stored only if LEN's value before is known: it is read where it
 * is kept for sure. Else, and where the program does not ask, the kernel
 * stores it with us: the one costs getpeername(2), the other nothing. Not where
 * a family may have no names, and its accept(2) fails for being asked (AF_ALG).
 */
struct asker {
	struct sockaddr_storage own;
	socklen_t own_len;
	const struct sockaddr *addr; /* the program's, or ours */
	const socklen_t *len;
	size_t room; /* 0: not known */
	int type;    /* of the listener, and so of what it accepts */
	bool ours;   /* the kernel is to store it with us */
};

static void prepare(struct asker *a, int fd, const struct sockaddr *addr, const socklen_t *len)
{
	a->type = pg_config.active ? pg_fd_type(fd) : 0;
	a->own_len = sizeof a->own;
	a->ours = !addr && a->type == SOCK_STREAM;
	a->addr = a->ours ? (const struct sockaddr *)&a->own : addr;
	a->len = a->ours ? &a->own_len : len;
	if (a->ours)
		a->room = sizeof a->own;
	else
		a->room = addr && len && pg_is_here(len, sizeof *len) ? *len : 0;
}

static int take_accepted(int fd, struct asker *a)
{
	int saved = errno;

	if (fd < 0 || !pg_config.active)
		return fd;
	if (a->room && *a->len <= a->room)
		pg_fd_connection(fd, PG_SERVER, a->type, a->addr, *a->len, false);
	else if (!pg_sys3(SYS_getpeername, fd, &a->own, &a->own_len))
		pg_fd_connection(fd, PG_SERVER, a->type, (const struct sockaddr *)&a->own,
				 a->own_len, false);
	else
		pg_fd_connection(fd, PG_SERVER, a->type, NULL, 0, false);
	errno = saved;
	return fd;
}

/* The same, where rules count it. */
static int accepted(int fd, struct asker *a)
{
	take_accepted(fd, a);
	if (fd >= 0)
		pg_number_connection(fd);
	return fd;
}

void pg_accepted(int listener, int fd)
{
	struct asker a = {.own_len = sizeof a.own,
			  .type = pg_config.active ? pg_fd_type(listener) : 0};

	take_accepted(fd, &a);
}

PG_EXPORT int accept(int fd, PG_SOCKADDR_OUT addr, socklen_t *len)
{
	struct asker a;

	if (rules_watch(PG_CALL_accept) && pg_apply_accept(PG_CALL_accept, fd, PG_CALLER))
		return -1;
	prepare(&a, fd, PG_ADDR(addr), len);
	if (a.ours)
		return accepted(NEXT(accept)(fd, (struct sockaddr *)&a.own, &a.own_len), &a);
	return accepted(NEXT(accept)(fd, addr, len), &a);
}

PG_EXPORT int accept4(int fd, PG_SOCKADDR_OUT addr, socklen_t *len, int flags)
{
	struct asker a;

	if (rules_watch(PG_CALL_accept4) && pg_apply_accept(PG_CALL_accept4, fd, PG_CALLER))
		return -1;
	prepare(&a, fd, PG_ADDR(addr), len);
	if (a.ours)
		return accepted(NEXT(accept4)(fd, (struct sockaddr *)&a.own, &a.own_len, flags),
				&a);
	return accepted(NEXT(accept4)(fd, addr, len, flags), &a);
}

PG_EXPORT int shutdown(int fd, int how)
{
	struct pg_leaving l;
	bool leaves;
	int ret;

	if (how != SHUT_RD)
		pg_guard_shutdown(fd, PG_CALLER);
	leaves = pg_has_endings() && how != SHUT_WR &&
		 pg_leaving_shutdown(&l, fd, how, PG_CALLER - 1);
	ret = NEXT_SYS2(shutdown, SYS_shutdown, fd, how);
	if (PG_UNLIKELY(leaves))
		pg_leaving_shut(&l, !ret);
	if (!ret && how != SHUT_RD)
		pg_guard_warned(PG_CALL_shutdown, fd, 0, PG_CALLER);
	return ret;
}

#define GETSOCKOPT(call)                                                                           \
	PG_EXPORT int call(int fd, int level, int name, void *value, socklen_t *len)               \
	{                                                                                          \
		int ret = NEXT_SYS5(call, SYS_getsockopt, fd, level, name, value, len);            \
                                                                                                   \
		if (PG_UNLIKELY(!ret && level == SOL_SOCKET && name == SO_ERROR &&                 \
				*len >= sizeof(int) && *(int *)value))                             \
			pg_guard_warned(PG_CALL_getsockopt, fd, *(int *)value, PG_CALLER);         \
		return ret;                                                                        \
	}
GETSOCKOPT(getsockopt)
#if __SIZEOF_LONG__ == 4
GETSOCKOPT(__getsockopt64)
#endif
