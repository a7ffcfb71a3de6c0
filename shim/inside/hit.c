/* SPDX-License-Identifier: MIT */
#define PG_ARCH_CONTEXT
#include <ucontext.h>

#include "inside/hit.h"

#include "base/peek.h"
#include "object/look.h"
#include "who/stack.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <ucontext.h>

/* A call of unknown number on a pipe or socket is most likely write; on musl it is as likely its
 * stdio's writev. */
#ifdef __GLIBC__
#define GUESS_IS_WRITE 1
#else
#define GUESS_IS_WRITE 0
#endif

enum { IO_URING_ENTER = 426 }; /* the same on every architecture */

__thread uint64_t pg_mark __attribute__((tls_model("initial-exec")));
__thread uintptr_t pg_format_frame __attribute__((tls_model("initial-exec")));
__thread uint64_t pg_owed __attribute__((tls_model("initial-exec")));
#ifndef __GLIBC__
__thread uintptr_t pg_mark_return __attribute__((tls_model("initial-exec")));
#endif

enum { LOGGED_MAX = 6 };
static __thread uintptr_t logged[LOGGED_MAX] __attribute__((tls_model("initial-exec")));

/* The last one is the first: where there is no room, the oldest goes (a call that was jumped out
 * of, most likely). */
void pg_hit_logged(uintptr_t cfa)
{
	uintptr_t next = cfa;

	for (int i = 0; i < LOGGED_MAX; i++) {
		uintptr_t was = logged[i];

		logged[i] = next;
		next = was;
		__asm__ volatile("" ::: "memory"); /* no call of memmove */
	}
}

bool pg_hit_take_logged(uintptr_t cfa)
{
	int at = 0, to = 0;

	while (at < LOGGED_MAX && logged[at] != cfa)
		at++;
	if (at == LOGGED_MAX || !cfa)
		return false;
	for (at++; at < LOGGED_MAX;
	     at++) /* what was logged since then has been looked at, or left */
		logged[to++] = logged[at];
	while (to < LOGGED_MAX)
		logged[to++] = 0;
	return true;
}

struct regs {
	int64_t ret;
	long nr; /* -1: unknown */
	uintptr_t arg[6];
	bool first_lost; /* arg[0] was overwritten by the result */
#ifdef __i386__
	uintptr_t sp;
	bool unpacked; /* of a socketcall(2): NR and ARG are those of the call that it stands for */
#endif
};

/*
 * The result has replaced the call's number in the register; the instruction
 * that loaded it (mov $nr,%eax) stands before the trap, in most stubs right
 * before it. Looked for in the bytes before PC; -1 if there is none.
 */
static __attribute__((unused)) long number_before(const uint8_t *pc)
{
	enum { MOST = 32, LEAST = 7 };
	int n = (uintptr_t)pc % PG_PAGE_LEAST < MOST ? (int)((uintptr_t)pc % PG_PAGE_LEAST) : MOST;
	uint8_t code[MOST];
	uint32_t nr;

	/* Its page is there, since it ran; what is before that may be the end of another mapping.
	 */
	if (pg_confined)
		memcpy(code, pc - n, (size_t)n);
	else if (pg_peek(code, pc - MOST, MOST))
		n = MOST;
	else if (!pg_peek(code, pc - n, (size_t)n))
		return -1;
	if (n < LEAST || (!(code[n - 2] == 0x0f && code[n - 1] == 0x05) &&
			  !(code[n - 2] == 0xcd && code[n - 1] == 0x80)))
		return -1;
	for (int at = n - LEAST; at >= 0; at--) {
		memcpy(&nr, code + at + 1, sizeof nr);
		if (code[at] == 0xb8 && nr < 512)
			return (long)nr;
	}
	return -1;
}

#ifdef __i386__
/*
 * socketcall(2), which i386's libc still uses: the real call and its
 * arguments are in memory. The kernel is entered through the vDSO, so the
 * number may be unknown; a wrapper of ours that sends is at work then.
 */
static bool copy_args(const struct regs *r, uintptr_t *to, int n)
{
	enum { NEAR = 256 };
	const uintptr_t *from = (const uintptr_t *)r->arg[1];
	size_t size = (size_t)n * sizeof *to;

	if (r->arg[1] - r->sp >= NEAR) /* else they are in the frame of the call itself */
		return pg_peek(to, from, size);
	memcpy(to, from, size);
	return true;
}

static void unpack_socketcall(struct regs *r)
{
	static const short numbers[] = {
		[9] = SYS_sendto, [11] = SYS_sendto, [16] = SYS_sendmsg, [20] = SYS_sendmmsg};
	uintptr_t which = r->arg[0], copy[4];
	int n = which == 16 ? 3 : 4;

	if ((r->nr >= 0 && r->nr != SYS_socketcall) || which >= sizeof numbers / sizeof *numbers ||
	    !numbers[which] || !copy_args(r, copy, n))
		return;
	r->nr = numbers[which];
	r->unpacked = true;
	for (int i = 0; i < n; i++)
		r->arg[i] = copy[i];
}
#endif

