/* SPDX-License-Identifier: MIT */
#include "outside/seen.h"

#include "outside/between.h"
#include "outside/bytes.h"
#include "outside/narrow.h"
#include "outside/stories.h"
#include "outside/thing.h"

#include "object/listener.h"
#include "rules/conn.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The n-th stream connection of its side, in its process. */
static void number_connection(struct pg_ruled *c)
{
	struct pg_object *o = &c->object;
	struct pg_story *s = o->story;

	if (!s || s->number || !o->stream || !pg_kind_is_socket(o->kind) ||
	    (!o->peer.family && o->kind == PG_TCP) || pg_connects(c->op.call))
		return;
	s->side = (uint8_t)o->side;
	s->peer = o->peer;
	s->local = o->local;
	s->number = ++c->of->connections[o->side == PG_SERVER];
	o->number = s->number;
	pg_conn_stands(c->op.fd, o);
}

/* Whoever's port nobody listens on made the connection; a unix socket has the name of what was
 * listened on, or its peer has it. */
static void settle_side(struct pg_object *o)
{
	const struct pg_story *s = o->story;

	if (s && s->side != PG_NO_SIDE)
		o->side = (enum pg_side)s->side;
	else if (o->kind == PG_UNIX && o->stream)
		o->side = o->peer_path[0] ? PG_CLIENT : o->local_path[0] ? PG_SERVER : PG_NO_SIDE;
	else if (o->kind == PG_TCP && o->peer.family && o->side == PG_NO_SIDE)
		o->side = pg_listens_at(&o->local) ? PG_SERVER : PG_CLIENT;
}

/* The names of both ends, where a rule asks which side it is. */
static unsigned by_connection(void)
{
	for (unsigned i = 0; i < pg_rules.n; i++)
		if (pg_has(&pg_rules.rule[i], PG_F_SIDE) || pg_has(&pg_rules.rule[i], PG_F_CONN))
			return PG_LOOK_KIND | PG_LOOK_NAMES;
	return 0;
}

/* ALL: for an event; else what the rules want to know. */
static void look(struct pg_ruled *c, bool all)
{
	struct pg_object *o = &c->object;
	struct pg_story *s;

	if (all)
		pg_thing_by_copy(c->of, c->copy, o);
	else
		pg_look_for(c->copy, o, pg_rules.wants | by_connection(), false);
	s = pg_stories_of(o, true);
	o->story = s;
	if (!s)
		return;
	if (s->generation != (uint32_t)c->of->image) { /* bytes count from a program's start on */
		s->generation = (uint32_t)c->of->image;
		s->sent = s->received = 0;
	}
	if (!o->peer.family)
		o->peer = s->peer;
	if (!o->local.family && s->injected)
		o->local = s->local;
	o->number = s->number;
	o->rule = s->injected ? s->rule : -1;
	o->sent = o->offset = -1;
	if (pg_rules.streams[c->reads])
		o->offset = (int64_t)(c->reads ? s->received : s->sent);
}

static bool by_thread(void)
{
	for (unsigned i = 0; i < pg_rules.n; i++)
		if (pg_has(&pg_rules.rule[i], PG_F_THREAD))
			return true;
	return false;
}

/* What rules see of C. Its memory is another process's: an empty vector stands for it. */
static void fill_op(struct pg_ruled *c)
{
	struct pg_op *op = &c->op;
	enum pg_shape shape = pg_call_raw_layout(op->call)->shape;
	static char name[16];

	op->shape = shape == PG_BUF || shape == PG_IOV ? PG_IOV : PG_NOTHING;
	op->object = &c->object;
	op->copy = c->copy;
	op->bytes = -1;
	if (pg_moves(op->call))
		op->bytes = pg_thing_length(pg_tracee_by(c->of), op->call, op->arg, c->narrow);
	op->thread = (uint64_t)c->tid << 32 | (uint32_t)c->of->pid;
	op->thread_name = name;
	if (by_thread())
		pg_tracee_comm(c->tid, name);
	if (c->object.story)
		op->offset = c->reads ? c->object.story->received : c->object.story->sent;
}

bool pg_see_nonblock(const struct pg_ruled *c)
{
	const struct pg_layout *l = pg_call_raw_layout(c->op.call);

	if (pg_between_flagged(c) || c->op.call == PG_CALL_vmsplice)
		return pg_between_flagged(c); /* a vmsplice asks for no more */

	if (pg_kind_is_socket(c->object.kind) && l->flags >= 0 && l->shape != PG_NOTHING &&
	    c->op.arg[l->flags] & MSG_DONTWAIT)
		return true;
	return (pg_sys3(SYS_fcntl, c->copy, F_GETFL, 0) & O_NONBLOCK) != 0;
}

