/* SPDX-License-Identifier: MIT */
/* Any call that moves bytes, made as the rules want it: its arguments are machine words, and
 * calls.def says which of them is what. */
#include "inside/apply.h"

#include "base/peek.h"
#include "object/look.h"
#include "rules/match.h"

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

static const struct pg_layout *layout_of(const struct pg_frame *frame)
{
	return frame->raw ? pg_call_raw_layout(frame->call) : pg_call_layout(frame->call);
}

/* pwritev2(2): an offset of -1 is none. splice(2): a pointer to one. */
static bool names_place(const struct pg_frame *frame)
{
	if (pg_call_twin(frame->call) == PG_CALL_pwritev2)
		return frame->arg[3] != -1;
	return frame->call == PG_CALL_splice && frame->arg[3];
}

struct pg_op pg_apply_op(const struct pg_frame *frame)
{
	const struct pg_layout *l = layout_of(frame);
	struct pg_op op = {.call = frame->call, .len = -2, .shape = (enum pg_shape)l->shape};

	op.fd = (int)frame->arg[l->fd];
	if (l->data >= 0)
		op.data = (const void *)frame->arg[l->data];
	if (l->len >= 0 && l->shape == PG_IOV)
		op.count = (uint64_t)frame->arg[l->len];
	else if (l->len >= 0)
		op.len = (int64_t)frame->arg[l->len];
	if (l->flags >= 0)
		op.flags = (int)frame->arg[l->flags];
	if (l->source >= 0)
		op.source = (int)frame->arg[l->source];
	if (l->to >= 0) {
		op.to = (const void *)frame->arg[l->to];
		op.to_len = (uint32_t)frame->arg[l->to + 1];
	}
	if (pg_call_has_messages(frame->call))
		op.len = (uint32_t)frame->arg[l->len]; /* the kernel takes an unsigned int */
	op.placed = names_place(frame);
	return op;
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

/* A rule made OP shorter: so are the arguments. */
static void shorten(struct pg_frame *frame, struct pg_op *op, struct shorter *s)
{
	const struct pg_layout *l = layout_of(frame);
	struct msghdr *msg = &s->msg.msg_hdr;

	if (op->shape == PG_IOV) {
		cut(op, s, op->data, (size_t)op->count);
		frame->arg[l->len] = (long)s->n;
		frame->arg[l->data] = (long)s->from;
	} else if (op->shape == PG_MSG) {
		*msg = *(const struct msghdr *)op->data;
		cut(op, s, msg->msg_iov, (size_t)msg->msg_iovlen);
		msg->msg_iov = (struct iovec *)(uintptr_t)s->from;
		msg->msg_iovlen = (__typeof__(msg->msg_iovlen))s->n;
		frame->arg[l->data] = (long)&s->msg;
	} else {
		frame->arg[l->len] = (long)op->len;
	}
}

/* What the kernel wrote into the stand-in. */
static void copy_back(const struct pg_op *op, const struct shorter *s, long ret)
{
	struct msghdr *msg = (struct msghdr *)(uintptr_t)op->data;

	if (op->shape != PG_MSG || ret < 0)
		return;
	if (op->shape == PG_MSG && !pg_is_out(op->call)) {
		msg->msg_namelen = s->msg.msg_hdr.msg_namelen;
		msg->msg_controllen = s->msg.msg_hdr.msg_controllen;
		msg->msg_flags = s->msg.msg_hdr.msg_flags;
	}
	if (pg_call_has_messages(op->call))
		((struct mmsghdr *)(void *)msg)->msg_len = s->msg.msg_len;
}

typedef long words_fn(long, long, long, long, long, long);

/* By libc's own function: in every ABI here six words reach a function that takes fewer. */
static long make(const struct pg_frame *frame)
{
	const long *a = frame->arg;
	words_fn *next = (words_fn *)(void *)pg_next_table[frame->call];
	long ret;

	if (frame->raw)
		return pg_syscall_errno(pg_call_number(frame->call), a[0], a[1], a[2], a[3], a[4],
					a[5]);
	ret = next(a[0], a[1], a[2], a[3], a[4], a[5]);
	return pg_call_has_messages(frame->call) ? (int)ret : ret;
}

/*
 * Before start-up (an IFUNC resolver, another library's constructor, a
 * foreign malloc) no symbol can be looked up safely: the kernel is asked
 * directly, which takes the same words in most layouts.
 */
static long make_early(struct pg_frame *frame)
{
	const struct pg_layout *l = pg_call_layout(frame->call);
	bool same_words = l->flags < 4;

	if (frame->call == PG_CALL___read_chk || !same_words)
		pg_next_early(frame->call);
	else
		frame->raw = true;
	return make(frame);
}

/* How many bytes RET stands for. */
static int64_t bytes_of(const struct pg_op *op, const struct shorter *s, long ret)
{
	return sends_messages(op->call) && ret > 0 ? (int64_t)s->msg.msg_len : ret;
}

/* All entries that fit were written: the rest follows. What becomes of it is no error, it is a
 * short write. Returns its bytes. */
static unsigned make_rest(struct pg_frame *frame, struct shorter *s)
{
	const struct pg_layout *l = layout_of(frame);
	unsigned before = s->msg.msg_len;
	int saved = errno;
	long ret;

	if (l->shape == PG_IOV) {
		frame->arg[l->len] = 1;
		frame->arg[l->data] = (long)&s->rest;
	} else {
		s->msg.msg_hdr.msg_iov = &s->rest;
		s->msg.msg_hdr.msg_iovlen = 1;
		s->msg.msg_hdr.msg_controllen = 0;
	}
	ret = make(frame);
	if (ret > 0 && sends_messages(frame->call)) {
		ret = (long)s->msg.msg_len;
		s->msg.msg_len += before;
	}
	errno = saved;
	return ret > 0 ? (unsigned)ret : 0;
}

/* A read must not wait for a rest; a file's offset would have to follow. */
static bool has_rest(const struct pg_frame *frame, const struct shorter *s)
{
	return s->rest.iov_len && pg_is_out(frame->call) && !names_place(frame);
}

static long make_shorter(const struct pg_frame *frame, struct pg_op *op)
{
	struct pg_frame mine = *frame;
	struct shorter s = {.rest.iov_len = 0};
	long ret;
	unsigned more;

	if (op->skip)
		return (long)op->result;
	if (!op->clamped)
		return make(frame);
	shorten(&mine, op, &s);
	ret = make(&mine);
	if (bytes_of(op, &s, ret) == op->len && has_rest(&mine, &s)) {
		op->len += (int64_t)s.rest.iov_len;
		more = make_rest(&mine, &s);
		ret = sends_messages(op->call) ? ret : ret + (long)more;
	}
	copy_back(op, &s, ret);
	if (sends_messages(op->call)) /* of which a whole success returns one */
		op->len = 1;
	return ret;
}

/* Bytes that FRAME's call, which the kernel has made, was asked to write. */
static int64_t asked_of(const struct pg_frame *frame)
{
	struct pg_op op = pg_apply_op(frame);

	return op.shape == PG_IOV ? pg_iov_bytes(op.data, op.count) : op.len;
}

/* Bytes of the first N messages at MSGS, which the kernel has moved. */
static uint64_t bytes_in(const struct mmsghdr *msgs, long n)
{
	uint64_t sum = 0;

	for (long i = 0; i < n; i++)
		sum += msgs[i].msg_len;
	return sum;
}

/* The bits in rules' sets of FRAME's call: a system call by itself is every function that makes it.
 */
static uint64_t bits_of(const struct pg_frame *frame)
{
	long nr = pg_call_number(frame->call);
	uint64_t bits = 0;

	if (!frame->raw)
		return PG_BIT(frame->call);
	for (int call = PG_NO_CALL + 1; call < PG_CALL_COUNT; call++)
		if (pg_is_out((enum pg_call)call) && pg_call_number((enum pg_call)call) == nr &&
		    !pg_call_formats((enum pg_call)call))
			bits |= PG_BIT(call);
	return bits;
}

/* A call is over that writes: as pg_leave(), but sendmmsg counts messages, and the record bytes. */
static void leave(struct pg_op op, long ret, uintptr_t caller)
{
	pg_leave(op, ret, caller);
	if (sends_messages(op.call) && ret > 0 && !op.skip)
		pg_fd_sent(op.fd, bytes_in(op.data, ret) - (uint64_t)ret);
}

static struct pg_op enter(const struct pg_frame *frame)
{
	return pg_enter(pg_apply_op(frame), frame->raw ? PG_MARK_RAW : 0, frame->caller);
}

/* What a read gave: RET, of several messages how many. */
static void take(const struct pg_op *op, long ret)
{
	pg_apply_read(op, pg_call_has_messages(op->call) && ret > 0
				  ? (int64_t)bytes_in(op->data, ret)
				  : ret);
}

static long apply_read(const struct pg_frame *frame, bool *decided)
{
	struct pg_op op = pg_apply_in(pg_apply_op(frame), PG_BIT(frame->call), frame->caller);
	long ret = make_shorter(frame, &op);

	*decided = op.skip;
	take(&op, ret);
	return ret;
}

/* DECIDED: by a rule, the kernel was not asked. */
static long apply_write(const struct pg_frame *frame, bool *decided)
{
	struct pg_op op = pg_apply_out(enter(frame), bits_of(frame), frame->caller);
	long ret = make_shorter(frame, &op);

	*decided = op.skip;
	if (op.midway)
		pg_apply_midway(&op, asked_of(frame), ret, frame->caller);
	leave(op, ret, frame->caller);
	return ret;
}

static long apply_one(const struct pg_frame *frame, bool *decided)
{
	return pg_is_out(frame->call) ? apply_write(frame, decided) : apply_read(frame, decided);
}

/* ---- several messages ---- */

static long apply_first(const struct pg_frame *frame, bool *decided)
{
	struct pg_frame first = *frame;

	first.arg[layout_of(frame)->len] = 1;
	return apply_one(&first, decided);
}

/* Those that no rule acts on go by one call. Returns what it returns; IDLE: how many. */
static long make_idle_ones(const struct pg_frame *frame, long *idle)
{
	struct pg_messages m = {
		.op = pg_apply_op(frame), .bit = bits_of(frame), .caller = frame->caller};
	struct pg_frame some = *frame;
	bool writes = pg_is_out(frame->call);
	long ret;

	*idle = (long)pg_apply_idle(&m);
	if (!*idle)
		return 0;
	some.arg[layout_of(frame)->len] = *idle;
	if (writes)
		m.op = enter(&some);
	ret = make(&some);
	if (writes)
		leave(m.op, ret, frame->caller);
	else
		take(&m.op, ret);
	if (ret < *idle)
		pg_apply_unmade(&m, (unsigned)*idle, ret > 0 ? (unsigned)ret : 1);
	return ret;
}

/* Is no time left of recvmmsg's? The kernel counts it down. On 32 bit it is of either size. */
static bool is_over(const struct pg_frame *frame)
{
	size_t size = pg_call_twin(frame->call) != frame->call ? 16 : 2 * sizeof(long);
	uint64_t left[2] = {0, 0};

	return frame->arg[4] && pg_peek(left, (const void *)frame->arg[4], size) && !left[0] &&
	       !left[1];
}

/* Would the kernel go on behind MSG, the last one that it moved, to those that FRAME says? Not
 * behind one that was sent in part, nor behind urgent data; and an error that waits by then is the
 * next call's. */
static bool goes_on(const struct pg_frame *frame, const struct mmsghdr *msg)
{
	const struct pg_layout *l = layout_of(frame);

	if (pg_is_out(frame->call))
		return msg->msg_len >= pg_msg_bytes(msg);
	if (msg->msg_hdr.msg_flags & MSG_OOB || is_over(frame))
		return false;
	return frame->arg[l->flags] & MSG_ERRQUEUE || !pg_look_failed((int)frame->arg[l->fd]);
}

/* The frame of what is left behind the first N. */
static void step_over(struct pg_frame *frame, long n)
{
	const struct pg_layout *l = layout_of(frame);

	frame->arg[l->data] += n * (long)sizeof(struct mmsghdr);
	frame->arg[l->len] -= n;
	if (!pg_is_out(frame->call) && frame->arg[l->flags] & MSG_WAITFORONE)
		frame->arg[l->flags] |= MSG_DONTWAIT;
}

/* One call where no rule acts on any of its messages; else those on which one does go alone, and so
 * does what lies between them. What comes of it is what one call would have given. */
static long apply_several(const struct pg_frame *frame)
{
	enum { MOST = 1024 }; /* UIO_MAXIOV */
	const struct pg_layout *l = layout_of(frame);
	struct pg_frame left = *frame;
	bool decided = false;
	long ret, n, done = 0;
	int saved = errno;

	left.arg[l->len] = (long)(uint32_t)left.arg[l->len];
	if (left.arg[l->len] > MOST)
		left.arg[l->len] = MOST;
	do {
		ret = make_idle_ones(&left, &n);
		if (!n)
			ret = apply_first(&left, &decided), n = 1;
		if (ret <= 0)
			break;
		done += ret;
		step_over(&left, ret);
	} while (ret == n && !decided && left.arg[l->len] &&
		 goes_on(&left, (const struct mmsghdr *)left.arg[l->data] - 1));
	if (!done)
		return ret;
	errno = saved;
	return done;
}

static long make_first(struct pg_frame *frame)
{
	long ret = make_early(frame);

	if (pg_is_out(frame->call))
		leave(pg_apply_op(frame), ret, frame->caller);
	return ret;
}

/* The rule that watches it waits for its turn, and has counted it. */
static long make_idle(const struct pg_frame *frame, struct pg_op op)
{
	bool writes = pg_is_out(op.call);
	long ret;

	if (writes)
		op = pg_enter(op, 0, frame->caller);
	ret = make(frame);
	if (ret < 0)
		pg_apply_refused(op.fd, PG_BIT(op.call), errno);
	if (writes)
		return (long)pg_leave(op, ret, frame->caller);
	return ret > 0 ? ret : (long)pg_guard_in(op.call, &op, ret, frame->caller);
}

long pg_apply_frame(const struct pg_frame *frame)
{
	struct pg_op op = pg_apply_op(frame);
	bool decided;
	long ret;

	if (pg_call_has_messages(frame->call) && op.len && !pg_confined)
		ret = apply_several(frame);
	else
		ret = apply_one(frame, &decided);
	if (ret <= 0 && !pg_is_out(frame->call))
		ret = (long)pg_guard_in(op.call, &op, ret, frame->caller);
	return ret;
}

long pg_apply_raw(const struct pg_frame *frame, pg_syscall_fn *libc)
{
	const long *a = frame->arg;
	struct pg_op op;
	long ret;

	if (PG_UNLIKELY(pg_front.ruled) && pg_front.ruled & bits_of(frame))
		return pg_apply_frame(frame);
	op = enter(frame);
	ret = libc(pg_call_number(frame->call), a[0], a[1], a[2], a[3], a[4], a[5]);
	leave(op, ret, frame->caller);
	return ret;
}

long pg_apply(enum pg_call call, uintptr_t caller, long a, long b, long c, long d, long e, long f)
{
	struct pg_frame frame = {call, false, caller, {a, b, c, d, e, f}};
	struct pg_op op;

	if (!pg_started)
		return make_first(&frame);
	op = pg_apply_op(&frame);
	return pg_apply_asks(op.fd, PG_BIT(call)) ? pg_apply_frame(&frame) : make_idle(&frame, op);
}
