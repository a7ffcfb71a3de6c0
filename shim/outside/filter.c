/* SPDX-License-Identifier: MIT */
#include "outside/filter.h"

#include "outside/narrow.h"

#include "rules/match.h"
#include "rules/page.h"
#include "rules/rule.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
enum { INSTRUCTIONS = 4000, RANGES = 40 };

static struct sock_filter program[INSTRUCTIONS];
static unsigned length;

static void put(uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (length < INSTRUCTIONS)
		program[length++] = (struct sock_filter){code, jt, jf, k};
}

/* The descriptors for which some rule watches one of CALLS; false: it may be any. */
static bool descriptors(uint64_t calls, struct pg_range *range, unsigned *n)
{
	*n = 0;
	if (pg_page()) /* nobody knows what comes */
		return false;
	for (unsigned i = 0; i < pg_rules.n; i++) {
		const struct pg_rule *r = &pg_rules.rule[i];

		if (!(pg_match_calls(r) & calls))
			continue;
		if (!pg_has(r, PG_F_FD) || r->fd.negate || *n + r->fd.n > RANGES)
			return false;
		memcpy(range + *n, &pg_rules.range[r->fd.at], r->fd.n * sizeof *range);
		*n += r->fd.n;
	}
	return true;
}

static uint32_t bound(int64_t v)
{
	return v > 0x7fffffff ? 0x7fffffff : (uint32_t)v;
}

/* Told of if argument AT is in one of the ranges. */
static void put_ranges(unsigned at, const struct pg_range *range, unsigned n)
{
	put(BPF_LD | BPF_W | BPF_ABS, 0, 0,
	    (uint32_t)(offsetof(struct seccomp_data, args) + 8 * at));
	for (unsigned i = 0; i < n; i++) {
		put(BPF_JMP | BPF_JGE | BPF_K, 0, 1, bound(range[i].lo));
		put(BPF_JMP | BPF_JGT | BPF_K, 0, (uint8_t)(2 * (n - 1 - i) + 1),
		    bound(range[i].hi));
	}
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF);
}

static void put_call(enum pg_call call, uint64_t calls, long number)
{
	struct pg_range range[RANGES];
	unsigned n, skip;

	if (!descriptors(calls, range, &n)) {
		put(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, (uint32_t)number);
		put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF);
		return;
	}
	skip = 2 * n + 3;
	put(BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)skip, (uint32_t)number);
	put_ranges((unsigned)pg_call_raw_layout(call)->fd, range, n);
}

static bool is_watched(uint64_t bits)
{
	if (pg_page())
		return bits != 0;
	for (unsigned i = 0; i < pg_rules.n; i++)
		if (pg_match_calls(&pg_rules.rule[i]) & bits)
			return true;
	return false;
}

/* The row that a number is taken for stands for those that libc has besides. */
static bool is_first(enum pg_call call)
{
	return pg_call_of_number(pg_call_number(call)) == call;
}

/* A process has one listener, and that is this one: who asks for another is logged. */
static void put_listener(uint32_t number)
{
	put(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, number);
	put(BPF_LD | BPF_W | BPF_ABS, 0, 0,
	    (uint32_t)(offsetof(struct seccomp_data, args) + sizeof(uint64_t)));
	put(BPF_JMP | BPF_JSET | BPF_K, 0, 1, SECCOMP_FILTER_FLAG_NEW_LISTENER);
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF);
}

/* Who would trace others is logged: see tracers.h. */
static void put_tracing(uint32_t number)
{
	put(BPF_JMP | BPF_JEQ | BPF_K, 0, 6, number);
	put(BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offsetof(struct seccomp_data, args));
	put(BPF_JMP | BPF_JEQ | BPF_K, 3, 0, PTRACE_TRACEME);
	put(BPF_JMP | BPF_JEQ | BPF_K, 2, 0, PTRACE_ATTACH);
	put(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, PTRACE_SEIZE);
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF);
}

