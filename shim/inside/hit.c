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

/* ---- what was interrupted ---- */

static bool word_at(uintptr_t at, uintptr_t *word)
{
	if (!pg_confined)
		return pg_peek(word, (const void *)at, sizeof *word);
	memcpy(word, (const void *)at, sizeof *word);
	return true;
}

/* Of several signals at once the kernel makes the frames one on another, those of lower numbers
 * first: then this one interrupted the first instruction of another's handler, and what that one
 * interrupted is in the frame beneath. */
static void *context_of(const void *given)
{
	enum { SIGNALS = 64 };
	const ucontext_t *uc = given;

	for (int i = 0; i < SIGNALS; i++) {
		uintptr_t beneath = pg_context_beneath(uc, word_at);

		if (!beneath || (!pg_confined &&
				 !pg_readable_all((const void *)beneath, sizeof uc->uc_mcontext)))
			break;
		uc = (const ucontext_t *)beneath;
	}
	return (void *)(uintptr_t)uc;
}

/* ---- what was logged ---- */

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

/* How the kernel was entered, by the instruction before the one that it comes back to. */
enum trap {
	TRAP_UNKNOWN,
	TRAP_OWN,
	TRAP_NARROW, /* as 32-bit programs do it: other numbers, other registers */
	NO_TRAP	     /* it was not: something else was interrupted */
};
enum { CODE_MOST = 32 };

/* The last bytes before PC, at the end of CODE; how many. Its page is there, since it ran; what is
 * before that may be the end of another mapping. */
static int code_before(const uint8_t *pc, uint8_t code[CODE_MOST])
{
	uintptr_t in_page = (uintptr_t)pc % PG_PAGE_LEAST;
	int n = in_page < CODE_MOST ? (int)in_page : CODE_MOST;

	if (pg_confined)
		memcpy(code + CODE_MOST - n, pc - n, (size_t)n);
	else if (pg_peek(code, pc - CODE_MOST, CODE_MOST))
		n = CODE_MOST;
	else if (!pg_peek(code + CODE_MOST - n, pc - n, (size_t)n))
		n = 0;
	return n;
}

/* gVisor puts jmp *address in the place of the seven bytes that end with the trap. */
static enum trap trap_of(const uint8_t code[CODE_MOST], int n)
{
	static const uint8_t jump[] = {0xff, 0x24, 0x25};
	enum { JUMP = 7 };
	const uint8_t *end = code + CODE_MOST;

	if (n < JUMP || !memcmp(end - JUMP, jump, sizeof jump))
		return TRAP_UNKNOWN;
	if (end[-2] == 0x0f && end[-1] == 0x05)
		return TRAP_OWN;
	if (end[-2] == 0xcd && end[-1] == 0x80)
		return sizeof(long) == 4 ? TRAP_OWN : TRAP_NARROW;
	return NO_TRAP;
}

/*
 * The result has replaced the call's number in the register; the instruction
 * that loaded it (mov $nr,%eax) stands before the trap, in most stubs right
 * before it. -1 if there is none.
 */
