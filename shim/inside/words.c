/* SPDX-License-Identifier: MIT */
/* Any call that moves bytes, made as the rules want it: its arguments are machine words, and
 * calls.def says which of them is what. */
#include "inside/apply.h"

#include "base/peek.h"
#include "inside/perform.h"
#include "object/look.h"

#include <sys/socket.h>

enum { CLAMP = 8 };

/* What stands in for the program's vector or message when a rule makes it shorter. */
struct shorter {
	struct iovec iov[CLAMP];
	const struct iovec *from; /* IOV, or the program's own */
	size_t n;
	struct iovec rest; /* for a second call: what the program's own entries do not hold */
	struct mmsghdr msg;
};

/* Several, of which it returns how many. */
static bool sends_messages(enum pg_call call)
{
	return pg_call_has_messages(call) && pg_is_out(call);
}

static const struct pg_layout *layout_of(const struct pg_op *op)
{
	return op->raw ? pg_call_raw_layout(op->call) : pg_call_layout(op->call);
}

/* pwritev2(2): an offset of -1 is none. splice(2): a pointer to one. */
static bool names_place(const struct pg_op *op)
{
	if (pg_call_twin(op->call) == PG_CALL_pwritev2)
		return op->arg[3] != -1;
	return op->call == PG_CALL_splice && op->arg[3];
}

/* What OP's words ask for. */
static void read_words(struct pg_op *op)
{
	const struct pg_layout *l = layout_of(op);

	op->fd = (int)op->arg[l->fd];
	op->len = -2;
	op->shape = (enum pg_shape)l->shape;
	if (l->data >= 0)
		op->data = (const void *)op->arg[l->data];
	if (l->len >= 0 && l->shape == PG_IOV)
		op->count = (uint32_t)op->arg[l->len];
	else if (l->len >= 0)
		op->len = (int64_t)op->arg[l->len];
	if (l->flags >= 0)
		op->flags = (int)op->arg[l->flags];
	if (l->source >= 0)
		op->source = (int)op->arg[l->source];
	if (l->to >= 0) {
		op->to = (const void *)op->arg[l->to];
		op->to_len = (uint32_t)op->arg[l->to + 1];
	}
	if (pg_call_has_messages(op->call))
		op->len = (uint32_t)op->arg[l->len]; /* the kernel takes an unsigned int */
	op->placed = names_place(op);
	op->bytes = -1;
}

/* LEN bytes of the N entries at FROM, empty ones left out. False: IOV does not hold so many, or
 * they cannot be read any more. */
static bool copy_entries(struct shorter *s, const struct iovec *from, size_t n, size_t len)
{
	s->from = s->iov;
	s->n = 0;
	for (; len && n; n--, from++) {
		struct iovec one;

		if (!pg_peek(&one, from, sizeof one))
			return false;
		if (!one.iov_len)
			continue;
		if (s->n == CLAMP)
			return false;
		if (one.iov_len > len)
			one.iov_len = len;
		len -= one.iov_len;
		s->iov[s->n++] = one;
	}
	return true;
}

/* The first OP->len bytes of the N entries at FROM: copied if they are few, or the entries that fit
 * as they are, and a rest, which OP->len then leaves out. */
static void cut(struct pg_op *op, struct shorter *s, const struct iovec *from, size_t n)
{
	size_t left = (size_t)op->len;
	struct iovec one = {NULL, 0};

	s->rest.iov_len = 0;
	if (copy_entries(s, from, n, left))
		return;
	s->from = from;
	for (s->n = 0; s->n < n && pg_peek(&one, &from[s->n], sizeof one); s->n++) {
		if (one.iov_len > left)
			break;
		left -= one.iov_len;
	}
	if (s->n < n)
		s->rest = (struct iovec){one.iov_base, left};
	op->len -= (int64_t)left;
}

