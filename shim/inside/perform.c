/* SPDX-License-Identifier: MIT */
#include "inside/perform.h"

#include "base/peek.h"
#include "fault/fault.h"
#include "inside/act.h"
#include "inside/apply.h"
#include "inside/report.h"
#include "object/look.h"
#include "rules/live.h"

/* Bytes that RET of OP stands for: of several messages, which the kernel has moved, theirs. */
static uint64_t moved(const struct pg_op *op, int64_t ret)
{
	const struct mmsghdr *msgs = op->data;
	uint64_t sum = 0;

	if (!pg_call_has_messages(op->call))
		return (uint64_t)ret;
	for (int64_t i = 0; i < ret; i++)
		sum += msgs[i].msg_len;
	return sum;
}

void pg_judge(struct pg_op *op, int64_t ret)
{
	if (ret > 0 && !op->skip)
		pg_fd_sent(op->fd, moved(op, ret));
	if (op->via == PG_VIA_STDIO && ret < op->len) /* libio's way to say that it failed */
		ret = -1;
	if (ret != op->len || ret < 0 || pg_watch_all)
		pg_guard_out(op, ret);
}

/* ---- in the midst ---- */

/* Where no signal handler runs, libc's stdio goes on after a short write, and breaks by the next.
 */
static bool signal_acts(void)
{
	enum pg_signal outcome = pg_sigpipe_outcome();

	return outcome != PG_SIG_IGNORED && outcome != PG_SIG_BLOCKED;
}

static void log_failure(const struct pg_op *op, int err)
{
	const struct pg_plan plan = {.rule = op->rule, .failed = err};
	struct pg_rule_set *before = pg_live_enter();

	pg_report_inject(op, &plan);
	pg_live_leave(before);
}

/* OP, which rules made shorter, returned RET: where one of them breaks a pipe in the midst of it,
 * now. errno is kept. */
static void break_midway(const struct pg_op *made, int64_t ret)
{
	struct pg_op op = *made;
	struct pg_object o;
	int saved = errno, failed;

	if (ret != op.len)
		return;
	pg_look(op.fd, &o);
	op.object = &o;
	op.ret = ret;
	failed = -pg_fault_break(op.fd, PG_PIPE);
	if (failed) {
		log_failure(&op, failed);
		errno = saved;
		return;
	}
	pg_act_remember(op.fd, op.rule, &o);
	if (op.via != PG_VIA_STDIO || signal_acts())
		pg_guard_injected_epipe(&op, true);
	errno = saved;
}

/* ---- afterwards ---- */

/* The first N bytes that the kernel has put into OP's memory, which is as long as was asked:
 * MSG_TRUNC returns more. */
static void spoil(const struct pg_op *op, uint64_t n, uint64_t state)
{
	uint64_t count;
	const struct iovec *iov;
	struct iovec one;

	if (op->shape == PG_BUF)
		pg_garbage((void *)(uintptr_t)op->data,
			   n < (uint64_t)op->len ? n : (uint64_t)op->len, &state);
	if (op->shape != PG_IOV && op->shape != PG_MSG)
		return;
	iov = pg_plan_vector(op, &count);
	for (uint64_t i = 0; i < count && n && pg_peek(&one, &iov[i], sizeof one); i++) {
		uint64_t part = one.iov_len < n ? one.iov_len : n;

		pg_garbage(one.iov_base, part, &state);
		n -= part;
	}
}

void pg_took(const struct pg_op *op, int64_t ret)
{
	struct pg_story *s = op->story;
	uint64_t n, spoilt;

	if (ret <= 0 || op->skip)
		return;
	pg_fd_was_read(op->fd);
	n = moved(op, ret);
	spoilt = n < op->garbage ? n : op->garbage;
	if (spoilt)
		spoil(op, spoilt, pg_garbage_begin(s));
	if (!(op->flags & (MSG_PEEK | MSG_ERRQUEUE)))
		pg_story_received(s, n);
}

int64_t pg_perform(struct pg_op *op, pg_make_fn *make, void *how)
{
	bool writes = pg_is_out(op->call);
	int64_t ret;

	if (writes)
		pg_enter(op);
	pg_apply_rules(op);
	ret = op->skip ? op->ret : make(op, how);
	if (!writes) {
		pg_took(op, ret);
		return ret;
	}
	if (op->midway)
		break_midway(op, ret);
	pg_leave(op, ret);
	return ret;
}