static long number_in(const uint8_t code[CODE_MOST], int n)
{
	enum { LEAST = 7 };
	uint32_t nr;

	for (int at = CODE_MOST - LEAST; at >= CODE_MOST - n; at--) {
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

/* How the kernel was entered for what UC interrupted, and for which call; -1: unknown. */
static enum trap trap_at(const ucontext_t *uc, long *nr)
{
	uint8_t code[CODE_MOST];
	enum trap trap;
	int n;

	if (!PG_NUMBER_IS_LOST) {
		*nr = (long)PG_CONTEXT_NUMBER(uc);
		return TRAP_UNKNOWN;
	}
	n = code_before((const uint8_t *)PG_CONTEXT_PC(uc), code);
	trap = trap_of(code, n);
	*nr = trap == TRAP_OWN || trap == TRAP_NARROW ? number_in(code, n) : -1;
	return trap;
}

static long number_of(const ucontext_t *uc)
{
	long nr;

	trap_at(uc, &nr);
	return nr;
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
	return number_of(context_of(context));
}

/*
 * What no instruction after a system call reads: the kernel has left the way
 * back in %rcx (syscall(2)'s table of clobbered registers), for which we put in
 * a word of our own. It is there as long as nothing ran but the kernel. After
 * int $0x80 it is the program's.
 */
#define LOGGED_WORD 0x706970656775ull

bool pg_hit_is_stale(const void *context)
{
#ifdef PG_CONTEXT_SPARE
	const ucontext_t *uc = context_of(context);

	return PG_CONTEXT_SPARE(uc) == (greg_t)LOGGED_WORD;
#else
	(void)context;
	return pg_mark & PG_MARK_LOGGED;
#endif
}

void pg_hit_mark_logged(const struct pg_op *op, void *context)
{
#ifdef PG_CONTEXT_SPARE
	ucontext_t *uc = context_of(context);

	if (!op->narrow)
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

/* The system call that libc makes for CALL. On 64 bit musl's sendmmsg sends one by one. */
static long number_for(enum pg_call call)
{
	long nr = pg_call_number(call);

#ifndef __GLIBC__
	if (pg_call_formats(call))
		return SYS_writev; /* musl's stdio writes nothing by write */
	if (nr == SYS_sendmmsg && sizeof(long) > sizeof(int))
		return SYS_sendmsg;
#endif
	return nr;
}

/* From the mark of the wrapper that is in progress, if these registers are its call's. */
static bool from_mark(struct regs *r, struct pg_op *op)
{
	enum pg_call call = (enum pg_call)(pg_mark >> 32 & 0x3fff);
	int fd = (int)(uint32_t)pg_mark;
	long nr = number_for(call);

	if (!(pg_mark & PG_MARK_SET))
		return false;
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
		r->nr = number_for(call);
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
static enum trap read_raw(const void *uc, struct regs *r)
{
	read_regs(uc, r);
	return trap_at(uc, &r->nr);
}

/* By what was interrupted alone; false: that is no call. Of those of 32-bit programs no more is
 * known here. */
static bool from_elsewhere(const void *uc, struct regs *r, struct pg_op *op)
{
	enum trap trap = read_raw(uc, r);

	op->narrow = trap == TRAP_NARROW;
	if (op->narrow)
		r->nr = IO_URING_ENTER; /* no call, in the tables */
	from_regs(r, op);
	op->bytes = op->call && (r->nr >= 0 || GUESS_IS_WRITE) ? length_of(r) : -1;
	return trap != NO_TRAP;
}

bool pg_hit_recognise(const siginfo_t *si, const void *context, struct pg_op *op)
{
	const void *uc = context_of(context);
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
	} else if (!from_elsewhere(uc, &r, op)) {
		return false;
	}
	op->ret = r.ret < 0 ? -1 : r.ret;
	op->err = r.ret < 0 ? EPIPE : 0;
	if (broken(op))
		return true;
	if (ours)
		read_regs(uc, &r);
	else
		read_raw(uc, &r);
	return from_ring(&r, op);
}

/* Of a write that broke once: which system call is to be made to meet the same again, and with what
 * arguments where not all are LEFT; a write(2) of one byte where the call itself is not known.
 * False: nor is the descriptor. */
static bool to_repeat(struct regs *r, const void *uc, bool *left)
{
	static const char byte;
	struct pg_op op = {.fd = -1};

	if (!from_ours(r, uc, &op))
		r->nr = number_of(uc);
#ifdef __i386__
	if (r->unpacked)
		r->nr = SYS_socketcall; /* whose own arguments are as they were */
#endif
	*left = !r->first_lost && r->nr >= 0;
	if (*left)
		return true;
	if (!r->first_lost)
		op.fd = (int)r->arg[0];
	if (op.fd < 0)
		return false;
	r->arg[0] = (uintptr_t)op.fd;
	if (r->nr >= 0 && pg_call_layout(pg_call_of_number(r->nr))->fd == 0)
		return true;
	r->nr = SYS_write;
	r->arg[1] = (uintptr_t)&byte;
	r->arg[2] = 1;
	return true;
}

bool pg_hit_repeat(void *context)
{
	ucontext_t *uc = context_of(context);
	struct regs r;
	bool left;

	read_regs(uc, &r);
	if (r.ret != -EPIPE && !pg_confined) /* what it took might be written twice */
		return false;
	if (!to_repeat(&r, uc, &left))
		return false;
	if (!left)
		pg_context_set_args(uc, r.arg, 3);
	/* On i386 the vDSO's other ways into the kernel come back behind its int $0x80, too. */
	PG_CONTEXT_NUMBER(uc) = (__typeof__(PG_CONTEXT_NUMBER(uc)))r.nr;
	PG_CONTEXT_PC(uc) -= PG_TRAP_BYTES;
	return true;
}
