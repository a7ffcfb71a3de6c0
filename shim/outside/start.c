/* SPDX-License-Identifier: MIT */
#include "outside/start.h"

#include "outside/engine.h"
#include "outside/filter.h"
#include "outside/kernel.h"
#include "outside/ruled.h"
#include "outside/silent.h"
#include "outside/stops.h"
#include "outside/thing.h"
#include "outside/tracee.h"

#include "base/clock.h"
#include "log/log.h"
#include "rules/config.h"
#include "rules/live.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAITING, READY, FAILED };

/* What both sides of the start see. */
struct meeting {
	_Atomic int state, engine; /* ENGINE: its number */
	_Atomic int allowed;
	_Atomic int notifies, taken; /* NOTIFIES: the listener's number here, plus 1 */
	int why;		     /* errno */
	pid_t program;
};

/* Waits for the other side, ten seconds at the most. */
static bool meet(_Atomic int *word)
{
	struct timespec pause = {0, 100000};

	for (int i = 0; i < 100000 && !atomic_load(word); i++)
		nanosleep(&pause, NULL);
	return atomic_load(word);
}

/* Of the program's descriptors it keeps what the log goes to alone: who waits for the end of the
 * others waits for the program. */
static void let_go(int null)
{
	bool numbered = pg_config.log_kind == PG_LOG_FD;
	unsigned kept = numbered && pg_config.log_fd > 2 ? (unsigned)pg_config.log_fd : 2;
	enum { MANY = 65536 };
	struct rlimit most;

	for (int fd = 0; fd < 2; fd++)
		if (!pg_log_goes_to(fd))
			dup2(null, fd);
	if (kept > 3)
		pg_kernel_close(3, kept - 1);
	pg_kernel_close(kept + 1, ~0u);
	if (getrlimit(RLIMIT_NOFILE, &most))
		return;
	most.rlim_cur = most.rlim_max;
	setrlimit(RLIMIT_NOFILE, &most);
	if (most.rlim_max < MANY) /* root's may be higher */
		setrlimit(RLIMIT_NOFILE, &(struct rlimit){MANY, MANY});
}

/* That a log cannot be opened is said on standard error. */
static void open_log(void)
{
	int null = open("/dev/null", O_RDWR);

	let_go(null);
	pg_log_start();
	null = open("/dev/null", O_RDWR);
	if (!pg_log_goes_to(2))
		dup2(null, 2);
	if (null > 2)
		close(null);
	if (chdir("/")) /* no folder is held */
		return;
}

/* The listener for the program's calls, taken out of it. */
static int take_listener(struct meeting *m)
{
	int fd = meet(&m->notifies) ? atomic_load(&m->notifies) - 1 : -1;
	int copy = fd >= 0 ? pg_thing_copy(pg_tracee(m->program), m->program, fd) : -1;

	atomic_store(&m->taken, copy >= 0 ? 1 : 2);
	return copy;
}

/* Are calls stopped at, instead of notified of? Who waits for an answer does not show what its call
 * comes to; who is stopped does. And a process has one listener: it may be another's; or none is
 * allowed, nor any filter. */
static bool by_stops;

static void say(const char *line)
{
	fprintf(stderr, "pipeguard: %s\n", line);
}

static void say_lack(enum pg_lack lack)
{
	say(pg_kernel_line(lack));
}

static int forbidden; /* errno: why by stops, where nobody asked for them */

static void choose_way(void)
{
	struct pg_rule_set *before = pg_live_enter();
	bool ruled = pg_rules.n || pg_page();

	pg_live_leave(before);
	if (ruled && !pg_silent_on)
		forbidden = pg_filter_no_listener();
	else if (pg_silent_on && !ruled)
		forbidden = pg_filter_forbidden(0);
	by_stops = forbidden || (ruled && pg_silent_on);
}

static void say_why_by_stops(void)
{
	if (forbidden && pg_silent_on)
		say("this system has no seccomp filters, or forbids them: --all stops every system "
		    "call instead, 10 to 100 us a call");
	else if (forbidden == EBUSY)
		say("another one's seccomp notifications stand over what is started here (a "
		    "container's, say): rules from outside stop every system call instead, 10 to "
		    "100 us a call");
	else if (forbidden)
		say_lack(PG_LACKS_NOTICE);
}

