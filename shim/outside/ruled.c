/* SPDX-License-Identifier: MIT */
#include "outside/ruled.h"

#include "outside/frames.h"
#include "outside/memory.h"
#include "outside/move.h"
#include "outside/place.h"
#include "outside/sets.h"
#include "outside/stories.h"
#include "outside/tell.h"
#include "outside/thing.h"

#include "base/clock.h"
#include "fault/fault.h"
#include "log/site.h"
#include "object/listener.h"
#include "rules/conn.h"
#include "rules/live.h"
#include "rules/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/time.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- those that wait ---- */

static struct pg_ruled *waiting;

/* Descriptors are few: what waits for its time alone takes a copy again then. */
static bool needs_copy(const struct pg_ruled *c)
{
	return c->stage == PG_STAGE_HOLD || c->stage == PG_STAGE_MOVE;
}

static void add_waiting(struct pg_ruled *c)
{
	struct pg_ruled *kept = malloc(sizeof *kept);

	if (!kept) {
		c->way->go_on(c);
		return;
	}
	*kept = *c;
	kept->climbed = false; /* by then others have come */
	kept->op.object = &kept->object;
	if (c->plan.final) {
		kept->final = *c->plan.final;
		kept->plan.final = &kept->final;
	}
	if (needs_copy(c))
		c->copy = -1;
	else
		kept->copy = -1;
	kept->next = waiting;
	waiting = kept;
}

static void drop(struct pg_ruled **at)
{
	struct pg_ruled *c = *at;

	*at = c->next;
	if (c->copy >= 0)
		close(c->copy);
	free(c);
}

/* ---- signals in the kernel's place ---- */

/* Threads that are sent a SIGPIPE by us, or whose next one is to be taken away. */
enum { OWED = 256 };
static struct {
	int tid, rule;
	bool owed, spared;
} marks[OWED];

static void mark(int tid, bool owed, bool spared)
{
	unsigned at = (unsigned)tid % OWED;

	if (marks[at].tid != tid)
		marks[at].owed = marks[at].spared = false;
	marks[at].tid = tid;
	marks[at].owed |= owed;
	marks[at].spared |= spared;
}

static bool take_mark(int tid, bool *word)
{
	bool was = *word && marks[(unsigned)tid % OWED].tid == tid;

	*word = false;
	return was;
}

bool pg_ruled_owes(int tid, int *rule)
{
	*rule = marks[(unsigned)tid % OWED].rule;
	return take_mark(tid, &marks[(unsigned)tid % OWED].owed);
}

bool pg_ruled_spares(int tid)
{
	return take_mark(tid, &marks[(unsigned)tid % OWED].spared);
}

static void send_signal(const struct pg_ruled *c, int sig)
{
	pg_sys3(SYS_tgkill, c->of->pid, c->tid, sig);
}

/* ---- the object ---- */

/* The n-th stream connection of its side, in its process. */
static void number_connection(struct pg_ruled *c)
{
	struct pg_object *o = &c->object;
	struct pg_story *s = o->story;

	if (!s || s->number || !o->stream || !pg_kind_is_socket(o->kind) ||
	    (!o->peer.family && o->kind == PG_TCP) || c->op.call == PG_CALL_connect)
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
	s = pg_stories_of(o->dev, o->ino, true);
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
	if (pg_rules.streams)
		o->offset = (int64_t)(c->reads ? s->received : s->sent);
}

/* ---- what is told ---- */

static struct pg_event *event_of(const struct pg_ruled *c, enum pg_ev ev)
{
	struct pg_event *e = pg_tell_room(ev, c->of);

	e->call = c->op.call;
	e->fd = c->op.fd;
	e->len = c->op.bytes;
	e->object = c->object;
	return e;
}

/* What has become of the plan. */
static void tell(struct pg_ruled *c)
{
	struct pg_event *e;
	struct pg_place *first;

	if (!c->plan.tells)
		return;
	e = event_of(c, PG_EV_INJECT);
	e->rule = (int)c->plan.rule;
	e->failed = c->plan.failed;
	e->held = pg_plan_outcome(&c->plan);
	e->seeded = c->plan.seeded;
	c->of->told = true;
	if (c->climbed)
		pg_tell_stack(e);
	if (pg_site_count(e, (uintptr_t)e->hash, &first))
		pg_tell(c->of, c->tid, e);
	if (first)
		pg_site_describe(first, e, 0);
}

