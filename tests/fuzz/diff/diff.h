/* SPDX-License-Identifier: MIT */
/*
 * The differential fuzzer: a program whose every step follows from a seed, and that says what it
 * observes. run.py runs it natively and under the library, and compares what it said.
 *
 * One step is one operation of the table in sequence.c: it picks descriptors, lengths, flags and
 * memory by chance and makes one call or a few. What a step draws depends on the seed and the
 * step's number alone, so single steps can be left out (-o) and the others stay what they were.
 */
#ifndef DIFF_H
#define DIFF_H

#include "../../fixtures/newer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

/* ---- chance.c: numbers that follow from the seed, and classes of operations ---- */

void chance_begin(uint64_t seed, uint64_t step);
unsigned below(unsigned n); /* 0 to N-1 */
bool percent(unsigned p);
#define ONE_OF(array) ((array)[below(sizeof(array) / sizeof *(array))])

/* What can be left out by name (-c, -x), so that a kind of fault that is known can wait. */
/* clang-format off */
#define CLASSES(X) \
	X(write) X(vector) X(message) X(mmsg) X(copy) X(format) X(stdio) X(popen) X(raw) \
	X(inlined) X(read) X(option) X(connect) X(accept) X(shutdown) X(dup) X(close) X(range) \
	X(low) X(signal) X(mask) X(kill) X(fork) X(vfork) X(spawn) X(thread) X(jump) X(nest) \
	X(altstack) X(poll) X(midway) X(eintr) X(async) X(flood) X(prctl) X(seccomp) X(rights) \
	X(badptr) X(badlen) X(badfd) X(pipe) X(fifo) X(unix) X(seqpacket) X(dgram) X(tcp) X(tcp6) \
	X(udp) X(file) X(special) X(tty) X(exit)
/* clang-format on */
enum class {
#define X(name) C_##name,
	CLASSES(X)
#undef X
		CLASS_COUNT
};
bool on(enum class c);
bool classes_set(const char *names, bool only); /* a comma list; false: a name is unknown */

/* ---- trace.c: what is said ---- */

