/* SPDX-License-Identifier: MIT */
#include "outside/tracers.h"

#include "outside/elf_file.h"
#include "outside/narrow.h"
#include "outside/report.h"
#include "outside/tracee.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A process of another pid namespace names others by numbers that mean nothing here. */
static bool names_as_here(int tid)
{
	char text[256], *last;

	if (!pg_tracee_status(tid, "NStgid:", text, sizeof text))
		return false;
	last = strrchr(text, '\t');
	return last && last == strchr(text, '\t');
}

static bool is_ours(int tid)
{
	char text[64];

	return pg_tracee_status(tid, "TracerPid:", text, sizeof text) && atoi(text) == getpid();
}

/* The program that thread TID runs; a negative number: it cannot be read. */
static int open_program(int tid)
{
	char path[48];

	snprintf(path, sizeof path, "/proc/%d/exe", tid);
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/* Would the loader of its program take the library in? A static one has none. */
static bool is_entered(int tid)
{
	int fd = open_program(tid);
	struct pg_elf_file e;
	char *loader = NULL;

	if (fd >= 0 && pg_elf_file_open(&e, fd)) {
		loader = e.machine == PG_ELF_MACHINE ? pg_elf_file_interpreter(&e) : NULL;
		pg_elf_file_close(&e);
	}
	if (fd >= 0)
		close(fd);
	if (!loader)
		return false;
	free(loader);
	return true;
}

/* Would the kernel have let TID take TARGET, another process, if that had no tracer? */
static bool is_ours_only(int tid, int target)
{
	return names_as_here(tid) && is_ours(target) && pg_tracee_of(target) != pg_tracee_of(tid);
}

static bool asks(int tid, const long arg[4])
{
	const long options = 0xff | PTRACE_O_EXITKILL | 1 << 21 /* SUSPEND_SECCOMP */;

	switch (arg[0]) {
	case PTRACE_TRACEME:
		return true;
	case PTRACE_SEIZE:
		return !arg[2] && !(arg[3] & ~options) && is_ours_only(tid, (int)arg[1]);
	default:
		return arg[0] == PTRACE_ATTACH && is_ours_only(tid, (int)arg[1]);
	}
}

void pg_tracers_see(int tid, const long arg[4])
{
	if (asks(tid, arg))
		pg_report_tracer(pg_tracee_heard(tid), is_entered(tid));
}

void pg_tracers_look(int tid)
{
	struct __ptrace_syscall_info i;
	long arg[4];
	bool narrow;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof i, &i) <= 0 ||
	    (i.op != PTRACE_SYSCALL_INFO_ENTRY && i.op != PTRACE_SYSCALL_INFO_SECCOMP))
		return;
	narrow = i.arch == (uint32_t)PG_NARROW_AUDIT; /* 0: none is */
	for (int n = 0; n < 4; n++)
		arg[n] = (long)i.entry.args[n];
	if (i.entry.nr == (narrow ? PG_NARROW_PTRACE : SYS_ptrace))
		pg_tracers_see(tid, arg);
}

/* ---- without a filter ---- */

static void find(void *found, const struct pg_elf_symbol *s)
{
	if (!s->section && !strcmp(s->name, "ptrace"))
		*(bool *)found = true;
}

static bool file_names_it(int fd)
{
	struct pg_elf_file e;
	bool found = false;

	if (!pg_elf_file_open(&e, fd))
		return false;
	pg_elf_file_symbols(&e, find, &found);
	pg_elf_file_close(&e);
	return found;
}

/* Does thread TID run a program that names it? Asked once of each file. */
static bool names_it(int tid)
{
	enum { FILES = 64 };
	static struct {
		struct timespec changed;
		uint64_t dev, ino;
		bool names;
	} known[FILES], *k;
	char path[48];
	struct stat st;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/exe", tid);
	if (stat(path, &st))
		return false;
	k = &known[st.st_ino % FILES];
	if (k->ino == st.st_ino && k->dev == st.st_dev && k->changed.tv_sec == st.st_ctim.tv_sec &&
	    k->changed.tv_nsec == st.st_ctim.tv_nsec)
		return k->names;
	fd = open_program(tid);
	k->names = fd >= 0 && file_names_it(fd);
	k->dev = st.st_dev;
	k->ino = st.st_ino;
	k->changed = st.st_ctim;
	if (fd >= 0)
		close(fd);
	return k->names;
}

/* Who is watched, and for how many stops more: twice a call. A debugger reads its files first. */
enum { WATCHED = 64, STOPS = 400, STOPS_AT_START = 8000 };
static struct {
	int tid, left;
} watched[WATCHED];
static unsigned watching;

static void begin(int tid, int stops)
{
	unsigned at = (unsigned)tid % WATCHED;

	if (watched[at].tid == tid && watched[at].left > stops)
		return;
	watching += !watched[at].tid;
	watched[at].tid = tid;
	watched[at].left = stops;
}

void pg_tracers_leave(int tid)
{
	unsigned at = (unsigned)tid % WATCHED;

	if (!watching || watched[at].tid != tid)
		return;
	watched[at].tid = 0;
	watching--;
}

bool pg_tracers_watch(int tid)
{
	unsigned at = (unsigned)tid % WATCHED;

	if (!watching || watched[at].tid != tid)
		return false;
	if (!watched[at].left--)
		pg_tracers_leave(tid);
	return watched[at].tid != 0;
}

void pg_tracers_expect(int tid, bool starts)
{
	if (names_it(tid))
		begin(tid, starts ? STOPS_AT_START : STOPS);
}
