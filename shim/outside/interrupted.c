/* SPDX-License-Identifier: MIT */
#include "outside/interrupted.h"

#include "outside/registers.h"
#include "outside/thing.h"
#include "outside/waiting.h"

#include "base/call.h"
#include "base/sys.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* One that a unix socket's listener has no room for waits, and is like one that has not begun. */
static bool may_connect(int fd)
{
	int domain = 0;
	socklen_t n = sizeof domain;

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) && domain != AF_UNIX;
}

/* Descriptor FD of T, whose thread TID is. */
static bool is_ready(struct pg_tracee *t, int tid, int fd, enum pg_call call, short events)
{
	int copy = pg_thing_copy(t, tid, fd);
	bool ready =
		copy >= 0 && (!pg_connects(call) || may_connect(copy)) && pg_poll_now(copy, events);

	if (copy >= 0)
		close(copy);
	return ready;
}

static bool would_wait(struct pg_tracee *t, int tid, const struct pg_registers *r)
{
	enum pg_call call = pg_call_made_raw(r->number, r->arg);
	const struct pg_layout *l = pg_call_raw_layout(call);
	bool out = pg_is_out(call) || pg_connects(call);

	if (!call || l->fd < 0 ||
	    !is_ready(t, tid, (int)r->arg[l->fd], call, out ? POLLOUT : POLLIN))
		return true;
	return l->source >= 0 && !is_ready(t, tid, (int)r->arg[l->source], call, POLLIN);
}

void pg_interrupted_by_stop(int tid)
{
	struct pg_registers r;

	if (pg_registers_read(tid, &r) && r.number >= 0 && r.result == -EINTR &&
	    !pg_tracee_is_signalled(tid))
		pg_registers_again(tid, r.number, -PG_AGAIN);
}

void pg_interrupted(int tid)
{
	struct pg_registers r;

	if (!pg_registers_read(tid, &r) || r.result != -PG_AGAIN_BY_HANDLER || pg_wait_told(tid))
		return;
	if (!would_wait(pg_tracee_heard(tid), tid, &r))
		pg_registers_result(tid, -PG_AGAIN);
}
