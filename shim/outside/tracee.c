/* SPDX-License-Identifier: MIT */
#include "outside/tracee.h"

#include "base/text.h"
#include "rules/config.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUCKETS = 1024 };

static struct pg_tracee *bucket[BUCKETS];
struct pg_tracee *pg_tracee_now;

static struct pg_tracee **place_of(int pid)
{
	struct pg_tracee **at = &bucket[(unsigned)pid % BUCKETS];

	while (*at && (*at)->pid != pid)
		at = &(*at)->next;
	return at;
}

struct pg_tracee *pg_tracee_known(int pid)
{
	return *place_of(pid);
}

struct pg_tracee *pg_tracee(int pid)
{
	struct pg_tracee **at = place_of(pid);

	if (!*at) {
		*at = calloc(1, sizeof **at);
		if (!*at)
			abort(); /* its tracees run on */
		(*at)->pid = pid;
	}
	return *at;
}

void pg_tracee_forget_areas(struct pg_tracee *t)
{
	free(t->area);
	t->area = NULL;
	t->areas = 0;
	t->mapped = false;
}

void pg_tracee_forget_tables(struct pg_tracee *t)
{
	if (t->unwind)
		t->end_unwind(t->unwind);
	t->unwind = NULL;
}

static void forget(struct pg_tracee *t)
{
	pg_tracee_forget_tables(t);
	pg_tracee_forget_areas(t);
	t->named = t->guarded = t->left_out = t->closed_logged = t->listener_logged = t->held =
		false;
}

void pg_tracee_gone(int pid)
{
	struct pg_tracee **at = place_of(pid), *t = *at;

	if (!t)
		return;
	if (pg_tracee_now == t)
		pg_tracee_now = NULL;
	forget(t);
	*at = t->next;
	if (t->pidfd > 0)
		close(t->pidfd);
	free(t->counts);
	free(t);
}

void pg_tracee_renewed(struct pg_tracee *t)
{
	static uint64_t images;

	t->image = ++images;
	forget(t);
	free(t->counts);
	t->counts = NULL;
	t->by = t->vfork_of = 0;
	memset(t->connections, 0, sizeof t->connections);
	t->up = t->inherited_logged = false;
	t->born = true;
	t->ignored = pg_tracee_sigpipe(t->pid) == PG_SIG_IGNORED;
}

bool pg_tracee_status(int tid, const char *word, char *line, size_t size)
{
	char path[48];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", tid);
	f = fopen(path, "re");
	while (f && !found && fgets(line, (int)size, f))
		found = !strncmp(line, word, strlen(word));
	if (f)
		fclose(f);
	if (found)
		memmove(line, line + strlen(word), strlen(line) - strlen(word) + 1);
	return found;
}

/* A thread's process, as long as it lives. */
enum { THREADS = 4096 };
static struct {
	int tid, pid;
} threads[THREADS];

int pg_tracee_of(int tid)
{
	unsigned at = (unsigned)tid % THREADS;
	char line[256];

	if (threads[at].tid == tid)
		return threads[at].pid;
	threads[at].pid = pg_tracee_status(tid, "Tgid:", line, sizeof line) ? atoi(line) : 0;
	threads[at].tid = threads[at].pid > 0 ? tid : 0;
	return threads[at].pid > 0 ? threads[at].pid : tid;
}

struct pg_tracee *pg_tracee_heard_again(int tid)
{
	return threads[(unsigned)tid % THREADS].tid == tid ? pg_tracee_heard(tid) : NULL;
}

struct pg_tracee *pg_tracee_heard(int tid)
{
	struct pg_tracee *t = pg_tracee(pg_tracee_of(tid));

	t->by = tid;
	return t;
}

void pg_tracee_find(struct pg_tracee *t)
{
	struct dirent *e;
	char path[48];
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/task", t->pid);
	d = pg_tracee_lives(t->pid) ? NULL : opendir(path);
	while (d && !t->by && (e = readdir(d)))
		if (atoi(e->d_name) > 0 && pg_tracee_lives(atoi(e->d_name)))
			t->by = atoi(e->d_name);
	if (d)
		closedir(d);
}

void pg_tracee_thread_gone(int tid)
{
	struct pg_tracee *t = pg_tracee_known(pg_tracee_of(tid));

	if (t && t->by == tid)
		t->by = 0;
	if (threads[(unsigned)tid % THREADS].tid == tid)
		threads[(unsigned)tid % THREADS].tid = 0;
}

bool pg_tracee_lives(int pid)
{
	char line[256];

	return pg_tracee_status(pid, "State:", line, sizeof line) && !strpbrk(line, "ZX");
}

