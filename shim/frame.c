/* SPDX-License-Identifier: MIT */
/* Any call that moves bytes, made as the rules want it: its arguments are machine words, and
 * calls.def says which of them is what. */
#include "apply.h"

#include <sys/socket.h>

enum { CLAMP = 8 };

/* What stands in for the program's vector or message when a rule makes it shorter. */
struct shorter {
	struct iovec iov[CLAMP];
	struct mmsghdr msg;
};

struct pg_op pg_apply_op(const struct pg_frame *frame)
{
	const struct pg_layout *l = pg_call_layout(frame->call);
	struct pg_op op = {.call = frame->call, .len = -2, .shape = l->shape};

	op.fd = (int)frame->arg[l->fd];
	if (l->data >= 0)
		op.data = (const void *)frame->arg[l->data];
	if (l->len >= 0 && l->shape == PG_IOV)
		op.count = (uint64_t)frame->arg[l->len];
	else if (l->len >= 0)
		op.len = (int64_t)frame->arg[l->len];
	if (l->flags >= 0)
		op.flags = (int)frame->arg[l->flags];
	return op;
}

/* The first OP->len bytes of the N entries at FROM, as far as CLAMP entries hold them; OP->len
 * becomes what they hold. Returns how many entries. */
static int first_entries(struct pg_op *op, struct iovec *to, const struct iovec *from, size_t n)
{
	size_t left = (size_t)op->len;
	int used = 0;

	for (; left && used < CLAMP && (size_t)used < n; used++) {
		to[used] = from[used];
		if (to[used].iov_len > left)
			to[used].iov_len = left;
		left -= to[used].iov_len;
	}
	op->len -= (int64_t)left;
	return used;
}

/* A rule made OP shorter: so are the arguments. */
static void shorten(struct pg_frame *frame, struct pg_op *op, struct shorter *s)
{
	const struct pg_layout *l = pg_call_layout(frame->call);
	struct msghdr *msg = &s->msg.msg_hdr;

	if (op->shape == PG_IOV) {
		frame->arg[l->len] = first_entries(op, s->iov, op->data, (size_t)op->count);
		frame->arg[l->data] = (long)s->iov;
	} else if (op->shape == PG_MSG) {
		*msg = *(const struct msghdr *)op->data;
		msg->msg_iovlen = (__typeof__(msg->msg_iovlen))first_entries(
			op, s->iov, msg->msg_iov, (size_t)msg->msg_iovlen);
		msg->msg_iov = s->iov;
		frame->arg[l->data] = (long)&s->msg;
		if (l->len >= 0) /* of several messages, the first */
			frame->arg[l->len] = 1, op->len = 1;
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
	if (op->call == PG_CALL_recvmsg) {
		msg->msg_namelen = s->msg.msg_hdr.msg_namelen;
		msg->msg_controllen = s->msg.msg_hdr.msg_controllen;
		msg->msg_flags = s->msg.msg_hdr.msg_flags;
	} else if (op->call == PG_CALL_sendmmsg) {
		((struct mmsghdr *)(void *)msg)->msg_len = s->msg.msg_len;
	}
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
	return frame->call == PG_CALL_sendmmsg || frame->call == PG_CALL_recvmmsg ? (int)ret : ret;
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

/* sendmmsg counts messages, the record bytes. */
static void count_messages(const struct pg_op *op, long sent)
{
	const struct mmsghdr *msgs = op->data;

	for (long i = 0; i < sent && !op->skip; i++)
		pg_fd_sent(op->fd, (uint64_t)msgs[i].msg_len - 1);
}

static long make_shorter(const struct pg_frame *frame, struct pg_op *op)
{
	struct pg_frame mine = *frame;
	struct shorter s;
	long ret;

	if (op->skip)
		return (long)op->result;
	if (!op->clamped)
		return make(frame);
	shorten(&mine, op, &s);
	ret = make(&mine);
	copy_back(op, &s, ret);
	return ret;
}

/* Bytes that FRAME's call, which the kernel has made, was asked to write. */
static int64_t asked_of(const struct pg_frame *frame)
{
	struct pg_op op = pg_apply_op(frame);

	return op.shape == PG_IOV ? pg_iov_bytes(op.data, op.count) : op.len;
}

static long apply_read(const struct pg_frame *frame)
{
	struct pg_op asked = pg_apply_op(frame);
	struct pg_op op = asked;
	long ret;

	if (frame->call == PG_CALL_recvmmsg) /* rules see the call, and count none of its bytes */
		op.shape = PG_NOTHING, op.len = -2;
	op = pg_apply_in(op, PG_BIT(op.call), frame->caller);
	ret = make_shorter(frame, &op);
	if (asked.shape == PG_IOV)
		asked.len = (int64_t)asked.count;
	if (ret <= 0)
		ret = (long)pg_guard_in(op.call, &asked, ret, frame->caller);
	if (frame->call != PG_CALL_recvmmsg)
		pg_apply_read(&op, ret);
	return ret;
}

static long apply_write(const struct pg_frame *frame)
{
	struct pg_op op = pg_enter(pg_apply_op(frame), frame->raw ? PG_MARK_RAW : 0, frame->caller);
	long ret;

	op = pg_apply_out(op, PG_BIT(op.call), frame->caller);
	ret = make_shorter(frame, &op);
	if (op.midway)
		pg_apply_midway(&op, asked_of(frame), ret, frame->caller);
	pg_leave(op, ret, frame->caller);
	if (op.call == PG_CALL_sendmmsg)
		count_messages(&op, ret);
	return ret;
}

static long make_first(struct pg_frame *frame)
{
	long ret = make_early(frame);

	if (!pg_is_out(frame->call))
		return ret;
	return (long)pg_leave(pg_apply_op(frame), ret, frame->caller);
}

long pg_apply_frame(const struct pg_frame *frame)
{
	return pg_is_out(frame->call) ? apply_write(frame) : apply_read(frame);
}

long pg_apply(enum pg_call call, uintptr_t caller, long a, long b, long c, long d, long e, long f)
{
	struct pg_frame frame = {call, false, caller, {a, b, c, d, e, f}};

	return pg_started ? pg_apply_frame(&frame) : make_first(&frame);
}
