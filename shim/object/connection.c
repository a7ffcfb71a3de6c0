/* SPDX-License-Identifier: MIT */
#include "object/connection.h"

#include "base/clock.h"
#include "base/count.h"
#include "base/process.h"

#include <errno.h>

bool pg_fd_is_followed(int fd)
{
	const struct pg_fd *f = pg_fd(fd);

	return f &&
	       (PG_GET(f->story) || PG_GET(f->type) || PG_GET(f->connection) || PG_GET(f->sent));
}

void pg_fd_warn(int fd, enum pg_what what, uint32_t call, int err, uintptr_t caller)
{
	struct pg_fd *f = pg_process_is_vforked() ? NULL : pg_fd_record(fd);
	struct pg_story *s = f ? pg_story_at(pg_fd_story_of(fd, f)) : NULL;

	if (!s)
		return;
	pg_fd_settle(s, f);
	s->warned[what] = (struct pg_warning){.at = pg_now(),
					      .sent = PG_GET(s->sent),
					      .caller = pg_code_at(caller),
					      .call = pg_call_plain((enum pg_call)call),
					      .err = err};
	if (what == PG_EOF || what == PG_SHUTDOWN)
		return;
	/* no connection came of it */
	if (what == PG_REFUSED || (what == PG_ERROR && s->connecting && !PG_GET(s->sent)))
		s->since = 0;
	s->connecting = false;
}

/* The next number of a connection of this SIDE, as rules count: in each process from 1. */
static uint32_t next_number(enum pg_side side)
{
	static pg_shared64 numbers[3];

	if (pg_confined)
		return 0;
	return (uint32_t)pg_count_add((struct pg_count){&numbers[side], pg_count_tag(pg_process())},
				      1);
}

/* The story of the socket FD, as one that begins anew; but what rules counted for it (conn, COUNTS)
 * and did to it stays. */
static struct pg_story *begin_connection(int fd, struct pg_fd *f)
{
	struct pg_stat st = {.ino = 0};
	struct pg_story *s;

	if (pg_confined || pg_fstat(fd, &st))
		s = pg_story_at(pg_fd_story_of(fd, f));
	else
		s = pg_fd_story(fd, &st, true);
	if (!s)
		return NULL;
	pg_story_sent(s); /* settles all that went before */
	PG_PUT(s->sent, 0);
	s->received = s->since = 0;
	s->peer.family = s->local.family = 0;
	__builtin_memset(s->warned, 0, sizeof s->warned);
	s->number = s->suppressed = 0;
	s->side = PG_NO_SIDE;
	s->ended = s->lingers = s->connecting = s->foreign = s->partial = false;
	s->forks = PG_GET(pg_forks);
	return s;
}

/* A record of its own for the socket FD; a null pointer: none. */
static struct pg_fd *connection_record(int fd, bool fresh)
{
	struct pg_fd *f = pg_process_is_vforked() ? NULL : pg_fd_record(fd);

	if (!f)
		return NULL;
	if (fresh) {
		pg_fd_begin(fd, f, true);
	}
	PG_PUT(f->unruled, 0);
	PG_PUT(f->connection, 1);
	return f;
}

void pg_fd_connection(int fd, enum pg_side side, int type, const struct sockaddr *addr, size_t len,
		      bool connecting)
{
	struct pg_fd *f = connection_record(fd, side == PG_SERVER);
	struct pg_story *s = f ? begin_connection(fd, f) : NULL;

	if (!s)
		return;
	s->side = (uint8_t)side;
	s->since = pg_now();
	s->connecting = connecting;
	PG_PUT(f->type, (uint8_t)type);
	if (addr)
		pg_addr_set(&s->peer, addr, len);
}

void pg_fd_number(int fd)
{
	const struct pg_fd *f = pg_fd(fd);
	struct pg_story *s = f ? pg_story_at(PG_GET(f->story)) : NULL;

	if (s && PG_GET(f->type) == SOCK_STREAM && !pg_process_is_vforked())
		s->number = next_number(s->side);
}

void pg_fd_established(int fd)
{
	const struct pg_fd *f = pg_fd(fd);
	struct pg_story *s = f ? pg_story_at(PG_GET(f->story)) : NULL;

	if (s && !pg_process_is_vforked())
		s->connecting = false;
}

void pg_fd_unconnected(int fd, const struct sockaddr *addr, size_t len)
{
	struct pg_fd *f = connection_record(fd, false);
	struct pg_story *s = f ? begin_connection(fd, f) : NULL;

	if (!s)
		return;
	s->side = PG_CLIENT;
	if (addr)
		pg_addr_set(&s->peer, addr, len);
}

void pg_fd_disconnected(int fd)
{
	struct pg_fd *f = connection_record(fd, false);

	if (!f)
		return;
	begin_connection(fd, f);
	PG_PUT(f->connection, 0);
}

bool pg_fd_is_ip(int fd)
{
	const struct pg_fd *f = pg_fd(fd);
	const struct pg_story *s = f ? pg_story_at(PG_GET(f->story)) : NULL;

	return s && (s->peer.family == AF_INET || s->peer.family == AF_INET6);
}

bool pg_fd_is_connecting(int fd)
{
	const struct pg_fd *f = pg_fd(fd);
	const struct pg_story *s = f ? pg_story_at(PG_GET(f->story)) : NULL;
	struct pg_stat st;

	return s && s->connecting && !pg_confined && !pg_fstat(fd, &st) && pg_story_is_of(s, &st);
}

void pg_fd_adopt(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	long ret = pg_confined ? -ENOTSOCK : pg_sys3(SYS_getpeername, fd, &ss, &len);
	struct pg_fd *f;
	struct pg_story *s;
	struct pg_stat st;

	if (ret == -ENOTSOCK || ret == -EBADF || pg_fstat(fd, &st))
		return;
	f = connection_record(fd, true);
	s = f ? pg_fd_story(fd, &st, true) : NULL;
	if (!s)
		return;
	s->foreign = true;
	if (!ret)
		pg_addr_set(&s->peer, (const struct sockaddr *)&ss, len);
}