/* A rule made OP shorter: so are its words. */
static void shorten(struct pg_op *op, struct shorter *s)
{
	const struct pg_layout *l = layout_of(op);
	struct msghdr *msg = &s->msg.msg_hdr;

	if (op->shape == PG_IOV) {
		cut(op, s, op->data, (size_t)op->count);
		op->arg[l->len] = (long)s->n;
		op->arg[l->data] = (long)s->from;
	} else if (op->shape == PG_MSG) {
		*msg = *(const struct msghdr *)op->data;
		cut(op, s, msg->msg_iov, (size_t)msg->msg_iovlen);
		msg->msg_iov = (struct iovec *)(uintptr_t)s->from;
		msg->msg_iovlen = (__typeof__(msg->msg_iovlen))s->n;
		op->arg[l->data] = (long)&s->msg;
	} else {
		op->arg[l->len] = (long)op->len;
	}
}

/* What the kernel wrote into the stand-in. */
static void copy_back(const struct pg_op *op, const struct shorter *s, long ret)
{
	struct msghdr *msg = (struct msghdr *)(uintptr_t)op->data;

	if (op->shape != PG_MSG || ret < 0)
		return;
	if (!pg_is_out(op->call)) {
		msg->msg_namelen = s->msg.msg_hdr.msg_namelen;
		msg->msg_controllen = s->msg.msg_hdr.msg_controllen;
		msg->msg_flags = s->msg.msg_hdr.msg_flags;
	}
	if (pg_call_has_messages(op->call))
		((struct mmsghdr *)(void *)msg)->msg_len = s->msg.msg_len;
}

typedef long words_fn(long, long, long, long, long, long);

/* By libc's own function: in every ABI here six words reach a function that takes fewer. */
static long make(const struct pg_op *op)
{
	const long *a = op->arg;
	words_fn *next = (words_fn *)(void *)pg_next_table[op->call];
	long ret;

	if (op->raw)
		return pg_syscall_errno(pg_call_number(op->call), a[0], a[1], a[2], a[3], a[4],
					a[5]);
	ret = next(a[0], a[1], a[2], a[3], a[4], a[5]);
	return pg_call_has_messages(op->call) ? (int)ret : ret;
}

/*
 * Before start-up (an IFUNC resolver, another library's constructor, a
 * foreign malloc) no symbol can be looked up safely: the kernel is asked
 * directly, which takes the same words in most layouts.
 */
static long make_early(struct pg_op *op)
{
	const struct pg_layout *l = pg_call_layout(op->call);
	bool same_words = l->flags < 4;

	if (op->call == PG_CALL___read_chk || !same_words)
		pg_next_early(op->call);
	else
		op->raw = true;
	return make(op);
}

/* How many bytes RET stands for. */
static int64_t bytes_of(const struct pg_op *op, const struct shorter *s, long ret)
{
	return sends_messages(op->call) && ret > 0 ? (int64_t)s->msg.msg_len : ret;
}

/* All entries that fit were written: the rest follows. What becomes of it is no error, it is a
 * short write. Returns its bytes. */
static unsigned make_rest(struct pg_op *op, struct shorter *s)
{
	const struct pg_layout *l = layout_of(op);
	unsigned before = s->msg.msg_len;
	int saved = errno;
	long ret;

	if (l->shape == PG_IOV) {
		op->arg[l->len] = 1;
		op->arg[l->data] = (long)&s->rest;
	} else {
		s->msg.msg_hdr.msg_iov = &s->rest;
		s->msg.msg_hdr.msg_iovlen = 1;
		s->msg.msg_hdr.msg_controllen = 0;
	}
	ret = make(op);
	if (ret > 0 && sends_messages(op->call)) {
		ret = (long)s->msg.msg_len;
		s->msg.msg_len += before;
	}
	errno = saved;
	return ret > 0 ? (unsigned)ret : 0;
}

/* A read must not wait for a rest; a file's offset would have to follow. */
static bool has_rest(const struct pg_op *op, const struct shorter *s)
{
	return s->rest.iov_len && pg_is_out(op->call) && !op->placed;
}

/* By its words, those of a shorter one where a rule wants that. */
static int64_t by_words(struct pg_op *op, void *how)
{
	struct shorter s = {.rest.iov_len = 0};
	long ret;
	unsigned more;

	(void)how;
	if (!op->clamped)
		return make(op);
	shorten(op, &s);
	ret = make(op);
	if (bytes_of(op, &s, ret) == op->len && has_rest(op, &s)) {
		op->len += (int64_t)s.rest.iov_len;
		more = make_rest(op, &s);
		ret = sends_messages(op->call) ? ret : ret + (long)more;
	}
	copy_back(op, &s, ret);
	if (sends_messages(op->call)) /* of which a whole success returns one */
		op->len = 1;
	return ret;
}

