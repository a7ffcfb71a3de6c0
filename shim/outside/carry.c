/* SPDX-License-Identifier: MIT */
#include "outside/carry.h"

#include "outside/bytes.h"
#include "outside/made.h"
#include "outside/move.h"
#include "outside/narrow.h"
#include "outside/owed.h"
#include "outside/waiting.h"

#include "base/clock.h"
#include "fault/fault.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

uint64_t pg_patience(const struct pg_ruled *c)
{
	struct timeval t = {0, 0};
	socklen_t n = sizeof t;

	if (pg_kind_is_socket(c->object.kind))
		pg_sys5(SYS_getsockopt, c->copy, SOL_SOCKET, c->reads ? SO_RCVTIMEO : SO_SNDTIMEO,
			&t, &n);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

void pg_carry_count(struct pg_ruled *c, int64_t n)
{
	struct pg_story *s = c->object.story;

	if (s && c->reads)
		s->received += (uint64_t)n;
	else if (s)
		s->sent += (uint64_t)n;
}

/* Of a pipe that broke behind the bytes that it took: because of RULE, or -1. */
static void signal_midway(const struct pg_ruled *c, int rule)
{
	pg_owe(c->tid, rule);
	pg_send(c, SIGPIPE);
}

/* The reader leaves in the middle of a write: what was taken is returned, and a signal comes. */
static void break_midway(struct pg_ruled *c)
{
	int ret;

	pg_make_for(c);
	ret = pg_fault_break(c->copy, c->object.kind);
	pg_make_for(NULL);
	if (!ret)
		pg_made_remember(c);
	c->plan.failed = -ret;
	pg_made_log(c);
	if (ret)
		return;
	signal_midway(c, (int)c->plan.rule);
}

void pg_carry_answer(struct pg_ruled *c)
{
	uint32_t n = (uint32_t)c->done;
	size_t at = c->narrow ? (size_t)PG_NARROW_MSG_LEN : offsetof(struct mmsghdr, msg_len);

	if (!pg_call_has_messages(c->op.call)) {
		c->way->answer(c, c->done);
		return;
	}
	pg_bytes_write(pg_tracee_by(c->of), (uintptr_t)c->op.arg[1] + at, &n, sizeof n);
	c->way->answer(c, 1);
}

/* Is it an error of a connection, which a socket tells once? */
static bool was_told(const struct pg_ruled *c, int ret)
{
	static const uint8_t once[] = {ECONNRESET,   ECONNREFUSED, ETIMEDOUT, ECONNABORTED,
				       EHOSTUNREACH, ENETUNREACH,  EHOSTDOWN, ENETDOWN,
				       ENETRESET,    EPROTO};

	for (unsigned i = 0; i < sizeof once && pg_kind_is_socket(c->object.kind); i++)
		if (ret == -once[i])
			return true;
	return false;
}

void pg_carry_end(struct pg_ruled *c)
{
	c->done = 0;
	pg_move_ends(c);
	pg_carry_answer(c);
}

bool pg_carry_on(struct pg_ruled *c)
{
	int ret = pg_move(c);

	if (ret > 0)
		return false;
	pg_carry_count(c, c->done);
	if (ret < 0 && ret != -EAGAIN && !was_told(c, ret)) {
		c->way->go_on(c); /* the kernel says the same, and signals */
		return true;
	}
	if (c->then_breaks && c->done == c->want)
		break_midway(c);
	else if (c->broke && c->object.kind == PG_PIPE)
		signal_midway(c, -1);
	if (ret < 0)
		c->way->answer(c, ret);
	else
		pg_carry_answer(c);
	return true;
}

bool pg_carry_cuts(const struct pg_ruled *c)
{
	return c->op.bytes >= 0 && c->plan.most < (uint64_t)c->op.bytes;
}

void pg_carry_start(struct pg_ruled *c, bool breaks)
{
	const int64_t most = INT_MAX & -(int64_t)sysconf(_SC_PAGESIZE); /* the kernel's, too */

	c->stage = PG_STAGE_MOVE;
	c->done = 0;
	c->want = pg_carry_cuts(c) ? (int64_t)c->plan.most : c->op.bytes;
	if (c->want > most)
		c->want = most;
	c->then_breaks = breaks && (uint64_t)c->want == c->plan.most;
	if (pg_carry_on(c))
		return;
	c->deadline = 0;
	if (pg_patience(c))
		c->deadline = pg_now() + pg_patience(c);
	pg_wait(c);
}

bool pg_carries(struct pg_ruled *c)
{
	return c->op.bytes > 0 && pg_moves(c->op.call) &&
	       (pg_carry_cuts(c) || c->plan.garbage || pg_rules.streams[c->reads]) &&
	       pg_move_can(c);
}