/* ---- the final action ---- */

static struct pg_ruled *placed; /* whose number is worked on */

static bool has_cloexec(const struct pg_ruled *c)
{
	char path[64], line[128];
	unsigned flags = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", c->tid, c->op.fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "flags: %o", &flags) == 1)
			break;
	if (f)
		fclose(f);
	return flags & O_CLOEXEC;
}

static int place(int from)
{
	long flags = pg_sys3(SYS_fcntl, placed->copy, F_GETFL, 0);
	struct pg_stat st;
	int ret, new;

	pg_sys3(SYS_fcntl, from, F_SETFL, flags & (O_NONBLOCK | O_APPEND));
	ret = placed->way->place(placed, from, has_cloexec(placed));
	new = ret < 0 ? ret : pg_thing_copy(placed->of, placed->tid, placed->op.fd);
	if (new < 0)
		return ret < 0 ? ret : 0;
	pg_sets_replace(placed->of, placed->op.fd, placed->copy, new);
	if (placed->object.story && !pg_fstat(new, &st))
		pg_stories_also(placed->object.story, st.dev, st.ino);
	close(new);
	return 0;
}

static void remember(struct pg_ruled *c)
{
	struct pg_story *s = c->object.story;

	if (!s)
		return;
	pg_story_broken(s, (int32_t)c->plan.rule);
	s->peer = c->object.peer;
	s->local = c->object.local;
	s->side = (uint8_t)c->object.side;
}

static int make(struct pg_ruled *c)
{
	enum pg_kind kind = c->object.kind;
	int waits = -1, ret;

	if (kind == PG_PIPE && (pg_sys3(SYS_fcntl, c->copy, F_GETFL, 0) & O_ACCMODE) == O_RDWR)
		return -EOPNOTSUPP;
	switch (c->plan.final->terminal) {
	case PG_F_RESET:
		ret = pg_fault_reset(c->copy, kind, !c->reads && !c->way->pipes_only, &waits);
		pg_fault_wake(waits);
		return ret;
	case PG_F_BREAK:
		return pg_fault_break(c->copy, kind);
	case PG_F_FIN:
		return pg_fault_fin(c->copy);
	case PG_F_LINGER:
		return pg_fault_linger(c->copy);
	default:
		return pg_fault_eof(c->copy, kind);
	}
}

static bool is_broken(const struct pg_ruled *c)
{
	return c->plan.final->terminal != PG_F_EOF && pg_look_is_broken(c->copy);
}

static void change(struct pg_ruled *c)
{
	bool ends = c->plan.final->terminal == PG_F_EOF;
	int ret;

	if (is_broken(c)) {
		c->plan.already = true;
		tell(c);
		c->way->go_on(c);
		return;
	}
	placed = c;
	pg_place_by(place);
	ret = make(c);
	pg_place_by(NULL);
	if (!ret && c->plan.final->terminal == PG_F_LINGER)
		pg_story_lingers(c->object.story);
	else if (!ret)
		remember(c);
	c->plan.failed = -ret;
	tell(c);
	if (ret || !ends || c->object.kind == PG_PIPE || !c->reads) {
		c->way->go_on(c);
		return;
	}
	pg_story_ended(c->object.story);
	c->way->answer(c, 0);
}

static bool is_blocked(int tid, int sig)
{
	return pg_tracee_masked(tid, "SigBlk:", sig);
}

/* An EPIPE that the kernel does not make: its signal comes from here, and where none can come the
 * event is told at once. */
static void fail_broken(struct pg_ruled *c)
{
	const struct pg_layout *l = pg_call_layout(c->op.call);
	int flags = l->flags >= 0 ? (int)c->op.arg[l->flags] : 0;
	bool signals = pg_plan_raises(c->op.call, flags, &c->object);
	struct pg_event *e;

	if (signals && !is_blocked(c->tid, SIGPIPE)) {
		mark(c->tid, true, false);
		marks[(unsigned)c->tid % OWED].rule = (int)c->plan.rule;
		send_signal(c, SIGPIPE);
		return;
	}
	e = event_of(c, PG_EV_EPIPE);
	e->ret = -1;
	e->err = EPIPE;
	e->signal = signals ? PG_SIG_BLOCKED : PG_SIG_NONE;
	e->object.rule = (int)c->plan.rule;
	pg_tell(c->of, c->tid, e);
}

