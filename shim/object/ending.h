/* SPDX-License-Identifier: MIT */
/*
 * Endings: who let go of the other end. The guarded processes of a tree share
 * a ring of them. Whoever leaves an object leaves a record of it, first as one
 * that is to be proved, and then, if the kernel says that nobody has the object
 * any more, as one that is sure. Only those are named to whom the other end is
 * missing: no name is better than a wrong one.
 *
 * What is read from the ring is input. A record counts only whole (its sum),
 * its writer may be killed at any moment, and nobody waits for a lock: of two
 * that write to one place at once, one may be lost. The memory is touched
 * by the kernel alone (peek.h), so that a file that is cut off is no SIGBUS. All
 * here: async-signal-safe, errno untouched.
 */
#ifndef PG_ENDING_H
#define PG_ENDING_H

#include "base/sys.h"
#include "object/addr.h"

enum pg_how {
	PG_HOW_NONE,
	PG_HOW_HELD,  /* it has not left: it had the object when it started */
	PG_HOW_TOOK,  /* it has not left: it made the object its standard input, or takes it along
		       * into another program. STATUS 1: children have it, too, that may say nothing
		       */
	PG_HOW_CLOSE, /* STATUS: the number that was closed */
	PG_HOW_SHUTDOWN,
	PG_HOW_EXIT,   /* STATUS: its status, -1: not known; CALL: it had closed it before, as it
			* ended */
	PG_HOW_KILLED, /* STATUS: the signal */
	PG_HOW_GONE,   /* without a word */
	PG_HOWS
};

/* An object, as those see it whose other end it is. All zero: none. */
struct pg_ending_key {
	uint64_t w[6];
};

struct pg_ending {
	uint64_t at; /* CLOCK_MONOTONIC, ns */
	struct pg_ending_key key;
	uint64_t space;	 /* what PID counts in: pg_endings_space() */
	int64_t unread;	 /* bytes; -1: not known */
	uint64_t offset; /* in MODULE, of who called */
	int32_t pid, tid;
	int32_t status;
	uint16_t how;	   /* enum pg_how */
	uint8_t reads_not; /* it had the object, and never read from it */
	uint8_t forks; /* so many children were forked by it that had what it closed; 255: more */
	uint64_t symbol_offset;
	char comm[16], call[16];
	char module[40], symbol[48]; /* "": not known */
};

/* One of the ring. */
struct pg_ending_slot {
	uint64_t turn;	/* another one each time that it is written */
	uint64_t state; /* of that turn */
	uint64_t sum;	/* of the turn and the ending */
	struct pg_ending ending;
};
enum { PG_ENDINGS = 256 };
enum { PG_SAID = 64 };
struct pg_endings {
	uint64_t next;
	uint64_t forgot;	   /* 1: of a process that lives, that it has something */
	pg_shared64 said[PG_SAID]; /* what was logged once for all of the tree */
	struct pg_ending_slot slot[PG_ENDINGS];
};

/* The ring from now on, if there is none yet. */
void pg_endings_use(struct pg_endings *ring);

/* The pid namespace of this process, whose numbers say nothing in another one, nor after the next
 * boot; 0: not known. */
uint64_t pg_endings_space(void);

/* It, or a null pointer: there is none. */
extern struct pg_endings *pg_endings_mapped PG_HIDDEN;
static inline bool pg_has_endings(void)
{
	return PG_UNLIKELY(pg_endings_mapped != NULL);
}

/* A file of the ring alone, that goes with the process which made it. False: there is none.
 * Start-up only. */
bool pg_endings_make(const char *path);
bool pg_endings_open(const char *path);

/* The rule of this number, of those that all processes of a tree begin with, fired. */
void pg_endings_fired(unsigned rule);

/* A program is about to be started: where it will not be able to open the file (another user, file
 * system, or limit), what fires in it is never known, and nobody says or waits for it. */
void pg_endings_follow(void);

/* True of a tree whose calls are of no use (PIPEGUARD_VERBOSE=2) before a rule fired, as its file
 * says, and none did yet. */
bool pg_endings_await(void);

/* True of such a tree, whatever fired; and if, in all of it, one rule fired, once. */
bool pg_endings_brief(void);
bool pg_endings_fired_once(void);

/* Of RULES, bits of their numbers, those that fired in no process of the tree whose first one is
 * PID; 0: it is not, or that is not known. */
uint64_t pg_endings_idle(uint64_t rules, int pid);

/* True if nobody of the tree has logged WHAT, a hash, yet; where there is no ring, none of this
 * process and those that it forked. When there is no more room the answer is no. */
bool pg_said_first(uint64_t what);

/* Start-up only, when it is known whether there is a ring. */
void pg_said_start(void);

/* True while the file is there. The library, where it is in the first process, takes it away at the
 * end, once it has logged what there is to log. */
bool pg_endings_stand(void);

/* PID is about to end: the file goes, if it is its owner. */
void pg_endings_close(int pid);

/* What a key is of. */
enum { PG_OF_PIPE = 1, PG_OF_UNIX, PG_OF_INET, PG_OF_PROCESS };
static inline unsigned pg_ending_kind(const struct pg_ending_key *key)
{
	return key->w[0] & 0xffff;
}

/* The key of a pipe: IDENTITY tells a FIFO from those that had its number before, else 0. Of a
 * socket of AF_UNIX, by its own inode. Of a connection, as the end at LOCAL sees it. */
struct pg_ending_key pg_ending_of_pipe(uint64_t dev, uint64_t ino, uint64_t identity);
struct pg_ending_key pg_ending_of_unix(uint64_t dev, uint64_t ino);
struct pg_ending_key pg_ending_of_process(int pid);
struct pg_ending_key pg_ending_of_inet(uint64_t network, const struct pg_addr *local,
				       const struct pg_addr *peer);

/* A record that was left, for its writer. */
struct pg_ending_place {
	struct pg_ending_slot *slot; /* a null pointer: it was not left */
	uint64_t turn;
};

/* Leaves E as one that is to be proved, and what came of that; VOID: nothing was let go of. */
struct pg_ending_place pg_ending_put(const struct pg_ending *e);
void pg_ending_settle(const struct pg_ending_place *p, bool sure);
void pg_ending_void(const struct pg_ending_place *p);

/*
 * Who let go of KEY, not before SINCE: of several the FIRST or the last one. If
 * the last one never read from it, the last of those that may have. Waits, some
 * ms at most, for one that is being proved. False: nobody of the tree ever had
 * it, as far as the ring goes back. Its HOW is PG_HOW_NONE: some had it, and who
 * let go last is not known. AT 0: when is not known.
 */
bool pg_ending_find(const struct pg_ending_key *key, uint64_t since, bool first,
		    struct pg_ending *to);

/* "close", …; a null pointer: no word for it. */
const char *pg_how_name(unsigned how);

/* The call of E; a null pointer: none of those that are known. */
const char *pg_ending_call(const struct pg_ending *e);

#endif