/* Then its files in /proc are root's, and not its own user's. */
bool pg_tracee_is_closed(int pid)
{
	unsigned real, effective;
	char path[48], line[256];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	return geteuid() && !stat(path, &st) && pg_tracee_status(pid, "Uid:", line, sizeof line) &&
	       sscanf(line, "%u %u", &real, &effective) == 2 && st.st_uid != effective;
}

bool pg_tracee_proc_is_foreign(void)
{
	char link[32];
	ssize_t n = readlink("/proc/self", link, sizeof link - 1);

	link[n > 0 ? n : 0] = 0;
	return n > 0 && atoi(link) != getpid();
}

static uint64_t mask_of(int tid, const char *word)
{
	char line[256];

	return pg_tracee_status(tid, word, line, sizeof line) ? strtoull(line, NULL, 16) : 0;
}

bool pg_tracee_masked(int tid, const char *word, int sig)
{
	return mask_of(tid, word) >> (sig - 1) & 1;
}

/* Those that do nothing unless there is a handler; but for SIGCONT, which ends a stop. */
static const uint64_t ignored =
	1ull << (SIGCHLD - 1) | 1ull << (SIGURG - 1) | 1ull << (SIGWINCH - 1);

bool pg_tracee_ignores(int tid, int sig)
{
	return pg_tracee_masked(tid, "SigIgn:", sig) ||
	       (ignored >> (sig - 1) & 1 && !pg_tracee_masked(tid, "SigCgt:", sig));
}

bool pg_tracee_is_signalled(int tid)
{
	uint64_t waits = mask_of(tid, "SigPnd:") | mask_of(tid, "ShdPnd:");

	waits = waits ? waits & ~mask_of(tid, "SigBlk:") & ~mask_of(tid, "SigIgn:") : 0;
	return waits & ~ignored || waits & mask_of(tid, "SigCgt:");
}

enum pg_signal pg_tracee_sigpipe(int tid)
{
	if (pg_tracee_masked(tid, "SigIgn:", SIGPIPE))
		return PG_SIG_IGNORED;
	return pg_tracee_masked(tid, "SigCgt:", SIGPIPE) ? PG_SIG_CAUGHT : PG_SIG_FATAL;
}

char *pg_tracee_counts(struct pg_tracee *t)
{
	if (t->vfork_of && pg_tracee_known(t->vfork_of))
		t = pg_tracee_known(t->vfork_of);
	if (!t->counts)
		t->counts = calloc(1, PG_COUNTS_ROOM);
	if (!t->counts)
		abort();
	return t->counts;
}

void pg_tracee_comm(int tid, char comm[16])
{
	char path[48], line[64] = "";
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/comm", tid);
	f = fopen(path, "re");
	if (f && !fgets(line, sizeof line, f))
		line[0] = 0;
	if (f)
		fclose(f);
	line[strcspn(line, "\n")] = 0;
	pg_copy(comm, 16, line);
}

/* ---- names ---- */

/* Of a script its own name, as the kernel ran it: comm has it, though perhaps cut. */
static void read_name(struct pg_tracee *t)
{
	char path[48], link[512], comm[16];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/exe", pg_tracee_by(t));
	n = readlink(path, link, sizeof link - 1);
	link[n > 0 ? n : 0] = 0;
	if (pg_len(link) > 10 && !strcmp(link + pg_len(link) - 10, " (deleted)"))
		link[pg_len(link) - 10] = 0;
	pg_tracee_comm(t->pid, comm);
	pg_copy(t->program, sizeof t->program, n > 0 ? pg_basename(link) : comm);
}

/* Is NAME matched by one of the globs of LIST, commas between? */
static bool listed(const char *list, const char *name)
{
	char glob[128];

	while (*list) {
		size_t n = strcspn(list, ",");

		pg_copy(glob, n + 1 < sizeof glob ? n + 1 : sizeof glob, list);
		if (pg_glob(glob, name))
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

static const char *only, *skip;

void pg_tracee_pick(const char *these, const char *not_these)
{
	only = these;
	skip = not_these;
}

void pg_tracee_name(struct pg_tracee *t)
{
	if (t->named)
		return;
	t->named = true;
	read_name(t);
	t->left_out = (only && !listed(only, t->program)) || (skip && listed(skip, t->program));
}

const char *pg_program_name(void)
{
	if (!pg_tracee_now)
		return "pipeguard";
	pg_tracee_name(pg_tracee_now);
	return pg_tracee_now->program;
}
