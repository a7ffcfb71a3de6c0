// SPDX-License-Identifier: MIT
/*
 * What scripts/dev/bench measures, one small program: it repeats an operation and
 * prints what one costs, as lines of "name number". Its own start is not
 * counted.
 *
 *	bench [-n COUNT | -t MS] [-j THREADS] [-D DESCRIPTORS] [-C SOCKETS] [-T PARKED] OPERATION
 *	bench [-j THREADS] [-S] [-L FILE] events OBJECTS WRITES
 *	bench [-n COUNT] [-D DESCRIPTORS] [-T PARKED] growth LOG
 *	bench [-n COUNT] exec [NAME=VALUE]... PROGRAM [ARGUMENT]...
 *	bench memory
 *	bench hold
 *
 * -q: prints nothing, so that runs of one length have the same instructions;
 * -n, -t: how many times, or how long; -j: in that many threads at once, each
 * on objects of its own; -D: with so many more descriptors open; -C: with so many
 * more connected sockets; -T: with so
 * many more threads that sleep; -L: a line is written to FILE after each
 * event, with -S among all the system calls that pipeguard makes for one. hold
 * is there until its input ends.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, MESSAGE = 64, THREADS = 256, WINDOW = 100, FEW = 10, LINE = 200 };

extern char **environ;

static long count, millis = 100, threads = 1, descriptors, sockets, parked;
static bool quiet, all_calls;
static int line_to = -1;

/* Of each thread its own. */
static __thread int fd = -1, other = -1;
static __thread FILE *file;
static __thread struct sockaddr_in listening;

static void check(bool good, const char *what)
{
	if (!good)
		err(1, "%s", what);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static void print(const char *name, double value)
{
	if (!quiet)
		printf("%s %.1f\n", name, value);
}

/* ---- the operations: what is prepared, and what is repeated ---- */

static int listener(void)
{
	socklen_t len = sizeof listening;
	struct linger reset = {.l_onoff =
				       1}; /* handed on by accept: no port is left in TIME_WAIT */
	int s = socket(AF_INET, SOCK_STREAM, 0);

	listening.sin_family = AF_INET;
	listening.sin_port = 0;
	listening.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	check(s >= 0 && !bind(s, (void *)&listening, sizeof listening) && !listen(s, 16), "listen");
	check(!setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), "SO_LINGER");
	check(!getsockname(s, (void *)&listening, &len), "getsockname");
	return s;
}

static void tcp_pair(void)
{
	int s = listener();

	fd = socket(AF_INET, SOCK_STREAM, 0);
	check(!connect(fd, (void *)&listening, sizeof listening), "connect");
	other = accept(s, NULL, NULL);
	check(other >= 0, "accept");
	close(s);
}

static void null_begin(void)
{
	fd = open("/dev/null", O_WRONLY);
	check(fd >= 0, "/dev/null");
}

static void null_write(void)
{
	check(write(fd, "x", 1) == 1, "write");
}

static void zero_begin(void)
{
	fd = open("/dev/zero", O_RDONLY);
	check(fd >= 0, "/dev/zero");
}

static void zero_read(void)
{
	char c;

	check(read(fd, &c, 1) == 1, "read");
}

/* Emptied now and then, so that the kernel takes every byte. */
static void tcp_send(void)
{
	static __thread char room[4096];
	static __thread size_t waiting;

	check(send(fd, "x", 1, 0) == 1, "send");
	if (++waiting < sizeof room)
		return;
	check(recv(other, room, waiting, MSG_WAITALL) == (ssize_t)waiting, "recv");
	waiting = 0;
}

static void peek_begin(void)
{
	tcp_pair();
	check(send(other, "x", 1, 0) == 1, "send");
}

static void tcp_peek(void)
{
	char c;

	check(recv(fd, &c, 1, MSG_PEEK) == 1, "recv");
}

static void stdio_begin(void)
{
	file = fopen("/dev/null", "w");
	check(file, "/dev/null");
}

static void stdio_line(void)
{
	check(fputs("a line of some length\n", file) >= 0 && !fflush(file), "fflush");
}

static void connect_begin(void)
{
	other = listener();
}

static void connect_close(void)
{
	int ours = socket(AF_INET, SOCK_STREAM, 0), theirs;

	check(!connect(ours, (void *)&listening, sizeof listening), "connect");
	theirs = accept(other, NULL, NULL);
	check(theirs >= 0, "accept");
	close(theirs);
	close(ours);
}