/* The number of the system call that UC interrupted; -1: unknown. */
static long number_of(const ucontext_t *uc)
{
	if (PG_NUMBER_IS_LOST)
		return number_before((const uint8_t *)PG_CONTEXT_PC(uc));
	return (long)PG_CONTEXT_NUMBER(uc);
}

static void read_regs(const ucontext_t *uc, struct regs *r)
{
	pg_context_args(uc, r->arg);
	r->ret = PG_CONTEXT_RESULT(uc);
	r->nr = PG_MARKS ? number_of(uc) : -1; /* else the wrapper on the stack says it */
	r->first_lost = PG_RESULT_TAKES_FIRST;
#ifdef __i386__
	r->sp = PG_CONTEXT_SP(uc);
	r->unpacked = false;
#endif
}

long pg_hit_number(const void *context)
{
	return number_of(context);
}

/*
 * What no instruction after a system call reads: the kernel has left the way
 * back in %rcx (syscall(2)'s table of clobbered registers), for which we put in
 * a word of our own. It is there as long as nothing ran but the kernel.
 */
#define LOGGED_WORD 0x706970656775ull

bool pg_hit_is_stale(const void *context)
{
#ifdef PG_CONTEXT_SPARE
	const ucontext_t *uc = context;

	return PG_CONTEXT_SPARE(uc) == (greg_t)LOGGED_WORD;
#else
	(void)context;
	return pg_mark & PG_MARK_LOGGED;
#endif
}

void pg_hit_mark_logged(const struct pg_op *op, void *context)
{
#ifdef PG_CONTEXT_SPARE
	ucontext_t *uc = context;

	PG_CONTEXT_SPARE(uc) = (greg_t)LOGGED_WORD;
#else
	(void)context;
#endif
	if (op->cfa)
		pg_hit_logged(op->cfa);
	else if (op->marked)
		pg_mark |= PG_MARK_LOGGED;
}

static int fd_of(const struct regs *r)
{
	int i = pg_call_layout(pg_call_of_number(r->nr))->fd;

	return i == 0 && r->first_lost ? -1 : (int)r->arg[i];
}

/* What the call asked to write; the kernel has read its vectors by now. */
static int64_t length_of(const struct regs *r)
{
	const struct pg_layout *l =
		pg_call_layout(r->nr < 0 ? PG_CALL_write : pg_call_of_number(r->nr));

	if (l->shape == PG_IOV)
		return pg_iov_bytes((const void *)r->arg[l->data], r->arg[l->len]);
	if (l->shape == PG_MSG)
		return pg_msg_bytes((const void *)r->arg[l->data]);
	return l->len < 0 ? -1 : (int64_t)r->arg[l->len];
}

/* From the mark of the wrapper that is in progress, if these registers are its call's. */
static bool from_mark(struct regs *r, struct pg_op *op)
{
	enum pg_call call = (enum pg_call)(pg_mark >> 32 & 0x3fff);
	int fd = (int)(uint32_t)pg_mark;
	long nr = pg_call_number(call);

	if (!(pg_mark & PG_MARK_SET))
		return false;
#ifndef __GLIBC__
	if (pg_call_formats(call))
		nr = SYS_writev; /* musl's stdio writes nothing by write */
#endif
#ifdef __i386__
	if (nr == SYS_sendto || nr == SYS_sendmsg || nr == SYS_sendmmsg)
		unpack_socketcall(r);
#endif
	if (!pg_call_of_number(r->nr)) /* else what was decoded is what libc really called */
		r->nr = nr;
	if (fd_of(r) >= 0 && fd_of(r) != fd)
		return false;
	op->call = call;
	op->fd = fd;
	op->marked = true;
	op->inlined = false;
	op->via = pg_mark & PG_MARK_STDIO ? PG_VIA_STDIO
		  : pg_mark & PG_MARK_RAW ? PG_VIA_SIGNAL
					  : PG_VIA_CALL;
	return true;
}

static enum pg_call call_named(const char *name)
{
	for (int call = PG_NO_CALL + 1; call < PG_CALL_COUNT; call++)
		if (pg_same(pg_call_name((enum pg_call)call), name))
			return (enum pg_call)call;
	return PG_NO_CALL;
}

/* By the wrapper of ours, named on the stack, that called what was interrupted. */
static bool from_wrapper(struct regs *r, const struct pg_wrapper *w, struct pg_op *op)
{
	bool stdio = !w->name[0];
	enum pg_call call = stdio ? PG_CALL_write : call_named(w->name);

	if (call == PG_NO_CALL || pg_call_formats(call)) /* which leaves a mark */
		return false;
	if (r->nr < 0)
		r->nr = pg_call_number(call);
	op->call = call;
	op->fd = fd_of(r);
	op->via = stdio ? PG_VIA_STDIO : PG_VIA_CALL;
	op->cfa = w->cfa;
	op->inlined = false;
	return true;
}