/* The bits in rules' sets of OP's call: a system call by itself is every function that makes it.
 */
static uint64_t bits_of(const struct pg_op *op)
{
	if (!op->raw)
		return PG_BIT(op->call);
	return pg_is_out(op->call) ? pg_calls_alike(op->call) : 0;
}

/* ---- several messages ---- */

/* SOME: the first N of those that OP says. */
static void take_first(struct pg_op *some, const struct pg_op *op, long n)
{
	*some = *op;
	some->arg[layout_of(op)->len] = n;
	read_words(some);
}

/* Those that no rule acts on go by one call. Returns what it returns; IDLE: how many. */
static long make_idle_ones(struct pg_op *op, long *idle)
{
	bool writes = pg_is_out(op->call);
	struct pg_op some;
	long ret;

	*idle = (long)pg_apply_idle(op);
	if (!*idle)
		return 0;
	take_first(&some, op, *idle);
	if (writes)
		pg_enter(&some);
	ret = make(&some);
	if (writes)
		pg_leave(&some, ret);
	else
		pg_took(&some, ret);
	if (ret < *idle)
		pg_apply_unmade(op, (unsigned)*idle, ret > 0 ? (unsigned)ret : 1);
	return ret;
}

/* DECIDED: by a rule, the kernel was not asked. */
static __attribute__((noinline)) long perform_first(const struct pg_op *op, bool *decided)
{
	struct pg_op one;
	long ret;

	take_first(&one, op, 1);
	ret = (long)pg_perform(&one, by_words, NULL);
	*decided = one.skip;
	return ret;
}

/* Is no time left of recvmmsg's? The kernel counts it down. On 32 bit it is of either size. */
static bool is_over(const struct pg_op *op)
{
	size_t size = pg_call_twin(op->call) != op->call ? 16 : 2 * sizeof(long);
	uint64_t left[2] = {0, 0};

	return op->arg[4] && pg_peek(left, (const void *)op->arg[4], size) && !left[0] && !left[1];
}

/* Would the kernel go on behind MSG, the last one that it moved, to those that OP says? Not behind
 * one that was sent in part, nor behind urgent data; and an error that waits by then is the next
 * call's. */
static bool goes_on(const struct pg_op *op, const struct mmsghdr *msg)
{
	if (pg_is_out(op->call))
		return msg->msg_len >= pg_msg_bytes(msg);
	if (msg->msg_hdr.msg_flags & MSG_OOB || is_over(op))
		return false;
	return op->flags & MSG_ERRQUEUE || !pg_look_failed(op->fd);
}

/* What is left behind the first N. */
static void step_over(struct pg_op *op, long n)
{
	const struct pg_layout *l = layout_of(op);

	op->arg[l->data] += n * (long)sizeof(struct mmsghdr);
	op->arg[l->len] -= n;
	if (!pg_is_out(op->call) && op->arg[l->flags] & MSG_WAITFORONE)
		op->arg[l->flags] |= MSG_DONTWAIT;
	read_words(op);
}

/* One call where no rule acts on any of its messages; else those on which one does go alone, and so
 * does what lies between them. What comes of it is what one call would have given. */
static long apply_several(const struct pg_op *op)
{
	enum { MOST = 1024 }; /* UIO_MAXIOV */
	struct pg_op left;
	bool decided = false;
	long ret, n, done = 0;
	int saved = errno;

	take_first(&left, op, op->len < MOST ? (long)op->len : MOST);
	do {
		ret = make_idle_ones(&left, &n);
		if (!n)
			ret = perform_first(&left, &decided), n = 1;
		if (ret <= 0)
			break;
		done += ret;
		step_over(&left, ret);
	} while (ret == n && !decided && left.len &&
		 goes_on(&left, (const struct mmsghdr *)left.data - 1));
	if (!done)
		return ret;
	errno = saved;
	return done;
}

/* ---- all of them ---- */

static long make_first(struct pg_op *op)
{
	long ret = make_early(op);

	read_words(op);
	if (pg_is_out(op->call)) {
		pg_enter(op);
		pg_leave(op, ret);
	}
	return ret;
}

