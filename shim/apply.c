/* SPDX-License-Identifier: MIT */
#include "apply.h"

#include "fault.h"
#include "match.h"
#include "reseat.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/uio.h>

enum { IOVECS = 1024 }; /* IOV_MAX: the kernel takes no more */

/* What all rules together want done with one call. */
struct plan {
	const struct pg_rule *final; /* the first that fires with a final action */
	unsigned rule;		     /* of final, or the first that fires at all; from 0 */
	bool matches, fires;
	bool tells; /* more than an exemption, or a signal that may be taken away */
	uint64_t hold, delay;
	uint64_t most; /* bytes that the call may move; ~0: all */
	uint64_t garbage;
	bool nosignal, stop, abort;
	bool midway; /* final breaks a pipe inside this call */
};

/* ---- lengths ---- */

static uint64_t vector_bytes(const struct iovec *iov, uint64_t n, bool *readable)
{
	uint64_t sum = 0;
	struct iovec one;

	for (uint64_t i = 0; i < n && i < IOVECS; i++) {
		*readable = pg_fault_peek(&one, &iov[i], sizeof one);
		if (*readable && one.iov_len)
			*readable = pg_fault_readable(one.iov_base);
		if (!*readable)
			return 0;
		sum += one.iov_len;
	}
	return sum;
}

/* What OP asks for, its memory read as carefully as the kernel would. False: it would answer
 * EFAULT. */
static bool look_at_length(const struct pg_op *op, struct pg_candidate *c)
{
	struct msghdr msg;
	bool readable = true;

	c->length_known = op->len >= 0 || op->shape != PG_NOTHING;
	c->length = op->len > 0 ? (uint64_t)op->len : 0;
	if (op->shape == PG_BUF)
		return !c->length || pg_fault_readable(op->data);
	if (op->shape == PG_IOV)
		c->length = vector_bytes(op->data, op->count, &readable);
	if (op->shape != PG_MSG)
		return readable;
	if (!pg_fault_peek(&msg, op->data, sizeof msg))
		return false;
	c->length = vector_bytes(msg.msg_iov, (uint64_t)msg.msg_iovlen, &readable);
	return readable;
}

/* The vector of OP, and how many entries it has. */
static const struct iovec *vector_of(const struct pg_op *op, uint64_t *n)
{
	const struct msghdr *msg = op->data;

	*n = op->shape == PG_MSG ? (uint64_t)msg->msg_iovlen : op->count;
	return op->shape == PG_MSG ? msg->msg_iov : op->data;
}

/* ---- the plan ---- */

/* Actions that are not told when they fire: most calls they fire on are healthy. */
#define QUIET ((uint64_t)1 << (PG_F_NOSIGNAL - PG_F_HOLD) | (uint64_t)1 << (PG_F_PASS - PG_F_HOLD))

static void add_modifiers(struct plan *p, const struct pg_rule *r)
{
	if (r->hold > p->hold)
		p->hold = r->hold;
	p->delay += r->delay;
	if (pg_has(r, PG_F_TRICKLE)) {
		p->delay += r->trickle_every;
		p->most = r->trickle < p->most ? r->trickle : p->most;
	}
	if (pg_has(r, PG_F_SHORT) && r->shorten < p->most)
		p->most = r->shorten;
	if (pg_has(r, PG_F_GARBAGE))
		p->garbage = r->garbage;
	p->nosignal |= pg_has(r, PG_F_NOSIGNAL);
	p->stop |= pg_has(r, PG_F_STOP);
	p->abort |= pg_has(r, PG_F_ABORT);
	p->tells |= (r->fields >> PG_F_HOLD & ~QUIET) != 0;
}

/* The bytes before at= are delivered first: they may not pass it in one call. */
static void stop_at(struct plan *p, const struct pg_rule *r, const struct pg_candidate *c)
{
	if (!pg_has(r, PG_F_AT) || r->terminal == PG_F_PASS || !c->length_known ||
	    c->offset >= r->at || c->offset + c->length <= r->at)
		return;
	if (r->at - c->offset < p->most)
		p->most = r->at - c->offset;
}

/* Rule N, which fires. False: what follows is not asked. */
static bool add_rule(struct plan *p, unsigned n)
{
	const struct pg_rule *r = &pg_rules.rule[n];

	if (!p->fires)
		p->rule = n;
	p->fires = true;
	add_modifiers(p, r);
	if (r->terminal == PG_F_COUNT || p->final)
		return true;
	p->final = r;
	p->rule = n;
	return r->terminal != PG_F_PASS;
}

