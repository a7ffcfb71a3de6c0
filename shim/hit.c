/* SPDX-License-Identifier: MIT */
#include "hit.h"

#include "elf.h"
#include "stack.h"

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
__thread uintptr_t pg_told __attribute__((tls_model("initial-exec")));
#ifndef __GLIBC__
__thread uintptr_t pg_mark_caller __attribute__((tls_model("initial-exec")));
#endif

struct regs {
	int64_t ret;
	long nr; /* -1: unknown */
	uintptr_t arg[6], sp;
	bool first_lost; /* arg[0] was overwritten by the result */
};

int64_t pg_iov_bytes(const void *iov, uint64_t count)
{
	const struct iovec *v = iov;
	int64_t sum = 0;

	for (uint64_t i = 0; v && i < count && i < 1024; i++)
		sum += (int64_t)v[i].iov_len;
	return sum;
}

int64_t pg_msg_bytes(const void *msg)
{
	const struct msghdr *m = msg;

	return m ? pg_iov_bytes(m->msg_iov, (uint64_t)m->msg_iovlen) : -1;
}

#if defined(__x86_64__) || defined(__i386__)
/*
 * The result has replaced the call's number in the register; the instruction
 * that loaded it (mov $nr,%eax) stands before the trap, in libc's stubs right
 * before it. Looked for in the bytes before PC; -1 if there is none.
 */
static long number_before(const uint8_t *pc)
{
	bool trap = (pc[-2] == 0x0f && pc[-1] == 0x05) || (pc[-2] == 0xcd && pc[-1] == 0x80);

	for (int back = 7; trap && back < 32; back++) {
		uint32_t nr;

		if (pc[-back] != 0xb8)
			continue;
		memcpy(&nr, pc - back + 1, sizeof nr);
		if (nr < 512)
			return (long)nr;
	}
	return -1;
}
#endif

#ifdef __i386__
/*
 * socketcall(2), which i386's libc still uses: the real call and its
 * arguments are in memory. The kernel is entered through the vDSO, so the
 * number may be unknown; a wrapper of ours that sends is at work then.
 */
static void unpack_socketcall(struct regs *r)
{
	static const short numbers[] = {
		[9] = SYS_sendto, [11] = SYS_sendto, [16] = SYS_sendmsg, [20] = SYS_sendmmsg};
	const uintptr_t *args = (const uintptr_t *)r->arg[1];
	uintptr_t which = r->arg[0];

	if ((r->nr >= 0 && r->nr != SYS_socketcall) || which >= sizeof numbers / sizeof *numbers ||
	    !numbers[which])
		return;
	r->nr = numbers[which];
	for (int i = 0; i < (which == 16 ? 3 : 4); i++)
		r->arg[i] = args[i];
}
#endif

static void read_regs(const ucontext_t *uc, struct regs *r)
{
#if defined(__x86_64__)
	static const int order[6] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};

	r->ret = uc->uc_mcontext.gregs[REG_RAX];
	r->nr = number_before((const uint8_t *)uc->uc_mcontext.gregs[REG_RIP]);
	r->sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
#elif defined(__i386__)
	static const int order[6] = {REG_EBX, REG_ECX, REG_EDX, REG_ESI, REG_EDI, REG_EBP};

	r->ret = uc->uc_mcontext.gregs[REG_EAX];
	r->nr = number_before((const uint8_t *)uc->uc_mcontext.gregs[REG_EIP]);
#endif
#if defined(__x86_64__) || defined(__i386__)
	for (int i = 0; i < 6; i++)
		r->arg[i] = (uintptr_t)uc->uc_mcontext.gregs[order[i]];
	r->first_lost = false;
#elif defined(__aarch64__)
	for (int i = 0; i < 6; i++)
		r->arg[i] = uc->uc_mcontext.regs[i];
	r->ret = (int64_t)uc->uc_mcontext.regs[0];
	r->nr = (long)uc->uc_mcontext.regs[8];
	r->first_lost = true;