/* All of it, of OP's call, caller and words. */
static struct pg_op complete(const struct pg_op *op)
{
	const long *a = op->arg;

	return (struct pg_op){.call = op->call,
			      .caller = op->caller,
			      .arg = {a[0], a[1], a[2], a[3], a[4], a[5]}};
}

/* What make_idle() made was not all that was asked. */
static PG_COLD long idle_odd(const struct pg_op *made, long ret)
{
	struct pg_op op = complete(made);

	read_words(&op);
	if (ret < 0)
		pg_apply_refused(op.fd, PG_BIT(op.call), errno);
	if (!pg_is_out(op.call))
		return (long)pg_guard_in(&op, ret);
	pg_judge(&op, ret);
	return ret;
}

/* The rule that watches it waits for its turn, and has counted it. Of OP its call, its descriptor,
 * its caller and its words are known. */
static long make_idle(struct pg_op *op)
{
	const struct pg_layout *l = pg_call_layout(op->call);
	bool writes = pg_is_out(op->call);
	long ret;

	if (writes)
		pg_enter(op);
	ret = make(op);
	if (ret > 0 && !writes) {
		if (PG_UNLIKELY(PG_GET(pg_read_odd)))
			pg_fd_was_read(op->fd);
		return ret;
	}
	if (ret < 0 || l->shape != PG_BUF || ret != op->arg[l->len] || pg_watch_all)
		ret = idle_odd(op, ret);
	else
		pg_fd_sent(op->fd, (uint64_t)ret);
	if (writes)
		pg_unmark(op);
	return ret;
}

static __attribute__((noinline)) long perform_one(const struct pg_op *asked)
{
	struct pg_op op = *asked;

	return (long)pg_perform(&op, by_words, NULL);
}

static long apply_ruled(struct pg_op *op)
{
	long ret;

	read_words(op);
	op->bits = bits_of(op);
	if (pg_call_has_messages(op->call) && op->len && !pg_confined)
		ret = apply_several(op);
	else
		ret = perform_one(op);
	if (ret <= 0 && !pg_is_out(op->call))
		ret = (long)pg_guard_in(op, ret);
	return ret;
}

long pg_apply_raw(struct pg_op *op, pg_syscall_fn *libc)
{
	const long *a = op->arg;
	long ret;

	op->raw = true;
	if (PG_UNLIKELY(pg_front.ruled) && pg_front.ruled & bits_of(op))
		return apply_ruled(op);
	read_words(op);
	pg_enter(op);
	ret = libc(pg_call_number(op->call), a[0], a[1], a[2], a[3], a[4], a[5]);
	pg_leave(op, ret);
	return ret;
}

/* Before start-up, or where a rule wants to look. */
static PG_COLD long apply_all(const struct pg_op *asked)
{
	struct pg_op op = complete(asked);

	return pg_started ? apply_ruled(&op) : make_first(&op);
}

#if PG_ASKS_IN_PASSING
#define WAITS_OUT(name)                                                                            \
	bool pg_waits_##name(int fd)                                                               \
	{                                                                                          \
		return pg_turn_waits(fd, PG_BIT(PG_CALL_##name));                                  \
	}
#define WAITS_IN WAITS_OUT
#define WAITS_NONE(name)
#define WAITS_CONNECT WAITS_NONE
#define WAITS_ACCEPT WAITS_NONE
#define CALL(name, twin, kernel, role, ...) WAITS_##role(name)
#include "calls.def"
#undef CALL
#endif

long pg_apply(enum pg_call call, uintptr_t caller, long a, long b, long c, long d, long e, long f)
{
	const long words[6] = {a, b, c, d, e, f};
	struct pg_op op;

	op.call = call;
	op.via = PG_VIA_CALL;
	op.raw = false;
	op.fd = (int)words[pg_call_layout(call)->fd];
	op.caller = caller;
	__builtin_memcpy(op.arg, words, sizeof words);
	if (!PG_ASKS_IN_PASSING && pg_turn_waits(op.fd, PG_BIT(call)))
		return make_idle(&op);
	if (!pg_next_first(call) && (!pg_started || pg_apply_asks(op.fd, PG_BIT(call))))
		return apply_all(&op);
	return make_idle(&op);
}