/* Would a reader that leaves be told of after a part of C? A pipe takes PIPE_BUF bytes whole
 * (pipe(7)); of more, a blocking write returns what was taken, and raises SIGPIPE. */
static bool breaks_midway(const struct pg_op *op, const struct pg_rule *r,
			  const struct pg_candidate *c)
{
	bool writes = op->shape == PG_BUF || (op->shape == PG_IOV && op->call != PG_CALL_vmsplice);

	return pg_has(r, PG_F_AT) && r->terminal == PG_F_BREAK && c->object->kind == PG_PIPE &&
	       writes && c->length > PIPE_BUF && c->offset < r->at &&
	       c->offset + c->length > r->at &&
	       !(pg_sys3(SYS_fcntl, op->fd, F_GETFL, 0) & O_NONBLOCK);
}

static void make_plan(struct plan *p, const struct pg_op *op, const struct pg_candidate *c,
		      uint64_t bit)
{
	*p = (struct plan){.most = UINT64_MAX};
	for (unsigned n = 0; n < pg_rules.n; n++) {
		const struct pg_rule *r = &pg_rules.rule[n];
		struct pg_candidate at = *c;

		if (!(r->calls & bit) || !pg_match(n, c))
			continue;
		p->matches = true;
		stop_at(p, r, c);
		if (breaks_midway(op, r, c))
			at.offset = r->at;
		if (!pg_match_fires(n, &at))
			continue;
		if (!add_rule(p, n))
			return;
		p->midway |= p->final == r && at.offset != c->offset;
	}
}

/* ---- doing it ---- */

static void remember(int fd, unsigned rule, uint64_t ino)
{
	struct pg_fd *f = pg_fd(fd);

	if (!f)
		return;
	f->rule = (uint8_t)rule;
	f->injected = ino;
	f->unruled = 0; /* it may be another object now */
}

/* The object that is behind FD now: a fault may have put another one there in the place of O, for
 * which the record then stands. */
static void remember_now(int fd, unsigned rule, const struct pg_object *o)
{
	struct pg_fd *f = pg_fd(fd);
	struct pg_stat st;

	if (!f || pg_fstat(fd, &st))
		return;
	remember(fd, rule, st.ino);
	if (o->tracked)
		f->local = o->local;
	if (f->ino == o->ino)
		f->ino = st.ino;
	if (f->seen_ino == o->ino)
		f->seen_ino = st.ino;
}

static struct pg_op decided(struct pg_op op, int64_t ret, int err)
{
	pg_fault_cancel_point();
	op.skip = true;
	op.result = ret;
	if (err)
		errno = err;
	return op;
}

/* error=EPIPE comes with the signal that the kernel would raise. A pipe takes no bytes without
 * looking for a reader. */
static struct pg_op fail(struct pg_op op, const struct plan *p, const struct pg_object *o,
			 const struct pg_candidate *c)
{
	int err = p->final->error;
	struct pg_hit hit = {.via = op.via,
			     .call = op.call,
			     .fd = op.fd,
			     .len = c->length_known ? (int64_t)c->length : -1,
			     .ret = -1,
			     .err = EPIPE,
			     .caller = c->caller};

	remember(op.fd, p->rule, o->ino);
	if (err == EPIPE && pg_is_out(op.call)) {
		if (o->kind == PG_PIPE && c->length_known && !c->length)
			return op;
		pg_guard_injected_epipe(&hit, pg_guard_raises(op.call, op.flags, o));
	}
	if (err == EAGAIN)
		pg_reseat_wake(op.fd);
	return decided(op, -1, err);
}

/* How long the program itself lets the call wait, in ns: SO_RCVTIMEO, SO_SNDTIMEO; 0: for ever. */
static uint64_t patience(int fd, bool reads)
{
	struct {
		long sec, usec;
	} t = {0, 0};
	socklen_t len = sizeof t;

	pg_sys5(SYS_getsockopt, fd, SOL_SOCKET, reads ? SO_RCVTIMEO : SO_SNDTIMEO, &t, &len);
	return (uint64_t)t.sec * 1000000000u + (uint64_t)t.usec * 1000u;
}

/* As if the peer sent, or took, nothing. What it did send, or its end, would make poll() say that
 * there is something to read, for ever: it goes. */