#endif
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
static bool from_mark(struct regs *r, struct pg_hit *hit)
{
	enum pg_call call = (enum pg_call)(pg_mark >> 32 & 0x3fff);
	int fd = (int)(uint32_t)pg_mark;
	long nr = pg_call_number(call);

	if (!(pg_mark & PG_MARK_SET))
		return false;
#ifndef __GLIBC__
	if (call >= PG_CALL_dprintf && call <= PG_CALL___vdprintf_chk)
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
	hit->call = call;
	hit->fd = fd;
	hit->inlined = false;
	hit->via = pg_mark & PG_MARK_STDIO ? PG_VIA_STDIO
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

/* From the stack: the wrapper of ours that called what was interrupted. */
static bool from_stack(const struct regs *r, struct pg_hit *hit)
{
	bool stdio = false;
	const char *name = PG_MARKS ? NULL : pg_stack_wrapper(&stdio);
	enum pg_call call = name ? call_named(name) : PG_NO_CALL;

	if (!name && !stdio)
		return false;
	hit->call = stdio ? PG_CALL_write : call;
	hit->fd = fd_of(r);
	hit->via = stdio ? PG_VIA_STDIO : PG_VIA_CALL;
	hit->sp = r->sp;
	hit->inlined = false;
	return hit->call != PG_NO_CALL;
}

static void from_regs(const struct regs *r, struct pg_hit *hit)
{
	hit->via = PG_VIA_SIGNAL;
	hit->inlined = true;
	hit->call = r->nr < 0 ? PG_CALL_write : pg_call_of_number(r->nr);
	hit->fd = hit->call ? fd_of(r) : -1;
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

static bool from_ring(const struct regs *r, struct pg_hit *hit)
{
	if (r->ret <= 0 || !is_ring(r))
		return false;
	*hit = (struct pg_hit){.via = PG_VIA_SIGNAL,
			       .fd = -1,
			       .len = -1,
			       .ret = -1,
			       .err = EPIPE,
			       .inlined = true};
	return true;
}

/* Without system calls, when the program has confined itself: a count stands for a pipe that broke
 * midway. */
static bool broken(const struct pg_hit *hit)
{
	return hit->err || pg_confined || pg_fd_is_broken_pipe(hit->fd);
}

bool pg_hit_recognise(const siginfo_t *si, const void *uc, struct pg_hit *hit)
{
	struct regs r, raw;

	if (si->si_code != SI_USER || (!pg_confined && si->si_pid != (pid_t)pg_sys0(SYS_getpid)))
		return false;
	read_regs(uc, &r);
	if (r.ret != -EPIPE && r.ret <= 0)
		return false;
	raw = r;
	hit->caller = 0;
	hit->sp = 0;
	if (from_mark(&r, hit)) {
		hit->caller = PG_MARKED_CALLER;
		hit->len = length_of(&r);
	} else if (from_stack(&raw, hit)) {
		hit->len = length_of(&raw);
	} else {
		from_regs(&raw, hit);
		hit->len = hit->call && (raw.nr >= 0 || GUESS_IS_WRITE) ? length_of(&raw) : -1;
	}
	hit->ret = r.ret < 0 ? -1 : r.ret;
	hit->err = r.ret < 0 ? EPIPE : 0;
	return broken(hit) || from_ring(&raw, hit);
}

bool pg_hit_repeat(void *context)
{
#ifdef __x86_64__
	enum { SYSCALL_BYTES = 2 };
	ucontext_t *uc = context;
	struct regs r;
	struct pg_hit hit;

	read_regs(uc, &r);
	if (r.nr < 0 && !from_mark(&r, &hit))
		return false;
	uc->uc_mcontext.gregs[REG_RAX] = r.nr;
	uc->uc_mcontext.gregs[REG_RIP] -= SYSCALL_BYTES;
	return true;
#else
	(void)context;
	return false;
#endif
}