static void from_regs(const struct regs *r, struct pg_op *op)
{
	op->via = PG_VIA_SIGNAL;
	op->inlined = true;
	op->call = r->nr < 0 ? PG_CALL_write : pg_call_of_number(r->nr);
	op->fd = op->call ? fd_of(r) : -1;
}

/* io_uring_enter returns how many requests it took; the one that broke, and its descriptor, are in
 * the ring. */
static bool is_ring(const struct regs *r)
{
	struct pg_stat st;

	if (r->nr >= 0)
		return r->nr == IO_URING_ENTER;
	return !r->first_lost && !pg_fstat((int)r->arg[0], &st) && !(st.mode & S_IFMT);
}

static bool from_ring(const struct regs *r, struct pg_op *op)
{
	if (r->ret <= 0 || !is_ring(r))
		return false;
	*op = (struct pg_op){.via = PG_VIA_SIGNAL,
			     .fd = -1,
			     .bytes = -1,
			     .ret = -1,
			     .err = EPIPE,
			     .inlined = true};
	return true;
}

/* Without system calls, when the program has confined itself: a count stands for a pipe that broke
 * midway. */
static bool broken(const struct pg_op *op)
{
	/* sendmmsg(2) returns how many messages went before the one that broke. */
	return op->err || pg_confined || pg_look_is_broken_pipe(op->fd) ||
	       (pg_call_has_messages(op->call) && pg_look_is_broken(op->fd));
}

/* Which call of ours it was; false: none. */
static bool from_ours(struct regs *r, const void *uc, struct pg_op *op)
{
	struct pg_wrapper w;
	enum pg_between between;

	if (PG_MARKS)
		return from_mark(r, op);
	between = pg_stack_wrapper(uc, &w);
	if (between == PG_OUR_WRAPPER && from_wrapper(r, &w, op))
		return true;
	/* A program that confined itself may have a stack that cannot be asked about. */
	return (between != PG_NOTHING_OURS || pg_confined) && from_mark(r, op);
}

/* As they are at the system call itself, not as a wrapper of ours was given them. */
static void read_raw(const void *uc, bool ours, struct regs *r)
{
	read_regs(uc, r);
	if (!ours)
		r->nr = pg_hit_number(uc);
}

bool pg_hit_recognise(const siginfo_t *si, const void *uc, struct pg_op *op)
{
	struct regs r;
	int pid = pg_confined ? -1 : pg_pid();
	bool ours;

	if (si->si_code != SI_USER || (pid > 0 && si->si_pid != pid))
		return false;
	read_regs(uc, &r);
	if (r.ret != -EPIPE && r.ret <= 0)
		return false;
	*op = (struct pg_op){.uc = uc, .fd = -1, .bytes = -1};
	ours = from_ours(&r, uc, op);
	if (ours) {
		op->caller = op->cfa ? 0 : PG_MARKED_CALLER;
		op->bytes = length_of(&r);
	} else {
		read_raw(uc, false, &r);
		from_regs(&r, op);
		op->bytes = op->call && (r.nr >= 0 || GUESS_IS_WRITE) ? length_of(&r) : -1;
	}
	op->ret = r.ret < 0 ? -1 : r.ret;
	op->err = r.ret < 0 ? EPIPE : 0;
	if (broken(op))
		return true;
	read_raw(uc, ours, &r);
	return from_ring(&r, op);
}

/* Of a write that broke once: which system call is to be made to meet the same again, and with what
 * where not all arguments are left. False: not known. */
static bool to_repeat(struct regs *r, const void *uc)
{
	static const char byte;
	struct pg_op op = {.fd = -1};

	if (!from_ours(r, uc, &op))
		r->nr = pg_hit_number(uc);
#ifdef __i386__
	if (r->unpacked)
		r->nr = SYS_socketcall; /* whose own arguments are as they were */
#endif
	if (!r->first_lost)
		return r->nr >= 0;
	if (op.fd < 0)
		return false;
	r->arg[0] = (uintptr_t)op.fd;
	if (pg_call_layout(pg_call_of_number(r->nr))->fd == 0)
		return true;
	r->nr = SYS_write;
	r->arg[1] = (uintptr_t)&byte;
	r->arg[2] = 1;
	return true;
}

bool pg_hit_repeat(void *context)
{
	ucontext_t *uc = context;
	struct regs r;

	read_regs(uc, &r);
	if (r.ret != -EPIPE && !pg_confined) /* what it took might be written twice */
		return false;
	if (!to_repeat(&r, uc))
		return false;
#ifdef PG_CONTEXT_ARGS_LOST
	pg_context_set_args(uc, r.arg, 3);
#endif
	/* On i386 the vDSO's other ways into the kernel come back behind its int $0x80, too. */
	PG_CONTEXT_NUMBER(uc) = (__typeof__(PG_CONTEXT_NUMBER(uc)))r.nr;
	PG_CONTEXT_PC(uc) -= PG_TRAP_BYTES;
	return true;
}
