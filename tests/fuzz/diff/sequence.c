/* SPDX-License-Identifier: MIT */
/* What follows from a seed: a state of SIGPIPE, some objects, then steps, then a look at all. */
#include "diff.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

uint64_t the_seed;
bool inherited;
static bool mortal; /* this process may die of what it does */
static unsigned depth;

/* KILLS: where a SIGPIPE would kill, a child does it; the sequence goes on. */
static const struct operation {
	const char *name;
	enum class class;
	unsigned weight;
	bool kills, objects; /* makes objects: what a sequence begins with */
	void (*run)(void);
} operations[] = {
	{"pipe", C_pipe, 5, false, true, make_pipe},
	{"pair", C_unix, 5, false, true, make_pair},
	{"fifo", C_fifo, 2, false, true, make_fifo},
	{"file", C_file, 2, false, true, make_file},
	{"special", C_special, 2, false, true, make_special},
	{"tty", C_tty, 1, false, true, make_tty},
	{"tcp", C_tcp, 5, false, true, make_tcp},
	{"unix", C_unix, 3, false, true, make_unix},
	{"udp", C_udp, 2, false, true, make_udp},
	{"epoll", C_poll, 1, false, true, make_epoll},
	{"break", C_close, 14, false, false, break_object},
	{"write", C_write, 50, true, false, op_write},
	{"sendmmsg", C_mmsg, 4, true, false, op_sendmmsg},
	{"sendfile", C_copy, 4, true, false, op_sendfile},
	{"splice", C_copy, 4, true, false, op_splice},
	{"tee", C_copy, 2, true, false, op_tee},
	{"copy_file_range", C_copy, 1, true, false, op_copy_range},
	{"read", C_read, 8, false, false, op_read},
	{"readv", C_read, 4, false, false, op_readv},
	{"recv", C_read, 9, false, false, op_recv},
	{"recvmsg", C_message, 6, false, false, op_recvmsg},
	{"recvmmsg", C_mmsg, 3, false, false, op_recvmmsg},
	{"connect", C_connect, 8, false, false, op_connect},
	{"sendto", C_connect, 3, true, false, op_sendto},
	{"accept", C_accept, 5, false, false, op_accept},
	{"listen", C_accept, 1, false, false, op_listen},
	{"names", C_accept, 2, false, false, op_names},
	{"shutdown", C_shutdown, 4, false, false, op_shutdown},
	{"option", C_option, 4, false, false, op_option},
	{"linger", C_option, 2, false, false, op_linger},
	{"rights", C_rights, 2, true, false, op_rights},
	{"dup", C_dup, 7, false, false, op_dup},
	{"close", C_close, 7, false, false, op_close},
	{"close_range", C_range, 1, false, false, op_close_range},
	{"fcntl", C_dup, 3, false, false, op_fcntl},
	{"poll", C_poll, 3, false, false, op_poll},
	{"epoll", C_poll, 3, false, false, op_epoll},
	{"signal", C_signal, 5, false, false, op_signal},
	{"mask", C_mask, 4, false, false, op_mask},
	{"pending", C_mask, 3, false, false, op_pending},
	{"kill", C_kill, 2, true, false, op_kill},
	{"altstack", C_altstack, 1, false, false, op_altstack},
	{"jump", C_jump, 3, true, false, op_jump},
	{"nest", C_nest, 3, true, false, op_nest},
	{"flood", C_flood, 1, true, false, op_flood},
	{"stdio", C_stdio, 16, true, false, op_stdio},
	{"popen", C_popen, 1, true, false, op_popen},
	{"fork", C_fork, 3, false, false, op_fork},
	{"vfork", C_vfork, 2, false, false, op_vfork},
	{"spawn", C_spawn, 1, false, false, op_spawn},
	{"thread", C_thread, 3, true, false, op_thread},
	{"prctl", C_prctl, 1, false, false, op_prctl},
	{"confined", C_seccomp, 1, false, false, op_confined},
	{"midway", C_midway, 2, true, false, op_midway},
	{"async", C_async, 2, true, false, op_async},
	{"eintr", C_eintr, 2, true, false, op_eintr},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

/* ---- ends ---- */

int signal_self(int sig)
{
	pid_t pid = getpid();

	return pid > 1 ? kill(pid, sig) : -1;
}

static void leave_by(unsigned way, int status)
{
	switch (way) {
	case 0:
		_Exit(status);
	case 1:
		files_at_exit();
		exit(status);
	case 2:
		quick_exit(status);
	case 3:
		syscall(SYS_exit_group, status);
		break;
	case 4:
		abort();
	case 5:
		signal_self(percent(50) ? SIGKILL : SIGTERM);
		break;
	default:
		_exit(status);
	}
}

void leave(void)
{
	static const unsigned ways[] = {0, 1, 1, 1, 2, 3, 4, 5, 6, 6, 6};
	unsigned way = on(C_exit) ? ONE_OF(ways) : 6;

	count_use(way == 0 ? "_Exit" : way == 6 ? "_exit" : "other-ends");
	say("leaves by way %u", way);
	fact("leaves %d %u", getpid(), way);
	leave_by(way, (int)below(100));
	_exit(99);
}

bool in_child(void (*what)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		mortal = true;
		depth++;
		fact("born %d %d", getpid(), getppid());
		what();
		memory_check();
		leave();
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	say("  child: %s", signal_text(status));
	fact("dead %d %s", pid, signal_text(status));
	return WIFEXITED(status);
}

/* ---- steps ---- */

static const struct operation *some_operation(bool objects)
{
	unsigned all = 0, at;

	for (int i = 0; i < OPERATIONS; i++)
		if (on(operations[i].class) && (!objects || operations[i].objects))
			all += operations[i].weight;
	at = below(all ? all : 1);
	for (int i = 0; i < OPERATIONS; i++) {
		const struct operation *o = &operations[i];

		if (!on(o->class) || (objects && !o->objects))
			continue;
		if (at < o->weight)
			return o;
		at -= o->weight;
	}
	return &operations[0];
}

static bool branches(const struct operation *o)
{
	return o->run == op_fork || o->run == op_confined || o->run == op_rights;
}

static void run(uint64_t number, bool objects)
{
	const struct operation *o;

	chance_begin(the_seed, number);
	memory_reset();
	o = some_operation(objects);
	if (depth > 1 && branches(o))
		return;
	say("%llu: %s", (unsigned long long)number, o->name);
	if (o->kills && !mortal && deadly())
		in_child(o->run);
	else
		o->run();
	memory_check();
}

void step(uint64_t number)
{
	run(number, false);
}

/* Some write, read or take part in what SIGPIPE does for real: then the sequence may be short. */
static void begin(void)
{
	static const enum state states[] = {DEFAULT, DEFAULT,	  IGNORED, IGNORED,
					    CAUGHT,  CAUGHT_INFO, BLOCKED};
	enum state s = ONE_OF(states);

	mortal = percent(30);
	if (inherited && percent(50))
		say("as inherited");
	else
		signals_start(s);
	say("state %d%s", s, mortal ? ", mortal" : "");
}

void sequence(uint64_t seed, const bool *wanted)
{
	unsigned objects, n;

	the_seed = seed;
	chance_begin(seed, 0);
	objects = 2 + below(3);
	n = objects + 5 + below(STEPS_MAX - 12);
	fact("born %d %d", getpid(), getppid());
	if (wanted[0])
		begin();
	for (unsigned i = 1; i < n; i++)
		if (wanted[i])
			run(i, i <= objects);
	if (wanted[n]) {
		say("%u: census", n);
		census();
	}
	chance_begin(seed, STEPS_MAX);
	leave();
}
