/* SPDX-License-Identifier: MIT */
#include "outside/interrupted.h"

#include "outside/bytes.h"
#include "outside/registers.h"
#include "outside/seen.h"
#include "outside/thing.h"
#include "outside/waiting.h"

#include "base/call.h"
#include "base/clock.h"
#include "base/sys.h"
#include "rules/config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* One that a unix socket's listener has no room for waits, and is like one that has not begun. */
static bool may_connect(int fd)
{
	int domain = 0;
	socklen_t n = sizeof domain;

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) && domain != AF_UNIX;
}

/* ---- datagrams of unix sockets ---- */

/* Whom C's call sends to, where it says so itself; returns the length, or 0. */
static socklen_t read_target(const struct pg_ruled *c, struct sockaddr_un *to)
{
	const struct pg_layout *l = pg_call_raw_layout(c->op.call);
	struct msghdr m = {0};
	uintptr_t at;
	size_t n;

	if (l->to < 0 && (l->shape != PG_MSG || !pg_see_message(c, &m)))
		return 0;
	at = l->to < 0 ? (uintptr_t)m.msg_name : (uintptr_t)c->op.arg[l->to];
	n = l->to < 0 ? m.msg_namelen : (size_t)(uint32_t)c->op.arg[l->to + 1];
	memset(to, 0, sizeof *to);
	if (!at || n <= sizeof to->sun_family || n > sizeof *to ||
	    !pg_bytes_read(pg_tracee_by(c->of), at, to, n))
		return 0;
	return (socklen_t)n;
}

/* A path is its thread's. */
static int connect_to(const struct pg_ruled *c, int fd, struct sockaddr_un *to, socklen_t n)
{
	char path[160];
	int ret, place;

	if (!to->sun_path[0])
		return connect(fd, (struct sockaddr *)to, n);
	snprintf(path, sizeof path, "/proc/%d/%s/%.*s", c->tid,
		 to->sun_path[0] == '/' ? "root" : "cwd", (int)sizeof to->sun_path, to->sun_path);
	place = open(path, O_PATH | O_CLOEXEC);
	if (place < 0)
		return -1;
	snprintf(to->sun_path, sizeof to->sun_path, "/proc/self/fd/%d", place);
	ret = connect(fd, (struct sockaddr *)to, sizeof *to);
	close(place);
	return ret;
}

/* Has whom C's call names no room? Its own socket, which is not connected to that one, does not
 * say so; one that is does. */
static bool is_full(const struct pg_ruled *c)
{
	enum { TYPE = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK };
	struct sockaddr_un to;
	int fd, type = 0;
	socklen_t n = sizeof type;
	bool full;

	if (c->object.kind != PG_UNIX || !pg_is_out(c->op.call) ||
	    getsockopt(c->copy, SOL_SOCKET, SO_TYPE, &type, &n) || type != SOCK_DGRAM)
		return false;
	n = read_target(c, &to);
	fd = n ? socket(AF_UNIX, TYPE, 0) : -1;
	full = fd >= 0 && !connect_to(c, fd, &to, n) && !pg_poll_now(fd, POLLOUT);
	if (fd >= 0)
		close(fd);
	return full;
}

/* ---- would it have waited? ---- */

/* Not for descriptor FD, one of C's. */
static bool is_ready(struct pg_ruled *c, int fd, short events)
{
	bool ready;

	c->copy = pg_thing_copy(c->of, c->tid, fd);
	if (c->copy < 0)
		return false;
	pg_look_for(c->copy, &c->object, PG_LOOK_KIND, false);
	ready = pg_see_nonblock(c) || ((!pg_connects(c->op.call) || may_connect(c->copy)) &&
				       pg_poll_now(c->copy, events) && !is_full(c));
	close(c->copy);
	return ready;
}

static bool would_wait(struct pg_tracee *t, int tid, const struct pg_registers *r)
{
	struct pg_ruled c = {.of = t, .tid = tid, .narrow = r->narrow_call};
	const struct pg_layout *l;
	bool out;

	c.op.call = pg_call_made_raw(r->number, r->arg);
	memcpy(c.op.arg, r->arg, sizeof c.op.arg);
	l = pg_call_raw_layout(c.op.call);
	out = pg_is_out(c.op.call) || pg_connects(c.op.call);
	if (!c.op.call || l->fd < 0 || !is_ready(&c, (int)r->arg[l->fd], out ? POLLOUT : POLLIN))
		return true;
	return l->source >= 0 && !is_ready(&c, (int)r->arg[l->source], POLLIN);
}

/* Does it stand before a signal that its call came by, a background process's at its terminal? */
static bool is_terminal_s(int tid)
{
	siginfo_t si;

	return !ptrace(PTRACE_GETSIGINFO, tid, 0, &si) &&
	       (si.si_signo == SIGTTIN || si.si_signo == SIGTTOU) && si.si_code == SI_KERNEL;
}

/* ---- by what is nothing to the program ---- */

/* Did TID's call say EINTR, and no signal with a handler waits? */
static bool is_in_vain(int tid, struct pg_registers *r)
{
	return pg_registers_in_call(tid) && pg_registers_read(tid, r) && r->result == -EINTR &&
	       !pg_tracee_is_signalled(tid);
}

void pg_interrupted_by_stop(int tid)
{
	struct pg_registers r;

	if (is_in_vain(tid, &r))
		pg_registers_result(tid, -PG_AGAIN);
}

/* How long the call waits; 0: for ever. Of most it is not known. */
static uint64_t time_of(const struct pg_registers *r)
{
	const uint64_t second = 1000000000, ms = 1000000;

#ifdef SYS_epoll_wait
	if (r->number == SYS_epoll_wait)
		return (int)r->arg[3] < 0 ? 0 : (uint64_t)(int)r->arg[3] * ms;
#endif
	if (r->number == SYS_epoll_pwait)
		return (int)r->arg[3] < 0 ? 0 : (uint64_t)(int)r->arg[3] * ms;
	return 5 * second;
}

/* Made once more, a call has its whole time again. Where such signals come faster than that, it is
 * interrupted in the end. */
static bool may_be_made_again(int tid, const struct pg_registers *r)
{
	enum { KNOWN = 256, TIMES = 4 };
	static struct {
		uint64_t call, first, last;
	} known[KNOWN], *k;
	uint64_t time = time_of(r), now = pg_now(), call = pg_mix((uint64_t)tid, r->sp);

	for (int i = 0; i < 4; i++)
		call = pg_mix(call, (uint64_t)r->arg[i]);
	k = &known[(unsigned)tid % KNOWN];
	if (k->call != call || now - k->last > time)
		k->first = now;
	k->call = call;
	k->last = now;
	if (!time || now - k->first <= TIMES * time)
		return true;
	k->call = 0;
	return false;
}

void pg_interrupted_for_nothing(int tid, int sig)
{
	struct pg_registers r;

	if (is_in_vain(tid, &r) && pg_tracee_ignores(tid, sig) && may_be_made_again(tid, &r))
		pg_registers_result(tid, -PG_AGAIN);
}

/* ---- by a signal ---- */

void pg_interrupted(int tid)
{
	struct pg_registers r;

	if (!pg_registers_read(tid, &r) || r.result != -PG_AGAIN_BY_HANDLER || pg_wait_told(tid) ||
	    is_terminal_s(tid))
		return;
	if (!would_wait(pg_tracee_heard(tid), tid, &r))
		pg_registers_result(tid, -PG_AGAIN);
}