/* Both ends on one processor: a message is then a switch, always. */
static void stay_here(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET((unsigned)sched_getcpu(), &here);
	sched_setaffinity(0, sizeof here, &here);
}

static void tcp_begin(void)
{
	char message[MESSAGE];

	stay_here();
	tcp_pair();
	if (fork())
		return (void)close(other);
	close(fd);
	while (recv(other, message, sizeof message, MSG_WAITALL) == MESSAGE)
		if (send(other, message, sizeof message, 0) != MESSAGE)
			break;
	_exit(0);
}

static void tcp_turn(void)
{
	char message[MESSAGE] = "ping";

	check(send(fd, message, sizeof message, 0) == MESSAGE, "send");
	check(recv(fd, message, sizeof message, MSG_WAITALL) == MESSAGE, "recv");
}

static void pipe_begin(void)
{
	int there[2], back[2];
	char message[MESSAGE];

	stay_here();
	check(!pipe(there) && !pipe(back), "pipe");
	fd = there[1];
	other = back[0];
	if (fork()) {
		close(there[0]);
		close(back[1]);
		return;
	}
	close(fd);
	close(other);
	while (read(there[0], message, sizeof message) == MESSAGE)
		if (write(back[1], message, sizeof message) != MESSAGE)
			break;
	_exit(0);
}

static void pipe_turn(void)
{
	char message[MESSAGE] = "ping";

	check(write(fd, message, sizeof message) == MESSAGE, "write");
	check(read(other, message, sizeof message) == MESSAGE, "read");
}

static const struct operation {
	const char *name;
	void (*begin)(void), (*one)(void);
} operations[] = {
	{"write", null_begin, null_write},
	{"read", zero_begin, zero_read},
	{"send", tcp_pair, tcp_send},
	{"recv", peek_begin, tcp_peek},
	{"fputs", stdio_begin, stdio_line},
	{"tcp", tcp_begin, tcp_turn},
	{"connect", connect_begin, connect_close},
	{"pipe", pipe_begin, pipe_turn},
};

/* ---- the loops ---- */

static pthread_barrier_t all_ready;
static const struct operation *chosen;
static uint64_t deadline;
static long done[THREADS];

static long repeat(void)
{
	long n = 0;

	if (count) {
		for (; n < count; n++)
			chosen->one();
		return n;
	}
	for (; now() < deadline; n += BATCH)
		for (int i = 0; i < BATCH; i++)
			chosen->one();
	return n;
}

static void *in_thread(void *number)
{
	chosen->begin();
	pthread_barrier_wait(&all_ready);
	pthread_barrier_wait(&all_ready);
	done[(intptr_t)number] = repeat();
	return NULL;
}

static void start(pthread_t *id, void *(*run)(void *), intptr_t number)
{
	pthread_attr_t small;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 128 << 10);
	errno = pthread_create(id, &small, run, (void *)number);
	check(!errno, "pthread_create");
}

static void run_operation(void)
{
	pthread_t id[THREADS];
	uint64_t began, cpu;
	long n = 0;

	if (threads == 1) {
		chosen->begin();
	} else {
		pthread_barrier_init(&all_ready, NULL, (unsigned)threads + 1);
		for (long i = 0; i < threads; i++)
			start(&id[i], in_thread, i);
		pthread_barrier_wait(&all_ready);
	}
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	began = now();
	deadline = began + (uint64_t)millis * 1000000;
	if (threads == 1)
		n = repeat();
	else
		pthread_barrier_wait(&all_ready);
	for (long i = 0; threads > 1 && i < threads; i++) {
		pthread_join(id[i], NULL);
		n += done[i];
	}
	print("ns", (double)(now() - began) / (double)n);
	print("cpu", (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)n);
	close(fd); /* the other end of a ping-pong goes home */
}

/* ---- broken writes ---- */

struct events {
	pthread_t id;
	long objects, writes;
	uint64_t began, ended, cpu;
	int *fds;
};

static void write_line(void)
{
	static const char line[LINE] = "a line as long as that of an event";

	check(write(line_to, line, sizeof line) == sizeof line, "write a line");
}

/* The system calls that an event on a pipe makes, and nothing else: none is for show, see room.h,
 * log.h and event.h. */
static void calls_of_an_event(int to)
{
	enum { SIGSET_BYTES = 8, WANTED = STATX_TYPE | STATX_MODE | STATX_INO };
	uint64_t all = ~(uint64_t)0, mask;
	struct statx found;
	char room[256];

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, &mask, SIGSET_BYTES);
	syscall(SYS_getpid);
	statx(to, "", AT_EMPTY_PATH, WANTED, &found);
	syscall(SYS_rt_sigaction, SIGPIPE, NULL, room, SIGSET_BYTES);
	prctl(PR_GET_NAME, room);
	statx(line_to, "", AT_EMPTY_PATH, WANTED, &found);
	write_line();
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, SIGSET_BYTES);
}