void trace_start(void); /* before the first fork: all processes share it */
void trace_clear(void);
void trace_print(void);
/* What the program observes: compared between the runs. Async-signal-safe enough: no malloc. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What only the judge of the log wants to know: pids, inodes, the order of things. */
void fact(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t hash(const void *at, size_t len);
const char *error_name(int err);
const char *signal_text(int status); /* of waitpid */
void count_use(const char *call);    /* for the report of what was covered */
void print_uses(void);

/* ---- memory.c: buffers with guards around them, and bad pointers ---- */

struct buf {
	void *at;
	size_t len;
	const char *what;
};
void memory_start(void);
void memory_reset(void); /* a new step: all buffers are gone */
void memory_check(void); /* says which guard, or which input, was changed */
void *block(size_t len); /* between guards; its contents are not watched */
const void *constant(const void *from, size_t len); /* a copy that nobody may change */
struct buf buffer_out(size_t len);		    /* with bytes of chance; nobody may change it */
struct buf buffer_in(size_t len);		    /* with a pattern */
struct buf bad_buffer(size_t len);		    /* not memory, or not all of it */
void *bad_pointer(const char **what);
size_t some_length(bool huge);

struct vec {
	const struct iovec *at;
	int n;
	long long bytes; /* asked for; -1: more than there can be */
	char text[48];
};
struct vec vector(bool in); /* to read into, or to write from */
uint64_t vector_hash(const struct vec *v);

/* ---- call.c: one call, before and after ---- */

enum way { WRITES, READS, OTHER };
struct call {
	const char *name; /* as the log names it */
	enum way way;
	int fd;
	long long len; /* bytes; -1: none or unknown */
	int flags;
	char detail[128];
	/* set by call_begin */
	unsigned caught;
	bool pending, blocked;
};
enum { ERRNO_BEFORE = 99 };
void call_begin(struct call *c);
long call_end(struct call *c, long ret);
#define MAKE(c, expression)                                                                        \
	__extension__({                                                                            \
		call_begin(c);                                                                     \
		call_end(c, (long)(expression));                                                   \
	})
#define OTHER_CALL(word, descriptor)                                                               \
	{                                                                                          \
		.name = (word), .way = OTHER, .fd = (descriptor), .len = -1                        \
	}
void detail(struct call *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *identity(int fd); /* "dev:ino kind" for facts, "-" if it is none */
bool is_tcp(int fd);

/* ---- objects.c: the descriptors there are ---- */

enum role {
	OUT = 1,
	IN = 2,
	SOCK = 4,
	STREAM = 8,
	LISTENS = 16,
	PIPE = 32,
	FILED = 64,  /* a file, or memory like one */
	LOOSE = 128, /* a socket that is not connected */
	EPOLL = 256,
	TTY = 512,
	CONNECTS = 1024, /* for connect */
	TCP = 2048,
};
enum { SLOTS = 40, OWN_FDS = 128, NAMES = 6 };
void slot_add(int fd, unsigned roles, unsigned pair, unsigned end);
int some_fd(unsigned roles); /* of a slot with all of ROLES, mostly; a bad one at times */
int good_fd(unsigned roles); /* -1: there is none */
int other_end(int fd);	     /* -1: none known */
unsigned slot_roles(int fd);
void each_slot(void (*visit)(int fd));
bool ready_out(int fd, size_t len); /* sees to it that a write of LEN cannot block */
bool ready_in(int fd, bool whole);
bool is_broken(int fd); /* nobody is there to read */
unsigned new_pair(void);
void settle(void); /* what is on its way has arrived */
void census(void);

int new_socket(int family, int type);
void make_pipe(void);
void make_pair(void);
void make_fifo(void);
void make_file(void);
void make_special(void);
void make_tty(void);
void make_tcp(void);
void make_udp(void);
void make_unix(void);
void make_epoll(void);
void break_object(void);
void connection_fact(int fd, bool client); /* who is at the other end; errno is kept */

/* ---- the operations ---- */

/* A way to write, and what it needs. */
struct request {
	int fd, flags;
	struct buf b;
	struct vec v;
	const struct msghdr *m;
};
struct how {
	const char *name, *logged;
	enum class class;
	enum { NEEDS_BUF, NEEDS_VEC, NEEDS_MSG, NEEDS_TEXT } needs;
	enum { ANY_FLAGS, SEND_FLAGS, RWF_FLAGS, SPLICE_FLAGS } flags;
	bool sockets;
	long (*make)(const struct request *r);
};
const struct how *the_plainest_how(void); /* write */
const struct how *some_how(void);
const struct how *some_signalling_how(void); /* write, writev, send...: not formatted */
struct request ask(const struct how *how, int fd, size_t len);
long perform(const struct how *how, const struct request *r);
const struct msghdr *message_out(struct vec *v, char *text, size_t room);
struct request some_request(const struct how **how, unsigned roles);

void op_write(void);
void op_sendmmsg(void);
void op_read(void);
void op_readv(void);
void op_recv(void);
void op_recvmsg(void);
void op_recvmmsg(void);
void op_sendfile(void);
void op_splice(void);
void op_tee(void);
void op_copy_range(void);

void op_connect(void);
void op_accept(void);
void op_sendto(void);
void op_listen(void);
void op_shutdown(void);
void op_option(void);
void op_linger(void);
void op_names(void);
void op_rights(void);

void op_dup(void);
void close_fact(int fd); /* before it is closed */
void op_close(void);
void op_close_range(void);
void op_fcntl(void);
void op_poll(void);
void op_epoll(void);

enum state { DEFAULT, IGNORED, CAUGHT, CAUGHT_INFO, BLOCKED };
extern volatile unsigned caught; /* how often a handler of SIGPIPE ran */
extern volatile int nest_fd;	 /* a handler writes to this one, once */
void signals_start(enum state s);
bool deadly(void); /* would a SIGPIPE kill now? */
bool pipe_blocked(void);
bool pipe_pending(void);
const char *disposition(void);
void say_signals(void);
void op_signal(void);
void op_mask(void);
void op_pending(void);
void op_kill(void);
void op_altstack(void);
void op_jump(void);
void op_nest(void);
void op_flood(void);

void op_stdio(void);
void files_at_exit(void);
void op_popen(void);
void op_fork(void);
void op_vfork(void);
void op_spawn(void);
void op_thread(void);
void op_prctl(void);
void op_confined(void);
void op_midway(void);
void op_eintr(void);
void op_async(void);

/* ---- sequence.c ---- */

/* One of the operations, by chance; runs in a child where it may kill and this process is not to
 * die. */
void step(uint64_t number);
extern uint64_t the_seed;
extern bool inherited;		   /* SIGPIPE's state is not what main() found, but -s */
bool in_child(void (*what)(void)); /* runs it in a child and says how that ended; true: it lived */
void leave(void) __attribute__((noreturn));
int signal_self(int sig); /* never anybody else, whatever getpid() says */
void sequence(uint64_t seed, const bool *wanted) __attribute__((noreturn));
enum { STEPS_MAX = 48 };
extern const char *program; /* to execute again */
int look(void);		    /* what an executed program finds, as an exit status */

#endif