static void fail(struct pg_ruled *c)
{
	int err = c->plan.final->error;

	tell(c);
	if (err == EPIPE && !c->reads && c->op.call != PG_CALL_connect) {
		if (c->object.kind == PG_PIPE && !c->op.bytes) {
			c->way->go_on(c);
			return;
		}
		fail_broken(c);
	}
	c->way->answer(c, -err);
}

static bool address_of(const struct pg_ruled *c, struct sockaddr_storage *ss)
{
	size_t n = (size_t)(uint32_t)c->op.arg[2];

	memset(ss, 0, sizeof *ss);
	return n >= sizeof(sa_family_t) && n <= sizeof *ss &&
	       pg_memory_read(c->of->pid, (uintptr_t)c->op.arg[1], ss, n);
}

static void wait_for_ever(struct pg_ruled *c)
{
	c->stage = PG_STAGE_STALL;
	c->events = 0;
	c->deadline = 0;
	add_waiting(c);
}

static void misconnect(struct pg_ruled *c)
{
	bool hangs = c->plan.final->terminal == PG_F_STALL;
	struct sockaddr_storage ss;
	int got;

	if (!address_of(c, &ss)) {
		c->way->go_on(c);
		return;
	}
	if (hangs && !c->nonblock) {
		remember(c);
		tell(c);
		wait_for_ever(c);
		return;
	}
	got = hangs ? pg_fault_hang(c->copy, &ss) : pg_fault_refuse(c->copy, &ss);
	if (got == -EAFNOSUPPORT)
		got = hangs ? -ETIMEDOUT : -ECONNREFUSED;
	remember(c);
	tell(c);
	c->way->answer(c, got);
}