/* Not inlined: the events of all modes come from one place in the program. */
static void __attribute__((noinline)) broken_write(int to)
{
	check(write(to, "x", 1) == -1 && errno == EPIPE, "write to a broken pipe");
	if (line_to >= 0 && all_calls)
		calls_of_an_event(to);
	else if (line_to >= 0)
		write_line();
}

static int broken_pipe(void)
{
	int ends[2];

	check(!pipe(ends), "pipe");
	close(ends[0]);
	return ends[1];
}

/* Every object breaks as often as the library logs one in full. */
static void break_all(struct events *e)
{
	uint64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	e->began = now();
	for (long i = 0; i < e->writes; i++)
		for (long k = 0; k < e->objects; k++)
			broken_write(e->fds[k]);
	e->ended = now();
	e->cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
}

static void *break_in_thread(void *events)
{
	pthread_barrier_wait(&all_ready);
	break_all(events);
	return NULL;
}

static void prepare(struct events *e, long objects, long writes)
{
	e->objects = objects / threads;
	e->writes = writes;
	e->fds = calloc((size_t)e->objects, sizeof *e->fds);
	check(e->fds, "memory");
	for (long k = 0; k < e->objects; k++)
		e->fds[k] = broken_pipe();
}

static uint64_t first_event(void)
{
	int to = broken_pipe();
	uint64_t began = now();

	broken_write(to);
	began = now() - began;
	close(to);
	return began;
}

static void run_events(long objects, long writes)
{
	static struct events e[THREADS];
	uint64_t began, ended = 0, cpu = 0;
	double n = 0;

	signal(SIGPIPE, SIG_IGN);
	for (long i = 0; i < threads; i++)
		prepare(&e[i], objects, writes);
	print("first", (double)first_event());
	pthread_barrier_init(&all_ready, NULL, (unsigned)threads);
	for (long i = 1; i < threads; i++)
		check(!pthread_create(&e[i].id, NULL, break_in_thread, &e[i]), "pthread_create");
	break_in_thread(&e[0]);
	began = e[0].began;
	for (long i = 0; i < threads; i++) {
		if (i)
			pthread_join(e[i].id, NULL);
		began = e[i].began < began ? e[i].began : began;
		ended = e[i].ended > ended ? e[i].ended : ended;
		cpu += e[i].cpu;
		n += (double)(e[i].objects * e[i].writes);
	}
	print("events", n + 1);
	print("ns", (double)(ended - began) / n);
	print("cpu", (double)cpu / n);
}

/* ---- do events become dearer as they go on? ---- */

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t median(uint64_t *v, size_t n)
{
	qsort(v, n, sizeof *v, ascending);
	return v[n / 2];
}

/* The lines that begin an event in LOG from FROM on: the others are indented. */
static long lines_since(const char *log, off_t from)
{
	int in = open(log, O_RDONLY | O_CLOEXEC);
	char buf[1 << 16], last = '\n';
	long n = 0;
	ssize_t got;

	if (in < 0)
		return 0;
	for (; (got = pread(in, buf, sizeof buf, from)) > 0; from += got)
		for (ssize_t i = 0; i < got; last = buf[i++])
			n += last == '\n' && buf[i] != ' ';
	close(in);
	return n;
}

static off_t size_of(const char *log)
{
	struct stat st;

	return stat(log, &st) ? 0 : st.st_size;
}

/* N events, each on an object of its own; what one cost, and how many are in the log. */
static void window(const char *name, const char *log, size_t n)
{
	uint64_t cost[WINDOW];
	off_t before = size_of(log);
	char logged[32];

	for (size_t i = 0; i < n; i++)
		cost[i] = first_event();
	print(name, (double)median(cost, n));
	snprintf(logged, sizeof logged, "%s_logged", name);
	print(logged, (double)lines_since(log, before) / (double)n);
}

static void run_growth(const char *log)
{
	long n = FEW;

	signal(SIGPIPE, SIG_IGN);
	window("at10", log, FEW);
	for (; n < 1000 - WINDOW; n++)
		first_event();
	window("at1000", log, WINDOW);
	for (n += WINDOW; n < count - WINDOW; n++)
		first_event();
	if (count > 1000)
		window("atlast", log, WINDOW);
}