static struct pg_op stall(struct pg_op op, const struct pg_object *o)
{
	bool socket = o->kind >= PG_TCP && o->kind <= PG_SOCKET;
	bool reads = !pg_is_out(op.call);
	bool waits = !(socket && op.flags & MSG_DONTWAIT) &&
		     !(pg_sys3(SYS_fcntl, op.fd, F_GETFL, 0) & O_NONBLOCK);
	int err = waits ? pg_fault_stall(socket ? patience(op.fd, reads) : 0) : EAGAIN;
	struct pg_fd *f = pg_fd(op.fd);

	if (reads && (socket || !waits))
		pg_fault_silence(op.fd, o->kind);
	if (f)
		f->unruled = 0; /* it may be another object now */
	return decided(op, -1, err);
}

/* A connection that does not come about; OP's data is the address. */
static struct pg_op misconnect(struct pg_op op, const struct plan *p, const struct pg_object *o)
{
	bool hangs = p->final->terminal == PG_F_STALL;
	int got = hangs ? pg_fault_hang(op.fd, op.data) : pg_fault_refuse(op.fd, op.data);

	if (got == -EAFNOSUPPORT)
		got = hangs ? -ETIMEDOUT : -ECONNREFUSED;
	remember(op.fd, p->rule, o->ino);
	return decided(op, got < 0 ? -1 : 0, got < 0 ? -got : 0);
}

static struct pg_op end_reading(struct pg_op op, const struct pg_object *o)
{
	struct pg_fd *f = pg_fd(op.fd);

	pg_fault_eof(op.fd, o->kind);
	if (f && o->kind != PG_PIPE)
		f->ended = true, f->unruled = 0;
	return o->kind == PG_PIPE ? op : decided(op, 0, 0);
}

/* Once: a second reset would tell the error again. The object is remembered before a thread that
 * waits on it wakes: pg_guard_in tells it why. The read that a rule fires on is the one that is
 * told, so what waits unread is lost; at a write it is kept. */
static void reset(const struct pg_op *op, const struct plan *p, const struct pg_object *o)
{
	int waits;

	if (pg_guard_was_reset(op->fd))
		return;
	remember(op->fd, p->rule, o->ino);
	waits = pg_fault_reset(op->fd, o->kind, pg_is_out(op->call));
	remember_now(op->fd, p->rule, o);
	pg_fault_wake(waits);
}

/* The final action: the object is changed, or the result decided. */
static struct pg_op finish(struct pg_op op, const struct plan *p, const struct pg_object *o,
			   const struct pg_candidate *c)
{
	switch (p->final ? p->final->terminal : PG_F_COUNT) {
	case PG_F_RESET:
		reset(&op, p, o);
		break;
	case PG_F_BREAK:
		if (p->midway) {
			op.midway = true;
			op.rule = (uint8_t)p->rule;
			return op;
		}
		pg_fault_break(op.fd, o->kind);
		break;
	case PG_F_FIN:
		pg_fault_fin(op.fd);
		break;
	case PG_F_EOF:
		op = end_reading(op, o);
		break;
	case PG_F_DROP: /* of messages, the first */
		return decided(op, op.call == PG_CALL_sendmmsg ? 1 : (int64_t)c->length, 0);
	case PG_F_REFUSE:
		return misconnect(op, p, o);
	case PG_F_STALL:
		return op.call == PG_CALL_connect ? misconnect(op, p, o) : stall(op, o);
	case PG_F_ERROR:
		return fail(op, p, o, c);
	default:
		return op;
	}
	remember_now(op.fd, p->rule, o);
	return op;
}

static void signal_here(int sig)
{
	pg_sys3(SYS_tgkill, pg_sys0(SYS_getpid), pg_sys0(SYS_gettid), sig);
}

static void wait_as_asked(const struct pg_op *op, const struct plan *p, enum pg_kind kind,
			  struct pg_inject *inject)
{
	if (p->delay)
		pg_fault_sleep(p->delay);
	if (p->hold)
		inject->held = pg_fault_hold(op->fd, kind, p->hold) ? PG_HELD : PG_HELD_IN_VAIN;
}

static void halt_as_asked(const struct plan *p)
{
	if (p->stop)
		signal_here(SIGSTOP);
	if (p->abort)
		signal_here(SIGABRT);
	if (p->nosignal)
		pg_mark |= PG_MARK_NOSIGNAL;
}