/* How long the program itself lets the call wait; 0: for ever. */
static uint64_t patience(const struct pg_ruled *c)
{
	struct timeval t = {0, 0};
	socklen_t n = sizeof t;

	if (pg_kind_is_socket(c->object.kind))
		pg_sys5(SYS_getsockopt, c->copy, SOL_SOCKET, c->reads ? SO_RCVTIMEO : SO_SNDTIMEO,
			&t, &n);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

static void stall(struct pg_ruled *c)
{
	uint64_t ns = patience(c);
	bool accepts = c->op.call == PG_CALL_accept;

	tell(c);
	if (c->reads && !accepts && (pg_kind_is_socket(c->object.kind) || c->nonblock)) {
		placed = c;
		pg_place_by(place);
		pg_fault_silence(c->copy, c->object.kind);
		pg_place_by(NULL);
	}
	if (c->nonblock) {
		c->way->answer(c, -EAGAIN);
		return;
	}
	wait_for_ever(c);
	if (ns && waiting)
		waiting->deadline = pg_now() + ns;
}

/* ---- bytes ---- */

static void count(struct pg_ruled *c, int64_t n)
{
	struct pg_story *s = c->object.story;

	if (s && c->reads)
		s->received += (uint64_t)n;
	else if (s)
		s->sent += (uint64_t)n;
}

/* The reader leaves in the middle of a write: what was taken is returned, and a signal comes. */
static void break_midway(struct pg_ruled *c)
{
	int ret;

	placed = c;
	pg_place_by(place);
	ret = pg_fault_break(c->copy, c->object.kind);
	pg_place_by(NULL);
	if (!ret)
		remember(c);
	c->plan.failed = -ret;
	tell(c);
	if (ret)
		return;
	mark(c->tid, true, false);
	marks[(unsigned)c->tid % OWED].rule = (int)c->plan.rule;
	if (!is_blocked(c->tid, SIGPIPE))
		send_signal(c, SIGPIPE);
}

/* Of several messages the first, so that each meets the rules. */
static void answer_message(struct pg_ruled *c)
{
	uint32_t n = (uint32_t)c->done;

	pg_memory_write(c->of->pid, (uintptr_t)c->op.arg[1] + offsetof(struct mmsghdr, msg_len), &n,
			sizeof n);
	c->way->answer(c, 1);
}

/* True: it has been answered. */
static bool move_on(struct pg_ruled *c)
{
	int ret = pg_move(c);

	if (ret > 0)
		return false;
	count(c, c->done);
	if (ret < 0 && ret != -EAGAIN) { /* the kernel says the same, and signals */
		c->way->go_on(c);
		return true;
	}
	if (c->then_breaks && c->done == c->want)
		break_midway(c);
	if (ret >= 0 && c->op.call == PG_CALL_sendmmsg)
		answer_message(c);
	else
		c->way->answer(c, ret < 0 ? ret : c->done);
	return true;
}

/* Is C to move fewer bytes than it asked for? */
static bool is_cut(const struct pg_ruled *c)
{
	return c->op.bytes >= 0 && c->plan.most < (uint64_t)c->op.bytes;
}

static void start_moving(struct pg_ruled *c, bool breaks)
{
	c->stage = PG_STAGE_MOVE;
	c->done = 0;
	c->want = is_cut(c) ? (int64_t)c->plan.most : c->op.bytes;
	c->then_breaks = breaks;
	if (move_on(c))
		return;
	c->deadline = 0;
	if (patience(c))
		c->deadline = pg_now() + patience(c);
	add_waiting(c);
}

/* Are C's bytes to be moved here: fewer of them, other ones, or because they are counted? */
static bool is_moved(const struct pg_ruled *c)
{
	return c->op.bytes > 0 && c->op.call != PG_CALL_connect && c->op.call != PG_CALL_accept &&
	       (is_cut(c) || c->plan.garbage || pg_rules.streams) && pg_move_can(c);
}

/* ---- the plan, carried out ---- */

/* A signal that stops it, or ends it with a core: here, before the call. */
static bool halt(struct pg_ruled *c)
{
	if (c->plan.nosignal)
		mark(c->tid, false, true);
	if (!c->plan.stop && !c->plan.abort)
		return false;
	tell(c);
	c->plan.tells = false;
	if (c->plan.abort)
		send_signal(c, SIGABRT);
	if (c->plan.stop)
		send_signal(c, SIGSTOP);
	return !(c->plan.abort && is_blocked(c->tid, SIGABRT));
}

static void lose(struct pg_ruled *c)
{
	c->plan.lost = true;
	tell(c);
	c->done = c->op.bytes;
	if (c->op.call == PG_CALL_sendmmsg)
		answer_message(c);
	else
		c->way->answer(c, c->done);
}

static void finish(struct pg_ruled *c)
{
	enum pg_field what = c->plan.final ? c->plan.final->terminal : PG_F_COUNT;

	switch (what) {
	case PG_F_RESET:
	case PG_F_BREAK:
	case PG_F_FIN:
	case PG_F_EOF:
	case PG_F_LINGER:
		if (c->plan.midway && pg_move_can(c))
			start_moving(c, true);
		else
			change(c);
		return;
	case PG_F_DROP:
		lose(c);
		return;
	case PG_F_REFUSE:
		misconnect(c);
		return;
	case PG_F_STALL:
		if (c->op.call == PG_CALL_connect)
			misconnect(c);
		else
			stall(c);
		return;
	case PG_F_ERROR:
		fail(c);
		return;
	default:
		break;
	}
	if ((is_cut(c) || c->plan.garbage) && !is_moved(c))
		c->plan.failed = EOPNOTSUPP;
	tell(c);
	if (is_moved(c))
		start_moving(c, false);
	else
		c->way->go_on(c);
}

enum { RESTART = 513 }; /* ERESTARTNOINTR: the call is made again, when the signals are over */

/* What a stopped, or a parked, call comes to when it comes again. */
static void park(struct pg_ruled *c)
{
	c->way->answer(c, -RESTART);
	add_waiting(c);
	waiting->parked = true;
}

static void act(struct pg_ruled *c)
{
	if (c->plan.fires && halt(c)) {
		c->plan.stop = c->plan.abort = false;
		c->stage = PG_STAGE_DELAY;
		c->deadline = 1; /* at once */
		park(c);
		return;
	}
	finish(c);
}

static void hold(struct pg_ruled *c)
{
	if (!c->plan.hold ||
	    (c->object.kind == PG_TCP ? pg_look_hung_up(c->copy) : pg_look_is_broken(c->copy))) {
		c->plan.held = c->plan.hold ? PG_HELD : PG_NOT_HELD;
		act(c);
		return;
	}
	c->stage = PG_STAGE_HOLD;
	c->events = c->object.kind == PG_TCP ? POLLRDHUP : 0;
	c->deadline = pg_now() + c->plan.hold;
	add_waiting(c);
}

static void start(struct pg_ruled *c)
{
	if (!c->plan.delay) {
		hold(c);
		return;
	}
	c->stage = PG_STAGE_DELAY;
	c->events = 0;
	c->deadline = pg_now() + c->plan.delay;
	add_waiting(c);
}

/* ---- a call comes ---- */

bool pg_ruled_by_stack(void)
{
	for (unsigned i = 0; i < pg_rules.n; i++)
		if (pg_has(&pg_rules.rule[i], PG_F_CALLER) ||
		    pg_has(&pg_rules.rule[i], PG_F_STACK) || pg_has(&pg_rules.rule[i], PG_F_SITE))
			return true;
	return false;
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
	enum pg_shape shape = pg_call_layout(op->call)->shape;
	bool about = op->call == PG_CALL_connect || op->call == PG_CALL_accept;
	static char name[16];

	op->shape = shape == PG_BUF || shape == PG_IOV ? PG_IOV : PG_NOTHING;
	op->object = &c->object;
	op->copy = c->copy;
	op->bytes = about ? -1 : pg_thing_length(c->of->pid, op->call, op->arg, false);
	op->thread = (uint64_t)c->tid << 32 | (uint32_t)c->of->pid;
	op->thread_name = name;
	if (by_thread())
		pg_tracee_comm(c->tid, name);
	if (c->object.story)
		op->offset = c->reads ? c->object.story->received : c->object.story->sent;
}

static bool is_nonblock(const struct pg_ruled *c)
{
	const struct pg_layout *l = pg_call_layout(c->op.call);

	if (pg_kind_is_socket(c->object.kind) && l->flags >= 0 && l->shape != PG_NOTHING &&
	    c->op.arg[l->flags] & MSG_DONTWAIT)
		return true;
	return (pg_sys3(SYS_fcntl, c->copy, F_GETFL, 0) & O_NONBLOCK) != 0;
}

/* Of a connect, whom it asks. */
static void look_at_target(struct pg_ruled *c)
{
	struct sockaddr_storage ss;

	if (c->op.call != PG_CALL_connect)
		return;
	c->object.side = PG_CLIENT;
	if (address_of(c, &ss))
		pg_look_address(&c->object, (const struct sockaddr *)&ss, (size_t)c->op.arg[2]);
	if (c->object.story) {
		c->object.story->side = PG_CLIENT;
		c->object.story->number = 0;
		pg_conn_attempt(c->op.fd, &c->object);
	}
}

static bool is_ended(const struct pg_ruled *c)
{
	return c->reads && c->object.story && c->object.story->ended;
}

/* A pipe, where the call wants one at either end. */
static bool lacks_pipe(const struct pg_ruled *c)
{
	char path[64], link[16];
	ssize_t n;

	if (c->op.call == PG_CALL_tee || c->op.call == PG_CALL_vmsplice)
		return c->object.kind != PG_PIPE;
	if (c->op.call != PG_CALL_splice || c->object.kind == PG_PIPE)
		return false;
	snprintf(path, sizeof path, "/proc/%d/fd/%d", c->tid, (int)c->op.arg[0]);
	n = readlink(path, link, sizeof link);
	return n < 5 || memcmp(link, "pipe:", 5) != 0;
}

/* Is there a byte at ADDRESS? A page where there was one is not asked about again: what is taken
 * away later is counted once too often. */
static bool is_there(const struct pg_tracee *t, uintptr_t address)
{
	enum { PAGES = 1024, SHIFT = 12 };
	static uint64_t seen[PAGES];
	uint64_t key = pg_mix(pg_mix(1, (uint64_t)t->pid + (t->image << 32)), address >> SHIFT) | 1;
	char byte;

	if (seen[key >> 1 & (PAGES - 1)] == key)
		return true;
	if (!pg_memory_read(t->pid, address, &byte, 1))
		return false;
	seen[key >> 1 & (PAGES - 1)] = key;
	return true;
}

/* Would the kernel refuse C for what its object is, or for its arguments? Then no rule counts it.
 */
static bool is_unfit(const struct pg_ruled *c)
{
	const struct pg_layout *l = pg_call_layout(c->op.call);
	bool socket = pg_kind_is_socket(c->object.kind);
	bool of_sockets = l->shape == PG_MSG || (l->flags >= 0 && l->shape == PG_BUF);
	long flags;

	if (c->op.call == PG_CALL_connect || c->op.call == PG_CALL_accept)
		return !socket;
	if (l->shape != PG_NOTHING && c->op.bytes < 0)
		return true;
	if (l->shape == PG_BUF && c->op.bytes && !is_there(c->of, (uintptr_t)c->op.arg[l->data]))
		return true;
	if (socket || of_sockets)
		return !socket;
	flags = pg_sys3(SYS_fcntl, c->copy, F_GETFL, 0);
	return flags & O_PATH || (flags & O_ACCMODE) == (c->reads ? O_WRONLY : O_RDONLY) ||
	       lacks_pipe(c);
}

static void judge(struct pg_ruled *c)
{
	look(c, false);
	settle_side(&c->object);
	fill_op(c);
	if (is_unfit(c)) {
		c->way->go_on(c);
		return;
	}
	look_at_target(c);
	number_connection(c);
	if (is_ended(c)) {
		pg_fault_drain(c->copy, c->object.kind);
		c->way->answer(c, 0);
		return;
	}
	pg_plan_make(&c->plan, &c->op);
	if (c->plan.fires && c->plan.tells) {
		int rule = c->object.rule;
		struct pg_object before = c->object;

		look(c, true);
		settle_side(&c->object);
		c->object.rule = rule;
		if (c->op.call == PG_CALL_connect) {
			c->object.side = before.side;
			c->object.peer = before.peer;
			memcpy(c->object.peer_path, before.peer_path, sizeof before.peer_path);
		}
	}
	c->nonblock = c->plan.fires || pg_rules.streams ? is_nonblock(c) : false;
	if (!c->plan.fires && !is_moved(c))
		c->way->go_on(c);
	else
		start(c);
}

static bool has_words_of(const struct pg_ruled *c, const struct pg_ruled *come)
{
	return c->number == come->number && !memcmp(c->op.arg, come->op.arg, sizeof c->op.arg);
}

/* Does C's thread come again with a call that was parked? A handler of the signal may make others
 * before; a program that was told of the signal instead may never come, so few are kept. */
static bool comes_again(const struct pg_ruled *come)
{
	enum { NESTED = 4 };
	unsigned others = 0;

	for (struct pg_ruled **at = &waiting; *at;) {
		struct pg_ruled *c = *at;

		if (c->tid == come->tid && c->parked && has_words_of(c, come)) {
			c->id = come->id;
			c->parked = false;
			return true;
		}
		if (c->tid == come->tid && c->parked && ++others > NESTED)
			drop(at);
		else
			at = &c->next;
	}
	return false;
}

/* The rows of calls.def that the system call behind CALL may have been made by. */
static uint64_t rows_of(enum pg_call call)
{
	static uint64_t known[PG_CALL_COUNT];

	if (known[call])
		return known[call];
	for (int other = 1; other < PG_CALL_COUNT; other++)
		if (pg_call_number((enum pg_call)other) == pg_call_number(call) &&
		    pg_call_has_rules((enum pg_call)other) && other != PG_CALL_syscall &&
		    !pg_call_formats((enum pg_call)other))
			known[call] |= PG_BIT(other);
	return known[call];
}

static enum pg_call call_of(const struct pg_ruled *c, uint64_t *bits)
{
	enum pg_call call = pg_call_of_number(c->number);

#ifdef SYS_accept
	if (c->number == SYS_accept)
		call = PG_CALL_accept;
#endif
	*bits = rows_of(call);
	if (call == PG_CALL_send && c->op.arg[4]) {
		*bits = PG_BIT(PG_CALL_sendto);
		return PG_CALL_sendto;
	}
	if (call == PG_CALL_recv && c->op.arg[4]) {
		*bits = PG_BIT(PG_CALL_recvfrom);
		return PG_CALL_recvfrom;
	}
	return call;
}

/* Asks R nothing of what is behind the descriptor? */
static bool is_blind(const struct pg_rule *r)
{
	const uint64_t fields = (uint64_t)1 << PG_F_FD | (uint64_t)1 << PG_F_WHEN |
				(uint64_t)1 << PG_F_LIMIT | (uint64_t)1 << PG_F_PROB |
				(uint64_t)1 << PG_F_AFTER | (uint64_t)1 << PG_F_FOR |
				(uint64_t)1 << PG_F_COMM;
	const uint64_t actions = ~(uint64_t)0 << PG_F_HOLD;

	return !(r->fields & ~(fields | actions)) && r->able == PG_KINDS_ANY;
}

/* The calls all of whose rules are so: plain ones, that the kernel refuses for no object. */
static uint64_t blind_calls(void)
{
	static uint64_t calls;
	static uint32_t generation;
	static bool known;

	if (known && generation == pg_rules.generation)
		return calls;
	known = true;
	generation = pg_rules.generation;
	calls = PG_BIT(PG_CALL_write) | PG_BIT(PG_CALL_read);
	for (unsigned i = 0; i < pg_rules.n; i++)
		if (!is_blind(&pg_rules.rule[i]))
			calls &= ~pg_match_calls(&pg_rules.rule[i]);
	return calls;
}

/* Is it for no rule that watches C its turn, and nothing else to be asked? Then C is counted. What
 * a closed descriptor would refuse counts, too. */
static bool only_counts(const struct pg_ruled *c)
{
	static const struct pg_object any = {.ino = 1, .rule = -1};
	struct pg_op op = {
		.object = &any, .fd = (int)c->op.arg[0], .bits = c->op.bits, .bytes = -1};
	bool idle;

	if (!(blind_calls() & PG_BIT(c->op.call)) || !is_there(c->of, (uintptr_t)c->op.arg[1]))
		return false;
	pg_counts_take(pg_tracee_counts(c->of));
	idle = pg_turn_idle(&op);
	pg_counts_put_back(pg_tracee_counts(c->of));
	return idle;
}

static void come_now(const struct pg_ruled *come)
{
	struct pg_ruled c = *come;

	if (comes_again(come))
		return; /* it goes on in the next step */
	c.op.call = call_of(&c, &c.op.bits);
	c.reads = !pg_is_out(c.op.call) && c.op.call != PG_CALL_connect;
	pg_tracee_now = c.of;
	pg_tracee_name(c.of);
	if (!c.op.call || c.of->left_out || c.of->guarded || only_counts(&c)) {
		c.way->go_on(&c);
		return;
	}
	c.op.fd = (int)c.op.arg[pg_call_layout(c.op.call)->fd];
	c.copy = pg_thing_copy(c.of, c.tid, c.op.fd);
	if (c.copy < 0) { /* the kernel says what is wrong with it */
		c.way->go_on(&c);
		return;
	}
	pg_counts_take(pg_tracee_counts(c.of));
	judge(&c);
	pg_counts_put_back(pg_tracee_counts(c.of));
	if (c.copy >= 0)
		close(c.copy);
}

void pg_ruled_come(const struct pg_ruled *come)
{
	struct pg_rule_set *before = pg_live_enter();

	come_now(come);
	pg_live_leave(before);
}

/* ---- time passes ---- */

/* When those that wait are next asked whether they still do, and for signals. */
static uint64_t next_look;

unsigned pg_ruled_poll(struct pollfd *p, unsigned most, uint64_t *until)
{
	unsigned n = 0;
	uint64_t at = waiting ? next_look : 0;

	for (const struct pg_ruled *c = waiting; c; c = c->next) {
		if (!c->parked && c->deadline && c->deadline < at)
			at = c->deadline;
		if (!c->parked && n < most &&
		    (c->stage == PG_STAGE_HOLD || c->stage == PG_STAGE_MOVE))
			p[n++] = (struct pollfd){.fd = c->copy, .events = c->events};
	}
	if (at && (!*until || at < *until))
		*until = at;
	return n;
}

/* A signal that its thread would act on waits. */
static bool is_signalled(const struct pg_ruled *c)
{
	return pg_tracee_is_signalled(c->tid);
}

static bool has_come(const struct pg_ruled *c)
{
	struct pollfd p = {.fd = c->copy, .events = c->events};

	return poll(&p, 1, 0) == 1;
}

/* The copy that C gave up while it waited; false: C waits for a descriptor, or its number is
 * another object's by now. */
static bool has_copy_again(struct pg_ruled *c, uint64_t now)
{
	const uint64_t soon = 10000000; /* ns */
	struct pg_stat st;

	if (c->copy < 0)
		c->copy = pg_thing_copy(c->of, c->tid, c->op.fd);
	c->op.copy = c->copy > 0 ? c->copy : 0;
	if (c->copy == -EMFILE || c->copy == -ENFILE) {
		c->deadline = now + soon;
		add_waiting(c);
		return false;
	}
	if (c->copy >= 0 && !pg_fstat(c->copy, &st) && st.dev == c->object.dev &&
	    st.ino == c->object.ino)
		return true;
	c->way->go_on(c);
	return false;
}

/* C, which is in nobody's list any more. */
static void go_on_from(struct pg_ruled *c, uint64_t now)
{
	switch (c->stage) {
	case PG_STAGE_DELAY:
		if (has_copy_again(c, now))
			hold(c);
		return;
	case PG_STAGE_HOLD:
		c->plan.held = now >= c->deadline && !has_come(c) ? PG_HELD_IN_VAIN : PG_HELD;
		act(c);
		return;
	case PG_STAGE_STALL:
		c->way->answer(c, -EAGAIN);
		return;
	case PG_STAGE_MOVE:
		if (now >= c->deadline && c->deadline) {
			count(c, c->done);
			c->way->answer(c, c->done ? c->done : -EAGAIN);
		} else if (!move_on(c)) {
			add_waiting(c);
		}
		return;
	}
}

static bool is_due(const struct pg_ruled *c, uint64_t now)
{
	if (c->deadline && now >= c->deadline)
		return true;
	return (c->stage == PG_STAGE_HOLD || c->stage == PG_STAGE_MOVE) && has_come(c);
}

enum { INTERRUPTED = 512 }; /* ERESTARTSYS: as the kernel has it, by SA_RESTART */

/* Its thread is let go to the signal. */
static void interrupt(struct pg_ruled *c)
{
	bool waits = c->stage == PG_STAGE_STALL || c->stage == PG_STAGE_MOVE;

	if (c->stage == PG_STAGE_MOVE && c->done) {
		count(c, c->done);
		c->way->answer(c, c->done);
		return;
	}
	c->way->answer(c, waits ? -INTERRUPTED : -RESTART);
	add_waiting(c);
	waiting->parked = true;
}

/* Takes C out of the list and lets it go on; it may come in again. */
static void take(struct pg_ruled **at, void (*fn)(struct pg_ruled *, uint64_t), uint64_t now)
{
	struct pg_ruled c = **at, *old = *at;

	*at = old->next;
	free(old);
	c.op.object = &c.object;
	if (c.plan.final)
		c.plan.final = &c.final;
	pg_tracee_now = c.of;
	pg_counts_take(pg_tracee_counts(c.of));
	fn(&c, now);
	pg_counts_put_back(pg_tracee_counts(c.of));
	if (c.copy >= 0)
		close(c.copy);
}

static void interrupt_at(struct pg_ruled *c, uint64_t now)
{
	(void)now;
	interrupt(c);
}

/* Takes *AT out if its time has come, its call has gone, or, as far as LOOKS, a signal waits. */
static bool take_out(struct pg_ruled **at, uint64_t now, bool looks)
{
	struct pg_ruled *c = *at;
	bool due = !c->parked && is_due(c, now);

	if (c->parked || (!due && !looks))
		return false;
	if (!c->way->stands(c))
		drop(at);
	else if (due)
		take(at, go_on_from, now);
	else if (is_signalled(c))
		take(at, interrupt_at, now);
	else
		return false;
	return true;
}

static void step(bool looks)
{
	uint64_t now = pg_now();
	struct pg_ruled **at = &waiting;
	unsigned steps = 0;

	while (*at && steps++ < 4096)
		if (!take_out(at, now, looks))
			at = &(*at)->next;
}

/* Asking takes a while where many wait: a fifth of the time at the most. */
static void plan_look(uint64_t now)
{
	const uint64_t often = 20000000; /* ns */
	uint64_t took = pg_now() - now;

	next_look = now + took + (4 * took > often ? 4 * took : often);
}

void pg_ruled_step(void)
{
	struct pg_rule_set *before;
	uint64_t now;

	if (!waiting)
		return;
	now = pg_now();
	before = pg_live_enter();
	step(now >= next_look);
	pg_live_leave(before);
	if (now >= next_look)
		plan_look(now);
}

void pg_ruled_stops(int pid)
{
	struct pg_rule_set *before = pg_live_enter();
	struct pg_ruled **at = &waiting;
	uint64_t now = pg_now();

	while (*at)
		if ((*at)->parked || (*at)->of->pid != pid)
			at = &(*at)->next;
		else
			take(at, interrupt_at, now);
	pg_live_leave(before);
}

void pg_ruled_gone(int tid)
{
	for (struct pg_ruled **at = &waiting; *at;)
		if ((*at)->tid == tid || (*at)->of->pid == tid)
			drop(at);
		else
			at = &(*at)->next;
}
