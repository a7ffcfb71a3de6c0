/* SPDX-License-Identifier: MIT */
#include "apply.h"

#include "fault.h"
#include "match.h"

#include <signal.h>
#include <string.h>
#include <sys/uio.h>

/* What all rules together want done with one call. */
struct plan {
	const struct pg_rule *final; /* the first that fires with a final action */
	unsigned rule;		     /* of final, or the first that fires at all; from 0 */
	bool fires;
	uint64_t hold, delay;
	uint64_t most; /* bytes that the call may move; ~0: all */
	uint64_t garbage;
	bool nosignal, log, stop, abort;
};

/* ---- lengths ---- */

/* Bytes of the vector or message, read as carefully as the kernel would. False: it would answer an
 * error. */
static bool vector_length(const struct pg_op *op, uint64_t *length)
{
	struct iovec one;
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)op->vector, .msg_iovlen = 0};
	uint64_t n = op->count;

	if (!n) {
		if (!pg_fault_peek(&msg, op->vector, sizeof msg))
			return false;
		n = (uint64_t)msg.msg_iovlen;
	}
	*length = 0;
	for (uint64_t i = 0; i < n && i < 1024; i++) {
		if (!pg_fault_peek(&one, &msg.msg_iov[i], sizeof one))
			return false;
		*length += one.iov_len;
	}
	return true;
}

int pg_apply_clamp(const struct pg_op *op, void *room)
{
	struct iovec *to = room;
	const struct iovec *from = op->vector;
	uint64_t left = (uint64_t)op->len;
	int n = 0;

	if (!op->count)
		from = ((const struct msghdr *)op->vector)->msg_iov;
	for (; left && n < PG_CLAMP; n++) {
		to[n] = from[n];
		if (to[n].iov_len > left)
			to[n].iov_len = left;
		left -= to[n].iov_len;
	}
	return n;
}

/* ---- the plan ---- */

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
	p->log |= pg_has(r, PG_F_LOG);
	p->stop |= pg_has(r, PG_F_STOP);
	p->abort |= pg_has(r, PG_F_ABORT);
}

/* The bytes before at= are delivered first: they may not pass it in one call. */
static void stop_at(struct plan *p, const struct pg_rule *r, const struct pg_candidate *c)
{
	if (!pg_has(r, PG_F_AT) || c->offset >= r->at || c->offset + c->length <= r->at)
		return;
	if (r->at - c->offset < p->most)
		p->most = r->at - c->offset;
}