/* ---- start-up and memory ---- */

static int is_assignment(const char *word)
{
	const char *equal = strchr(word, '=');

	return equal && !memchr(word, '/', (size_t)(equal - word));
}

static uint64_t children_ns(void)
{
	struct rusage r;

	getrusage(RUSAGE_CHILDREN, &r);
	return (uint64_t)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000000u +
	       (uint64_t)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1000u;
}

static uint64_t run_once(char **words)
{
	uint64_t began = now();
	pid_t pid = vfork();
	int status;

	if (!pid) {
		execvp(words[0], words);
		_exit(127);
	}
	check(pid > 0 && waitpid(pid, &status, 0) == pid, "vfork");
	if (status)
		errx(1, "%s: wait status %d", words[0], status);
	return now() - began;
}

static void run_exec(char **words)
{
	uint64_t *cost, cpu;

	count = count ? count : 1;
	cost = calloc((size_t)count, sizeof *cost);
	check(cost, "memory");
	for (; *words && is_assignment(*words); words++)
		putenv(*words);
	if (!*words)
		errx(2, "exec: no program");
	cpu = children_ns();
	for (long i = 0; i < count; i++)
		cost[i] = run_once(words);
	cpu = children_ns() - cpu;
	print("ns", (double)median(cost, (size_t)count));
	print("cpu", (double)cpu / (double)count);
}

static void run_memory(void)
{
	char line[256], name[64];
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	double kib;

	check(f, "smaps_rollup");
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "%63[A-Za-z_]: %lf kB", name, &kib) == 2)
			print(name, kib);
	fclose(f);
}

static void run_hold(void)
{
	puts("here");
	fflush(stdout);
	while (getchar() != EOF)
		continue;
}

/* ---- the command line ---- */

static void *sleep_for_ever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* The limit becomes one for N, if it may. Returns how many there may be. */
static long raise_limit(long n)
{
	struct rlimit limit = {(rlim_t)n + 8192, (rlim_t)n + 8192};

	if (setrlimit(RLIMIT_NOFILE, &limit)) {
		check(!getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
		limit.rlim_cur = limit.rlim_max;
		check(!setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
	}
	return (long)limit.rlim_cur - 1024;
}

/* As many as the limit allows; how many is printed. */
static void open_descriptors(void)
{
	long n = 0, room = raise_limit(descriptors);
	int null = open("/dev/null", O_WRONLY);

	for (; n < descriptors && n < room && dup(null) >= 0; n++)
		continue;
	print("descriptors", (double)n);
}

static void open_sockets(void)
{
	long n = 0, room = raise_limit(sockets);
	int pair[2];

	for (; n < sockets && n < room && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair); n += 2)
		continue;
	print("sockets", (double)n);
}

static void surroundings(void)
{
	pthread_t id;

	if (descriptors)
		open_descriptors();
	if (sockets)
		open_sockets();
	for (long i = 0; i < parked; i++)
		start(&id, sleep_for_ever, i);
}

static void options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "+qSn:t:j:C:D:T:L:")) != -1) {
		long value = optarg ? atol(optarg) : 0;

		if (c == 'n')
			count = value;
		else if (c == 't')
			millis = value;
		else if (c == 'j' && value >= 1 && value <= THREADS)
			threads = value;
		else if (c == 'D')
			descriptors = value;
		else if (c == 'C')
			sockets = value;
		else if (c == 'T')
			parked = value;
		else if (c == 'L')
			line_to = open(optarg, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		else if (c == 'S')
			all_calls = true;
		else if (c == 'q')
			quiet = true;
		else
			errx(2, "wrong option: see the head of tests/bench/bench.c");
	}
}

int main(int argc, char **argv)
{
	const char *name;

	options(argc, argv);
	argv += optind;
	argc -= optind;
	name = argc ? argv[0] : "";
	surroundings();
	if (!strcmp(name, "events") && argc == 3)
		return run_events(atol(argv[1]), atol(argv[2])), 0;
	if (!strcmp(name, "growth") && argc == 2)
		return run_growth(argv[1]), 0;
	if (!strcmp(name, "exec"))
		return run_exec(argv + 1), 0;
	if (!strcmp(name, "memory"))
		return run_memory(), 0;
	if (!strcmp(name, "hold"))
		return run_hold(), 0;
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
		if (!strcmp(name, operations[i].name))
			chosen = &operations[i];
	if (!chosen)
		errx(2, "no operation '%s'", name);
	run_operation();
	while (wait(NULL) > 0)
		continue;
	return 0;
}