static void tell(const struct pg_op *op, const struct plan *p, const struct pg_inject *inject,
		 const struct pg_candidate *c)
{
	struct pg_hit hit = {.via = op->via,
			     .call = op->call,
			     .fd = op->fd,
			     .len = c->length_known ? (int64_t)c->length : -1,
			     .caller = c->caller};
	struct pg_inject what = *inject;

	if (!p->tells)
		return;
	what.object = c->object;
	what.rule = p->rule;
	what.prob = pg_has(&pg_rules.rule[p->rule], PG_F_PROB);
	what.lost = p->final && p->final->terminal == PG_F_DROP;
	pg_guard_tell_inject(&hit, &what);
}

/* At most P's bytes. Messages go one by one, so that each meets the rules. */
static void shorten(struct pg_op *op, const struct plan *p, const struct pg_candidate *c)
{
	bool messages = op->call == PG_CALL_sendmmsg && op->len > 0 && p->matches;

	if (op->skip || !c->length_known || (p->most >= c->length && !messages))
		return;
	op->len = (int64_t)(p->most < c->length ? p->most : c->length);
	op->clamped = true;
	pg_reseat_wake(op->fd); /* epoll(7): a short count is taken for "no more for now" */
}

/*
 * The plan is told before it is carried out, since stop and abort, and a
 * write that kills, leave no time after; but a hold is told when it is over.
 */
static struct pg_op carry_out(struct pg_op op, const struct plan *p, const struct pg_object *o,
			      const struct pg_candidate *c)
{
	struct pg_inject inject = {.held = PG_NOT_HELD};

	if (p->fires) {
		if (!p->hold)
			tell(&op, p, &inject, c);
		wait_as_asked(&op, p, o->kind, &inject);
		if (p->hold)
			tell(&op, p, &inject, c);
		halt_as_asked(p);
		op.garbage = p->garbage;
		op = finish(op, p, o, c);
	}
	shorten(&op, p, c);
	return op;
}

/* What no rule can reach is not looked at again, see PG_ASIDE; but after the end of its reading
 * every call is. */
static void judge(struct pg_fd *f, const struct pg_candidate *c)
{
	uint64_t possible;

	if (f && !pg_watch_all && !f->ended && pg_match_possible(c, &possible))
		f->unruled = ~possible;
}

/* Offsets count from where the descriptor began, or, if that is not known, from where its number
 * was last closed, or from the first call that a rule saw. */
static void bases(struct pg_fd *f, const struct pg_object *o)
{
	if (!f || f->seen_ino == o->ino)
		return;
	f->seen_ino = o->ino;
	f->base = o->tracked ? 0 : f->unsure ? f->closed : f->sent;
	f->received = 0;
	f->ended = false;
}

/* ---- writing and reading ---- */

struct pg_op pg_apply_out(struct pg_op op, uint64_t bit, uintptr_t caller)
{
	struct pg_object o;
	struct pg_candidate c = {.object = &o, .fd = op.fd, .caller = caller - 1};
	struct pg_fd *f = pg_fd(op.fd);
	struct plan p;
	int saved = errno;

	if (pg_confined)
		return op;
	pg_fd_look(op.fd, &o);
	/* What the kernel refuses for its arguments is the kernel's to refuse. */
	if (!o.ino || !look_at_length(&op, &c))
		return op;
	bases(f, &o);
	judge(f, &c);
	c.offset = f ? f->sent - f->base : 0;
	make_plan(&p, &op, &c, bit);
	op = carry_out(op, &p, &o, &c);
	if (!op.skip || op.result >= 0)
		errno = saved;
	return op;
}

/* Where no signal handler runs, libc's stdio goes on after a short write, and breaks by the next.
 */
static bool signal_acts(void)
{
	enum pg_signal outcome = pg_sigpipe_outcome();

	return outcome != PG_SIG_IGNORED && outcome != PG_SIG_BLOCKED;
}

void pg_apply_midway(const struct pg_op *op, int64_t len, int64_t ret, uintptr_t caller)
{
	struct pg_hit hit = {.via = op->via,
			     .call = op->call,
			     .fd = op->fd,
			     .len = len,
			     .ret = ret,
			     .caller = caller - 1};
	struct pg_object o;
	int saved = errno;

	if (ret != op->len)
		return;
	pg_fd_look(op->fd, &o);
	pg_fault_break(op->fd, PG_PIPE);
	remember_now(op->fd, op->rule, &o);
	if (op->via != PG_VIA_STDIO || signal_acts())
		pg_guard_injected_epipe(&hit, true);
	errno = saved;
}