static void make_plan(struct plan *p, const struct pg_candidate *c, uint64_t bit)
{
	*p = (struct plan){.most = UINT64_MAX};
	for (unsigned n = 0; n < pg_rules.n; n++) {
		const struct pg_rule *r = &pg_rules.rule[n];

		if (!(r->calls & bit) || !pg_match(r, c, false))
			continue;
		stop_at(p, r, c);
		if (!pg_match_fires(r, n, c))
			continue;
		if (!p->fires)
			p->rule = n;
		p->fires = true;
		if (r->terminal == PG_F_PASS && !p->final)
			return;
		add_modifiers(p, r);
		if (r->terminal == PG_F_COUNT || p->final)
			continue;
		p->final = r;
		p->rule = n;
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
}

/* The object that is behind FD now: break on a pipe puts another one there. */
static void remember_now(int fd, unsigned rule)
{
	struct pg_stat st;

	if (!pg_fstat(fd, &st))
		remember(fd, rule, st.ino);
}

/* error=EPIPE comes with the signal that the kernel would raise: on pipes and stream sockets. */
static void raise_if_due(const struct pg_op *op, const struct pg_object *o)
{
	struct pg_hit hit = {.via = op->via,
			     .call = op->call,
			     .fd = op->fd,
			     .len = op->len,
			     .ret = -1,
			     .err = EPIPE};

	remember(op->fd, 0, o->ino);
	pg_guard_injected_epipe(&hit, o->stream && !(op->flags & MSG_NOSIGNAL));
}

static struct pg_op decided(struct pg_op op, int64_t ret, int err)
{
	op.skip = true;
	op.result = ret;
	if (err)
		errno = err;
	return op;
}

/* The final action; the object is changed, or the result decided. */
static struct pg_op finish(struct pg_op op, const struct plan *p, const struct pg_object *o,
			   uint64_t length)
{
	int saved = errno;

	switch (p->final ? p->final->terminal : PG_F_COUNT) {
	case PG_F_RESET:
		pg_fault_reset(op.fd, o->kind);
		break;
	case PG_F_BREAK:
		pg_fault_break(op.fd, o->kind);
		break;
	case PG_F_FIN:
		pg_fault_fin(op.fd);
		break;
	case PG_F_EOF:
		pg_fault_eof(op.fd, o->kind);
		break;
	case PG_F_DROP:
		return decided(op, (int64_t)length, 0);
	case PG_F_STALL:
		return decided(op, -1, pg_fault_stall(op.fd));
	case PG_F_ERROR:
		if (p->final->error == EPIPE && pg_is_out(op.call))
			raise_if_due(&op, o);
		remember(op.fd, p->rule, o->ino);
		return decided(op, -1, p->final->error);
	default:
		errno = saved;
		return op;
	}
	remember_now(op.fd, p->rule);
	errno = saved;
	return op;
}

static void do_modifiers(const struct pg_op *op, const struct plan *p, struct pg_inject *inject)
{
	if (p->stop)
		pg_sys3(SYS_tgkill, pg_sys0(SYS_getpid), pg_sys0(SYS_gettid), SIGSTOP);
	if (p->abort)
		pg_sys3(SYS_tgkill, pg_sys0(SYS_getpid), pg_sys0(SYS_gettid), SIGABRT);
	if (p->delay)
		pg_fault_sleep(p->delay);
	if (p->hold)
		inject->held = pg_fault_hold(op->fd, p->hold) ? PG_HELD : PG_HELD_IN_VAIN;
	if (p->nosignal)
		pg_mark |= PG_MARK_NOSIGNAL;
}

static void tell(const struct pg_op *op, const struct plan *p, const struct pg_inject *inject)
{
	struct pg_hit hit = {
		.via = op->via, .call = op->call, .fd = op->fd, .len = op->len, .ret = 0};
	struct pg_inject what = *inject;

	what.rule = p->rule;
	what.prob = pg_has(&pg_rules.rule[p->rule], PG_F_PROB);
	pg_guard_tell_inject(&hit, &what);
}

/*
 * The plan is told before it is carried out, since stop and abort, and a
 * write that kills, leave no time after; but a hold is told when it is over.
 */
static struct pg_op carry_out(struct pg_op op, const struct plan *p, const struct pg_object *o,
			      uint64_t length)
{
	struct pg_inject inject = {.held = PG_NOT_HELD};
	int saved = errno;

	if (!p->fires)
		return op;
	if (!p->hold)
		tell(&op, p, &inject);
	do_modifiers(&op, p, &inject);
	if (p->hold)
		tell(&op, p, &inject);
	errno = saved;
	op.garbage = p->garbage;
	return finish(op, p, o, length);
}

static void shorten(struct pg_op *op, const struct plan *p, uint64_t length)
{
	if (op->skip || p->most >= length)
		return;
	op->len = (int64_t)p->most;
	op->clamped = true;
}

/* Offsets count from where the descriptor began, or from the first call that a rule saw if that is
 * not known. */
static void bases(struct pg_fd *f, const struct pg_object *o)
{
	if (!f || f->seen_ino == o->ino)
		return;
	f->seen_ino = o->ino;
	f->base = o->tracked ? 0 : f->sent;
	f->received = 0;
}

struct pg_op pg_apply_out(struct pg_op op, uint64_t bit, uintptr_t caller)
{
	struct pg_object o;
	struct pg_candidate c = {.object = &o,
				 .fd = op.fd,
				 .caller = caller - 1,
				 .length = (uint64_t)op.len,
				 .length_known = true};
	struct pg_fd *f = pg_fd(op.fd);
	struct plan p;
	int saved = errno;

	pg_fd_look(op.fd, &o);
	/* What the kernel refuses for its arguments is the kernel's to refuse. */
	if (!o.ino || (op.vector && !vector_length(&op, &c.length)))
		return op;
	bases(f, &o);
	c.offset = f ? f->sent - f->base : 0;
	make_plan(&p, &c, bit);
	errno = saved;
	op = carry_out(op, &p, &o, c.length);
	shorten(&op, &p, c.length);
	return op;
}

/* A received RST leaves readable what came before it: the reset waits until that is read. */
static bool arm(struct pg_fd *f, const struct plan *p, const struct pg_object *o)
{
	if (!f || !p->final || p->final->terminal != PG_F_RESET || o->unread <= 0)
		return false;
	f->armed = (uint8_t)(p->rule + 1);
	return true;
}

/* A reset that waited: due once nothing waits unread any more. */
static bool due(struct pg_fd *f, struct plan *p, const struct pg_object *o)
{
	if (!f || !f->armed || o->unread > 0)
		return false;
	p->rule = f->armed - 1u;
	p->final = &pg_rules.rule[p->rule];
	p->fires = true;
	f->armed = 0;
	return true;
}

struct pg_op pg_apply_in(struct pg_op op, uintptr_t caller)
{
	struct pg_object o;
	struct pg_candidate c = {.object = &o,
				 .fd = op.fd,
				 .caller = caller - 1,
				 .length = (uint64_t)op.len,
				 .length_known = true};
	struct pg_fd *f = pg_fd(op.fd);
	struct plan p = {.most = UINT64_MAX};
	int saved = errno;

	pg_fd_look(op.fd, &o);
	if (!o.ino || (op.vector && !vector_length(&op, &c.length)))
		return op;
	bases(f, &o);
	c.offset = f ? f->received : 0;
	op.watched = true;
	if (!due(f, &p, &o)) {
		if (f && f->armed)
			return op;
		make_plan(&p, &c, PG_BIT(op.call));
		if (arm(f, &p, &o))
			return op;
	}
	errno = saved;
	op = carry_out(op, &p, &o, c.length);
	shorten(&op, &p, c.length);
	return op;
}

/* Bytes of a generator that starts from the seed: the same in every run. */
static void fill(unsigned char *buf, uint64_t n, uint64_t state)
{
	for (uint64_t i = 0; i < n; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		buf[i] = (unsigned char)(state >> 56);
	}
}

void pg_apply_read(const struct pg_op *op, void *buf, int64_t ret)
{
	struct pg_fd *f = pg_fd(op->fd);
	uint64_t n = (uint64_t)ret < op->garbage ? (uint64_t)ret : op->garbage;

	if (ret <= 0)
		return;
	if (op->garbage && buf)
		fill(buf, n, pg_config.seed + (f ? f->received : 0) + 1);
	if (f)
		f->received += (uint64_t)ret;
}

void pg_apply_start(void)
{
	pg_apply_out_hook = pg_apply_out;
}

/* ---- connect and accept ---- */

static void target(struct pg_object *o, const struct sockaddr *addr, socklen_t len)
{
	struct sockaddr_storage ss;

	o->side = PG_CLIENT;
	if (len > sizeof ss || !pg_fault_peek(&ss, addr, len))
		return;
	pg_fd_address(o, (const struct sockaddr *)&ss, len);
}

bool pg_apply_connect(enum pg_call call, int fd, const struct sockaddr *addr, socklen_t len,
		      int *ret, uintptr_t caller)
{
	struct pg_object o;
	struct pg_op op = {.call = call, .fd = fd, .len = -1};
	struct pg_candidate c = {.object = &o, .fd = fd, .caller = caller - 1};
	struct plan p;
	int saved = errno;

	pg_fd_look(fd, &o);
	if (!o.ino || !addr)
		return false;
	target(&o, addr, len);
	make_plan(&p, &c, PG_BIT(call));
	errno = saved;
	op = carry_out(op, &p, &o, 0);
	if (p.final && p.final->terminal == PG_F_REFUSE) {
		int got = pg_fault_refuse(fd, addr);

		remember(fd, p.rule, o.ino);
		got = got == -EAFNOSUPPORT ? -ECONNREFUSED : got;
		op = decided(op, got < 0 ? -1 : 0, got < 0 ? -got : 0);
	}
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

	pg_fd_look(fd, &o);
	if (!o.ino)
		return false;
	o.side = PG_SERVER;
	make_plan(&p, &c, PG_BIT(call));
	errno = saved;
	op = carry_out(op, &p, &o, 0);
	return op.skip;
}