static void __attribute__((noreturn)) look_after(struct meeting *m)
{
	struct pg_engine how = {.listener = -1};
	int ret;

	setsid();
	prctl(PR_SET_NAME, "pipeguard");
	atomic_store(&m->engine, getpid());
	if (!meet(&m->allowed))
		_exit(0);
	open_log();
	if (by_stops)
		pg_stops_start();
	ret = pg_engine_prepare() ? pg_engine_seize(m->program) : -EMFILE;
	m->why = ret < 0 ? -ret : 0;
	atomic_store(&m->state, ret < 0 ? FAILED : READY);
	if (ret >= 0 && (pg_rules.n || pg_page()) && !pg_stops_on)
		how.listener = take_listener(m);
	if (ret >= 0)
		pg_engine_run(&how);
	_exit(0);
}

/* Will this process, and the program that it becomes, be the parent of orphans? */
static bool adopts(void)
{
	int adopter = 0;

	prctl(PR_GET_CHILD_SUBREAPER, &adopter, 0, 0, 0);
	return getpid() == 1 || adopter;
}

/* The engine's parent ends at once: the program shall have no child of ours. One that adopts
 * orphans has it all the same, but as one that wait(2) passes over, as long as it is its own. */
static void start_apart(struct meeting *m)
{
	bool adopts_it = adopts();
	pid_t between = pg_split();

	if (!between && adopts_it)
		look_after(m);
	if (!between) {
		if (!pg_split())
			look_after(m);
		_exit(0);
	}
	if (between > 0 && !adopts_it)
		waitpid(between, NULL, __WALL);
}

static const char *reason(int err)
{
	static char text[200];

	if (err == EPERM)
		return "this process may not be traced: another tracer has it, or the system "
		       "forbids it (a container without ptrace, say)";
	snprintf(text, sizeof text, "this process cannot be traced: %s", strerror(err));
	return text;
}

/* Do rules ask for what is put into a descriptor's place? */
static bool places_anything(void)
{
	const uint64_t faults = PG_FIELD(BREAK) | PG_FIELD(EOF) | PG_FIELD(RESET);

	for (unsigned i = 0; i < pg_rules.n; i++)
		if (faults >> pg_rules.rule[i].terminal & 1 &&
		    pg_rules.rule[i].able & (PG_KINDS_PIPE | PG_KINDS_UNIX))
			return true;
	return pg_page();
}

/* From here on every call that rules name is notified of. */
static const char *notify_of_calls(struct meeting *m)
{
	int fd = pg_filter_install();

	if (fd < 0)
		return "seccomp notifications were there, and are not any more";
	atomic_store(&m->notifies, fd + 1);
	if (!meet(&m->taken) || atomic_load(&m->taken) != 1)
		return "rules from outside need the program's descriptors, which this system does "
		       "not give";
	if (places_anything() && !pg_kernel_places(fd))
		say_lack(PG_LACKS_PLACE);
	if (pg_config.verbose && !pg_kernel_turns(fd))
		say_lack(PG_LACKS_TURNS);
	close(fd);
	return NULL;
}

/* Why rules cannot be followed here. Without rules what is missing is said, and it goes on. */
static const char *kernel_forbids(void)
{
	bool ruled = pg_rules.n || pg_page();

	if (!pg_kernel_copies() && ruled)
		return pg_kernel_line(PG_LACKS_COPY);
	if (!pg_kernel_copies())
		say_lack(PG_LACKS_COPY);
	if (by_stops && !pg_kernel_tells())
		return pg_kernel_line(PG_LACKS_INFO);
	say_why_by_stops();
	return NULL;
}

const char *pg_start_engine(void)
{
	struct meeting *m =
		mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *why;

	if (m == MAP_FAILED)
		return "no memory";
	if (pg_tracee_proc_is_foreign())
		return "/proc is another pid namespace's, and tells of other processes: mount it "
		       "(unshare --mount-proc)";
	pg_config.start = pg_now();
	m->program = getpid();
	choose_way();
	why = kernel_forbids();
	if (why)
		return why;
	start_apart(m);
	if (!meet(&m->engine))
		return "no process could be started";
	prctl(PR_SET_PTRACER, atomic_load(&m->engine), 0, 0,
	      0); /* Yama lets no others but parents */
	atomic_store(&m->allowed, 1);
	if (!meet(&m->state))
		return "the engine did not start";
	if (atomic_load(&m->state) != READY)
		return reason(m->why);
	if (by_stops)
		return NULL;
	if (pg_silent_on && pg_silent_install())
		return "seccomp filters were there, and are not any more";
	return pg_page() || pg_rules.n ? notify_of_calls(m) : NULL;
}
