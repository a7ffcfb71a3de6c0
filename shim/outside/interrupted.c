/* SPDX-License-Identifier: MIT */
#include "outside/interrupted.h"

#include "outside/registers.h"
#include "outside/thing.h"
#include "outside/waiting.h"

#include "base/call.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* ERESTARTSYS becomes EINTR where the handler wants that; ERESTARTNOINTR never does. */
enum { BY_HANDLER = 512, ALWAYS = 513 };

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
	struct pollfd p = {.fd = pg_thing_copy(t, tid, fd), .events = events};
	bool ready =
		p.fd >= 0 && (call != PG_CALL_connect || may_connect(p.fd)) && poll(&p, 1, 0) == 1;

	if (p.fd >= 0)
		close(p.fd);
	return ready;
}

static bool would_wait(struct pg_tracee *t, int tid, const struct pg_registers *r)
{
	enum pg_call call = pg_call_made_raw(r->number, r->arg);
	const struct pg_layout *l = pg_call_raw_layout(call);
	bool out = pg_is_out(call) || call == PG_CALL_connect;

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
		pg_registers_again(tid, r.number, -ALWAYS);
}

void pg_interrupted(int tid)
{
	struct pg_registers r;

	if (!pg_registers_read(tid, &r) || r.result != -BY_HANDLER || pg_wait_told(tid))
		return;
	if (!would_wait(pg_tracee_heard(tid), tid, &r))
		pg_registers_result(tid, -ALWAYS);
}
