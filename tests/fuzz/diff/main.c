/* SPDX-License-Identifier: MIT */
/*
 * diff [-c CLASSES | -x CLASSES] [-o STEPS] [-s STATE] [-d FOLDER] SEED [COUNT]: the sequences of
 * COUNT seeds, each in a process of its own; what they say goes to standard output. -c: only these
 * classes of operations, -x: without these. -o 0,3,7: only these steps. -s ignored, blocked: the
 * state of SIGPIPE that is inherited.
 */
#include "diff.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 4000 };

static bool wanted[STEPS_MAX + 1];

static void usage(void)
{
	fprintf(stderr, "usage: diff [-c|-x CLASSES] [-o STEPS] [-s default|ignored|blocked] "
			"[-d FOLDER] SEED [COUNT]\n");
	exit(2);
}

static void want(const char *list)
{
	memset(wanted, 0, sizeof wanted);
	while (*list) {
		char *end;
		unsigned long n = strtoul(list, &end, 10);

		if (end == list || n > STEPS_MAX)
			usage();
		wanted[n] = true;
		list = end + (*end == ',');
	}
}

static void inherit(const char *state)
{
	sigset_t set;

	inherited = true;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	signal(SIGPIPE, !strcmp(state, "ignored") ? SIG_IGN : SIG_DFL);
	sigprocmask(!strcmp(state, "blocked") ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

static void remove_names(void)
{
	static const char letters[] = "fps";
	char name[4];

	for (unsigned i = 0; i < NAMES; i++)
		for (unsigned l = 0; letters[l]; l++) {
			snprintf(name, sizeof name, "%c%u", letters[l], i);
			unlink(name);
		}
}

/* The end of PID, in time; -1 if it had to be killed. */
static int wait_patiently(pid_t pid)
{
	struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	int ready = poll(&p, 1, PATIENCE_MS), status;

	close(p.fd);
	if (ready != 1 && pid > 1)
		kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return ready == 1 ? status : -1;
}

/* Whoever is left of the sequence. */
static void clean_up(pid_t group)
{
	if (group > 1)
		kill(-group, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		continue;
	remove_names();
}

static void stdio_to_nowhere(void)
{
	int nowhere = open("/dev/null", O_RDWR);

	dup2(nowhere, 0);
	dup2(nowhere, 1);
	if (nowhere > 1)
		close(nowhere);
}

static void run_one(uint64_t seed)
{
	pid_t pid;
	int status;

	trace_clear();
	fflush(stdout);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		stdio_to_nowhere();
		sequence(seed, wanted);
	}
	if (pid < 0)
		exit(3);
	setpgid(pid, pid);
	status = wait_patiently(pid);
	clean_up(pid);
	if (status == -1)
		say("hung");
	else
		say("ended: %s", signal_text(status));
	fact("dead %d %s", pid, signal_text(status));
	printf("== seed %llu\n", (unsigned long long)seed);
	trace_print();
}

static void start(void)
{
	static char path[400];
	struct rlimit no_core = {0, 0};
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

	if (n <= 0)
		exit(3);
	program = path;
	setrlimit(RLIMIT_CORE, &no_core);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	trace_start();
	memory_start();
}

static void options(int argc, char **argv)
{
	memset(wanted, 1, sizeof wanted);
	for (int c; (c = getopt(argc, argv, "c:x:o:s:d:")) != -1;) {
		if (c == 'c' || c == 'x') {
			if (!classes_set(optarg, c == 'c'))
				usage();
		} else if (c == 'o') {
			want(optarg);
		} else if (c == 's') {
			inherit(optarg);
		} else if (c != 'd' || chdir(optarg)) {
			usage();
		}
	}
}

int main(int argc, char **argv)
{
	uint64_t seed, count;

	if (argc == 2 && !strcmp(argv[1], "look"))
		return look();
	if (argc == 2 && !strcmp(argv[1], "write"))
		return write(9, "12345", 5) == 5 ? 0 : errno;
	options(argc, argv);
	if (optind >= argc)
		usage();
	seed = strtoull(argv[optind], NULL, 0);
	count = optind + 1 < argc ? strtoull(argv[optind + 1], NULL, 0) : 1;
	start();
	for (uint64_t i = 0; i < count; i++)
		run_one(seed + i);
	print_uses();
	return 0;
}
