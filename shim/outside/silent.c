/* SPDX-License-Identifier: MIT */
#include "outside/silent.h"

#include "outside/filter.h"
#include "outside/narrow.h"
#include "outside/registers.h"
#include "outside/report.h"
#include "outside/tracee.h"

#include "base/call.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

bool pg_silent_on;

enum { INSTRUCTIONS = 80, MARK = 0x5047 /* of its filter, among those of the program's */ };

static struct sock_filter program[INSTRUCTIONS];
static unsigned short length;

static void put(uint16_t code, uint8_t jt, uint8_t jf, size_t k)
{
	program[length++] = (struct sock_filter){code, jt, jf, (uint32_t)k};
}

/* Call NUMBER stops if FLAG is in its argument AT. */
static void put_call(long number, unsigned at, unsigned flag)
{
	put(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, (size_t)number);
	put(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, args) + 8 * at);
	put(BPF_JMP | BPF_JSET | BPF_K, 0, 1, flag);
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_TRACE | MARK);
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

/* What its flags are lies in memory: each of them that sends stops. */
static void put_socketcall(void)
{
	enum { SEND = 9, SENDTO = 11, SENDMSG = 16, SENDMMSG = 20 };
	static const uint8_t which[] = {SEND, SENDTO, SENDMSG, SENDMMSG};

	put(BPF_JMP | BPF_JEQ | BPF_K, 0, 2 * sizeof which + 1, PG_NARROW_SOCKETCALL);
	put(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, args));
	for (unsigned i = 0; i < sizeof which; i++) {
		put(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, which[i]);
		put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_TRACE | MARK);
	}
}

/* Calls of ARCH; those of others are behind them. */
static void put_calls(uint32_t arch, const short number[5])
{
	unsigned short others = length;

	put(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, arch);
	put(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
	put_call(number[0], 3, MSG_NOSIGNAL);
	put_call(number[1], 2, MSG_NOSIGNAL);
	put_call(number[2], 3, MSG_NOSIGNAL);
	put_call(number[3], 5, PG_RWF_NOSIGNAL);
	put(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, (size_t)number[4]);
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_TRACE | MARK);
	if (arch == (uint32_t)PG_NARROW_AUDIT)
		put_socketcall();
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	program[others].jf = (uint8_t)(length - others - 1);
}

int pg_silent_install(void)
{
	static const short own[] = {SYS_sendto, SYS_sendmsg, SYS_sendmmsg, SYS_pwritev2,
				    SYS_ptrace};
	static const short narrow[] = {369, 370, 345, 379,
				       PG_NARROW_PTRACE}; /* the same, see narrow.c */

	put(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
	put_calls(PG_AUDIT, own);
	if (PG_NARROW_AUDIT)
		put_calls((uint32_t)PG_NARROW_AUDIT, narrow);
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	return pg_filter_add(program, length, 0);
}

/* A filter of the program's own asks for a tracer, which is none of this one's business: without
 * one the kernel says ENOSYS. */
bool pg_silent_stopped(int tid)
{
	unsigned long mark = MARK;

	if (ptrace(PTRACE_GETEVENTMSG, tid, 0, &mark) || mark == MARK)
		return true;
	if (pg_registers_skip(tid))
		pg_registers_result(tid, -ENOSYS);
	return false;
}

/* Asked at once, since Linux 5.3: hardly any call breaks. */
static bool is_broken(int tid)
{
	struct __ptrace_syscall_info info;
	long got = ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof info, &info);

	return got <= 0 || (info.op == PTRACE_SYSCALL_INFO_EXIT && info.exit.rval == -EPIPE);
}

void pg_silent_look(int tid)
{
	const struct pg_layout *l;
	struct pg_registers r;
	enum pg_call call;
	enum pg_signal signal;

	if (!is_broken(tid) || !pg_registers_read(tid, &r) || r.number < 0 || r.result != -EPIPE)
		return;
	call = pg_call_made_raw(r.number, r.arg);
	if (!pg_is_out(call))
		return;
	l = pg_call_raw_layout(call);
	if (l->flags >= 0 && pg_call_spares(call, (int)r.arg[l->flags]))
		signal = PG_SIG_NONE;
	else if (pg_tracee_masked(tid, "SigBlk:", SIGPIPE))
		signal = PG_SIG_BLOCKED;
	else
		return; /* the signal shows it */
	pg_report_silent(pg_tracee_heard(tid), tid, &r, signal);
}