bool pg_see_address(const struct pg_ruled *c, struct sockaddr_storage *ss)
{
	size_t n = (size_t)(uint32_t)c->op.arg[2];

	memset(ss, 0, sizeof *ss);
	return n >= sizeof(sa_family_t) && n <= sizeof *ss &&
	       pg_bytes_read(pg_tracee_by(c->of), (uintptr_t)c->op.arg[1], ss, n);
}

/* Of a connect, whom it asks. */
static void look_at_target(struct pg_ruled *c)
{
	struct sockaddr_storage ss;

	if (!pg_connects(c->op.call))
		return;
	c->object.side = PG_CLIENT;
	if (pg_see_address(c, &ss))
		pg_look_address(&c->object, (const struct sockaddr *)&ss, (size_t)c->op.arg[2]);
	if (c->object.story) {
		c->object.story->side = PG_CLIENT;
		c->object.story->number = 0;
		if (c->stage != PG_STAGE_STACK) /* which comes again */
			pg_conn_attempt(c->op.fd, &c->object);
	}
}

bool pg_see_message(const struct pg_ruled *c, struct msghdr *m)
{
	uintptr_t at = (uintptr_t)c->op.arg[pg_call_raw_layout(c->op.call)->data];
	int by = pg_tracee_by(c->of);

	return c->narrow ? pg_narrow_message(by, at, m) : pg_bytes_read(by, at, m, sizeof *m);
}

/* The place of ADDRESS's page among those that were asked about, and what is there if it was. */
static uint64_t *seen_page(const struct pg_tracee *t, uintptr_t address, uint64_t *key)
{
	enum { PAGES = 1024, SHIFT = 12 };
	static uint64_t seen[PAGES];

	*key = pg_mix(pg_mix(1, (uint64_t)t->pid + (t->image << 32)), address >> SHIFT) | 1;
	return &seen[*key >> 1 & (PAGES - 1)];
}

bool pg_see_known_byte(const struct pg_tracee *t, uintptr_t address)
{
	uint64_t key;

	return *seen_page(t, address, &key) == key;
}

/* What is taken away later is counted once too often. */
bool pg_see_byte(const struct pg_tracee *t, uintptr_t address)
{
	uint64_t key, *seen = seen_page(t, address, &key);
	char byte;

	if (*seen == key)
		return true;
	if (!pg_bytes_read(pg_tracee_by(t), address, &byte, 1))
		return false;
	*seen = key;
	return true;
}

/* As for the library: what the kernel is to refuse is nobody. */
static bool asks_somebody(const struct pg_ruled *c)
{
	struct pg_addr peer = {0};
	struct sockaddr_storage ss;

	if (!pg_see_address(c, &ss))
		return false;
	pg_addr_set(&peer, (const struct sockaddr *)&ss, (size_t)c->op.arg[2]);
	return ss.ss_family == AF_UNIX || peer.family;
}

/* Would the kernel refuse C for what its object is, or for its arguments? Then no rule counts it.
 */
static bool is_unfit(struct pg_ruled *c)
{
	const struct pg_layout *l = pg_call_raw_layout(c->op.call);
	bool socket = pg_kind_is_socket(c->object.kind);
	bool of_sockets = l->shape == PG_MSG || (l->flags >= 0 && l->shape == PG_BUF);
	enum { KNOWN = 15 /* of SPLICE_F_* */, ADDRESS = 47 /* bits of memory's, and more */ };
	long flags;

	if (!pg_moves(c->op.call))
		return !socket || (pg_connects(c->op.call) && !asks_somebody(c));
	if (l->shape != PG_NOTHING && (c->op.bytes < 0 || c->op.bytes >> ADDRESS))
		return true;
	if (l->shape == PG_BUF && c->op.bytes && !pg_see_byte(c->of, (uintptr_t)c->op.arg[l->data]))
		return true;
	if (pg_between_flags(c) & ~KNOWN ||
	    (c->op.call == PG_CALL_vmsplice && c->object.kind != PG_PIPE))
		return true;
	if (pg_between(c) && pg_between_unfit(c))
		return true;
	if (socket || of_sockets)
		return !socket;
	flags = pg_sys3(SYS_fcntl, c->copy, F_GETFL, 0);
	return flags & O_PATH || (flags & O_ACCMODE) == (c->reads ? O_WRONLY : O_RDONLY);
}

bool pg_see_call(struct pg_ruled *c)
{
	look(c, false);
	settle_side(&c->object);
	fill_op(c);
	if (is_unfit(c))
		return false;
	if (c->op.bytes < 0 && pg_between(c))
		c->op.bytes = INT64_MAX; /* as many as there are */
	look_at_target(c);
	number_connection(c);
	return true;
}

void pg_see_all(struct pg_ruled *c)
{
	int rule = c->object.rule;
	struct pg_object before = c->object;

	look(c, true);
	settle_side(&c->object);
	c->object.rule = rule;
	if (pg_connects(c->op.call)) {
		c->object.side = before.side;
		c->object.peer = before.peer;
		memcpy(c->object.peer_path, before.peer_path, sizeof before.peer_path);
	}
}