struct pg_op pg_apply_in(struct pg_op op, uint64_t bit, uintptr_t caller)
{
	struct pg_object o;
	struct pg_candidate c = {.object = &o, .fd = op.fd, .caller = caller - 1};
	struct pg_fd *f = pg_fd(op.fd);
	struct plan p;
	int saved = errno;

	if (pg_confined)
		return op;
	pg_fd_look(op.fd, &o);
	if (!o.ino || !look_at_length(&op, &c))
		return op;
	bases(f, &o);
	judge(f, &c);
	c.offset = f ? f->received : 0;
	op.watched = true;
	if (f && f->ended) {
		pg_fault_drain(op.fd, o.kind);
		return decided(op, 0, 0);
	}
	make_plan(&p, &op, &c, bit);
	op = carry_out(op, &p, &o, &c);
	if (!op.skip || op.result >= 0)
		errno = saved;
	return op;
}

/* Bytes of a generator that starts from the seed: the same in every run. */
static void fill(unsigned char *buf, uint64_t n, uint64_t *state)
{
	for (uint64_t i = 0; i < n; i++) {
		*state = *state * 6364136223846793005u + 1442695040888963407u;
		buf[i] = (unsigned char)(*state >> 56);
	}
}

/* The first N bytes that the kernel has put into OP's memory. */
static void spoil(const struct pg_op *op, uint64_t n, uint64_t state)
{
	uint64_t count;
	const struct iovec *iov;

	if (op->shape == PG_BUF)
		fill((unsigned char *)(uintptr_t)op->data, n, &state);
	if (op->shape != PG_IOV && op->shape != PG_MSG)
		return;
	iov = vector_of(op, &count);
	for (uint64_t i = 0; i < count && n; i++) {
		uint64_t part = iov[i].iov_len < n ? iov[i].iov_len : n;

		fill(iov[i].iov_base, part, &state);
		n -= part;
	}
}

void pg_apply_read(const struct pg_op *op, int64_t ret)
{
	struct pg_fd *f = pg_fd(op->fd);
	uint64_t n = (uint64_t)ret < op->garbage ? (uint64_t)ret : op->garbage;

	if (ret <= 0 || op->skip)
		return;
	if (n)
		spoil(op, n, pg_config.seed + (f ? f->received : 0) + 1);
	if (f && !(op->flags & MSG_PEEK))
		f->received += (uint64_t)ret;
}

void pg_apply_start(void)
{
	pg_match_start();
	pg_fault_start();
	for (unsigned n = 0; n < pg_rules.n; n++)
		pg_ruled |= pg_match_calls(&pg_rules.rule[n]);
}

/* ---- connect and accept ---- */

/* The object that FD will be connected to. False: the kernel is to refuse the arguments. */
static PG_COLD bool look_at_target(int fd, const struct sockaddr *addr, socklen_t len,
				   struct pg_object *o)
{
	struct sockaddr_storage to;

	if (len < sizeof(sa_family_t) || len > sizeof to || !pg_fault_peek(&to, addr, len))
		return false;
	pg_fd_look(fd, o);
	o->side = PG_CLIENT;
	pg_fd_address(o, (const struct sockaddr *)&to, len);
	return o->ino;
}

bool pg_apply_connect(enum pg_call call, int fd, const struct sockaddr *addr, socklen_t len,
		      int *ret, uintptr_t caller)
{
	struct pg_object o;
	struct pg_op op = {.call = call, .fd = fd, .len = -1, .data = addr};
	struct pg_candidate c = {.object = &o, .fd = fd, .caller = caller - 1};
	struct plan p;
	int saved = errno;

	if (pg_confined || pg_fd_is_connecting(fd) || !look_at_target(fd, addr, len, &o))
		return false;
	pg_match_attempt(fd, &o);
	make_plan(&p, &op, &c, PG_BIT(call));
	op = carry_out(op, &p, &o, &c);
	if (!op.skip)
		errno = saved;
	*ret = (int)op.result;
	return op.skip;
}

bool pg_apply_accept(enum pg_call call, int fd, uintptr_t caller)
{
	struct pg_object o;
	struct pg_op op = {.call = call, .fd = fd, .len = -1};
	struct pg_candidate c = {.object = &o, .fd = fd, .caller = caller - 1};
	struct plan p;
	int saved = errno;

	if (pg_confined)
		return false;
	pg_fd_look(fd, &o);
	if (!o.ino)
		return false;
	o.side = PG_SERVER;
	make_plan(&p, &op, &c, PG_BIT(call));
	op = carry_out(op, &p, &o, &c);
	if (!op.skip)
		errno = saved;
	return op.skip;
}