static void put_own(void)
{
	put(BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offsetof(struct seccomp_data, nr));
	for (int c = 1; c < PG_CALL_COUNT; c++) {
		enum pg_call call = (enum pg_call)c;

		if (!is_first(call) || !is_watched(pg_calls_alike(call)))
			continue;
		put_call(call, pg_calls_alike(call), pg_call_number(call));
#ifdef SYS_accept
		if (call == PG_CALL_accept)
			put_call(call, pg_calls_alike(call), SYS_accept);
#endif
	}
	put_tracing(SYS_ptrace);
	put_listener(SYS_seccomp);
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

/* Its descriptor lies in memory, which no filter sees. */
static void put_socketcall(void)
{
	unsigned skip = length;

	put(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, PG_NARROW_SOCKETCALL);
	put(BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offsetof(struct seccomp_data, args));
	for (unsigned which = 0; which < PG_NARROW_SOCKETCALLS; which++) {
		enum pg_call call = pg_call_of_number(pg_narrow_socketcall(which));

		if (!call || !is_watched(pg_calls_alike(call)))
			continue;
		put(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, which);
		put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF);
	}
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	if (skip < INSTRUCTIONS)
		program[skip].jf = (uint8_t)(length - skip - 1);
}

static void put_narrow(void)
{
	put(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, PG_NARROW_AUDIT);
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	put(BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < pg_narrow_count; i++) {
		enum pg_call call = pg_call_of_number(pg_narrow_pairs[i].wide);

		if (call && is_watched(pg_calls_alike(call)))
			put_call(call, pg_calls_alike(call), pg_narrow_pairs[i].narrow);
	}
	put_tracing(PG_NARROW_PTRACE);
	put_socketcall();
	put_listener(PG_NARROW_SECCOMP);
}

static void build(void)
{
	unsigned others;

	put(BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offsetof(struct seccomp_data, arch));
	put(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, PG_AUDIT);
	others = length;
	put(BPF_JMP | BPF_JA, 0, 0, 0);
	put_own();
	program[others].k = length - others - 1;
	if (PG_NARROW_AUDIT)
		put_narrow();
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

int pg_filter_add(struct sock_filter *filter, unsigned short n, unsigned long flags)
{
	struct sock_fprog prog = {n, filter};
	long fd;

	for (int privileged = 1; privileged >= 0; privileged--) {
		if (!privileged)
			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			     flags ? flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0, &prog);
		if (fd < 0 && errno == EINVAL) /* before Linux 5.19 */
			fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
		if (fd >= 0 || errno != EACCES)
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

int pg_filter_install(void)
{
	build();
	return pg_filter_add(program, (unsigned short)length, SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

int pg_split(void)
{
	return (int)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
}

/* The kernel says so to who asks, which a child does: one that is killed for it leaves no core. */
int pg_filter_forbidden(unsigned long flags)
{
	struct sock_filter all = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
	int status = 0, got, child = pg_split();

	if (!child) {
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		got = pg_filter_add(&all, 1, flags);
		_exit(got < 0 ? -got : 0);
	}
	if (child < 0 || waitpid(child, &status, __WALL) != child)
		return 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
}

int pg_filter_no_listener(void)
{
	return pg_filter_forbidden(SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

/* ---- what cannot be ---- */

static bool is_kernels(uint64_t calls)
{
	for (int call = 1; call < PG_CALL_COUNT; call++)
		if (pg_call_has_rules((enum pg_call)call) && calls & PG_BIT(call) &&
		    !pg_call_formats((enum pg_call)call))
			return true;
	return false;
}

const char *pg_filter_refuses(void)
{
	static char text[200];
	const char *why = NULL;

	if (pg_rules.n && sizeof(long) < sizeof(uint64_t))
		return "rules are not followed from outside by a pipeguard for 32 bits";
	for (unsigned i = 0; i < pg_rules.n && !why; i++) {
		const struct pg_rule *r = &pg_rules.rule[i];

		if (!is_kernels(r->calls & ~PG_STDIO_BIT))
			why = "%stdio and dprintf are libc's, and not seen from outside: write "
			      "%out";
		else if (pg_has(r, PG_F_SEEN) && r->seen != PG_SEEN_HUP)
			why = "what the program was told (seen=eof, reset, refused) is not known "
			      "from outside: seen=hup is";
		if (why)
			snprintf(text, sizeof text, "rule %s: %s", r->id, why);
	}
	return why ? text : NULL;
}
