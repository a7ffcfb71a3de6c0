/* SPDX-License-Identifier: MIT */
/*
 * What is known of descriptors and of the objects behind them.
 *
 * A number is not an object: it is closed and used again, also behind our back
 * (raw system calls, inside libc), and several numbers can be one object. So
 * two things are kept. The record of a number has what every write touches: the
 * bytes that went by it. The story of an object has what it went through; all
 * its numbers share it, and it is believed for the object that has its device
 * and inode alone.
 *
 * Nobody but fd.c writes a record's or a story's links; who else writes which
 * field of a story is said there. No locks: words are read and written
 * atomically. A child by vfork shares this memory, but not the descriptors: it
 * changes nothing here (process.h). errno untouched, async-signal-safe.
 */
#ifndef PG_FD_H
#define PG_FD_H

#include "base/next.h"
#include "object/addr.h"
#include "who/module.h"

enum { PG_FD_LOW = 1024, PG_CONN_SLOTS = 4 };

enum pg_side { PG_NO_SIDE, PG_CLIENT, PG_SERVER };

/* What a descriptor told the program. ERROR: another error of the connection (ETIMEDOUT, say). */
enum pg_what { PG_EOF, PG_RESET, PG_REFUSED, PG_SHUTDOWN, PG_ERROR, PG_WHATS };

/* A warning that the program was given on a descriptor. */
struct pg_warning {
	uint64_t at;	       /* CLOCK_MONOTONIC, ns; 0: never */
	uint64_t sent;	       /* bytes sent until then */
	struct pg_code caller; /* who was told */
	uint32_t call;	       /* enum pg_call */
	int32_t err;	       /* errno, or 0 */
};

/* Of a number. Those below PG_FD_LOW are there from the start. */
struct pg_fd {
	_Alignas(64) uint64_t sent; /* bytes the kernel took */
	uint64_t settled;	    /* what of SENT is in the story, or was another object's */
	uint64_t unruled;    /* the calls for which no rule can fire on it, whatever comes; 0: not
				known */
	uint64_t rules;	     /* where that is known: those that can, as bits of their numbers */
	uint32_t story;	     /* 0: none */
	uint8_t connection;  /* what ends short on it is no broken pipe */
	uint8_t unsure;	     /* it was closed, and what opened it again was not seen */
	uint8_t born;	     /* what opened it was seen */
	uint8_t partial;     /* more was sent on it than was seen */
	uint8_t type;	     /* SOCK_, as socket() made it; 0: not known */
	uint32_t generation; /* of the rules that UNRULED and RULES are of */
};

/* Of an object. */
struct pg_story {
	uint32_t generation; /* odd while it is in use */
	uint32_t next;	     /* of those that are free */
	uint32_t index;	     /* which it is, from 0: for what others keep beside stories */
	uint32_t forks;	     /* pg_forks when it began */
	uint64_t dev, ino;   /* 0: not known yet, the numbers stand for it */
	int32_t fd[4];	     /* its numbers + 1 */
	uint32_t numbers;    /* how many */
	int32_t kept;	     /* a descriptor of ours + 1: the other end of what a rule put there */
	_Alignas(8) uint64_t sent;     /* bytes, by all its numbers, as far as they are settled */
	_Alignas(8) uint64_t received; /* by calls that rules watch; apply.c */
	uint64_t since;		    /* connected or accepted, ns; 0: not known, or not connected */
	struct pg_addr peer, local; /* LOCAL: of what a rule broke, a reset takes it away */
	struct pg_warning told[PG_WHATS];	  /* to the program */
	uint64_t kept_ino;			  /* of KEPT */
	_Alignas(8) uint64_t conn[PG_CONN_SLOTS]; /* its numbers, for conn=; match.c */
	uint32_t number;     /* the n-th client, or server, stream of the process; 0: none */
	uint32_t suppressed; /* signals taken away on it; guard.c */
	uint8_t side;	     /* enum pg_side */
	int32_t rule;	     /* that broke it, its serial; act.c */
	bool injected;	     /* a rule did; act.c */
	bool ended;	     /* a rule ended its reading; act.c */
	bool lingers;	     /* a rule wants its close to reset the peer; act.c */
	bool connecting;     /* connect said EINPROGRESS, nothing yet how it went */
	bool foreign;	     /* it came from another process, which may have sent on it */
	bool partial;	     /* more was sent on it than was seen */
};

extern struct pg_fd pg_fds[PG_FD_LOW] PG_HIDDEN;

/* The record of a higher number; a null pointer: nothing is known of it. */
struct pg_fd *pg_fd_high(unsigned fd);
void pg_fd_sent_high(unsigned fd, uint64_t n);

static inline struct pg_fd *pg_fd(int fd)
{
	return PG_LIKELY((unsigned)fd < PG_FD_LOW) ? &pg_fds[fd] : pg_fd_high((unsigned)fd);
}

/* Threads may write to one descriptor at once. On 32 bit that would be a loop: there the sum is
 * plain, and may come out low. */
static inline void pg_fd_add(uint64_t *sum, uint64_t n)
{
#ifdef PG_ADD
	PG_ADD(sum, n);
#elif defined(__LP64__)
	__atomic_fetch_add(sum, n, __ATOMIC_RELAXED);
#else
	*sum += n;
#endif
}

static inline void pg_fd_sent(int fd, uint64_t n)
{
	if (PG_LIKELY((unsigned)fd < PG_FD_LOW))
		pg_fd_add(&pg_fds[(unsigned)fd].sent, n);
	else
		pg_fd_sent_high((unsigned)fd, n);
}

/* A connection that was seen to come about: what ends short on it is no broken pipe. */
static inline bool pg_fd_is_connection(int fd)
{
	const struct pg_fd *f = pg_fd(fd);

	return f && f->connection;
}

/* True if a rule can fire on FD for a call whose bit is BIT, or if that is not known. */
static inline bool pg_fd_ruled(int fd, uint64_t bit)
{
	const struct pg_fd *f = pg_fd(fd);

	return !f || !(f->unruled & bit) || f->generation != pg_front.generation;
}

/* ---- where numbers begin and end ---- */

/* A new object under this number. TYPE: SOCK_ of a socket, else 0. */
void pg_fd_fresh(int fd, int type);
void pg_fd_closed(int fd); /* the number is free, or another object's */
void pg_fd_closed_range(unsigned first, unsigned last);
void pg_fd_copied(int from, int to); /* dup2 */

/* Another object took the number FD in the place of the one that the program knows: the story goes
 * on with it. */
void pg_fd_replaced(int fd);

/* KEPT, a descriptor of the library, stays open for as long as the object behind FD has a number.
 */
void pg_fd_keep(int fd, int kept);

/* Is what F, FD's record, counts of one object, and all that was sent on it by this number? Where
 * records begin late, only if its birth was seen. */
bool pg_fd_is_sure(int fd, const struct pg_fd *f);

/* Somebody wrote past us on FD: how much was sent is not known any more. */
void pg_fd_passed_by(int fd);

/* FD's object is another process's, too. */
void pg_fd_lent(int fd);

/* ---- connections ---- */

/* SOCK_ of the socket FD. The kernel is asked once, where socket() was not seen. */
int pg_fd_type(int fd);

/*
 * A connection of TYPE begins: one fstat for its identity. ADDR: LEN bytes that
 * are there, or a null pointer. What rules counted for it (conn) stays.
 * CONNECTING: it is on its way.
 */
void pg_fd_connection(int fd, enum pg_side side, int type, const struct sockaddr *addr, size_t len,
		      bool connecting);

/* The connection of FD, a stream's, takes the next number of its side. */
void pg_fd_number(int fd);

/* The one that was on its way stands. */
void pg_fd_established(int fd);

/* None came about with ADDR: it is remembered that it was asked. */
void pg_fd_unconnected(int fd, const struct sockaddr *addr, size_t len);

/* Whatever came about is over: connect(AF_UNSPEC). */
void pg_fd_disconnected(int fd);

/* True if FD's peer is known to be one of the internet, whose sockets pass no descriptors. */
bool pg_fd_is_ip(int fd);

/* True if connect on FD was told that it is on its way, and nothing since. One fstat, if any. */
bool pg_fd_is_connecting(int fd);

/* A number whose object came from elsewhere: inherited, or passed by another process. If it is a
 * connection, its peer is asked for now: after a reset nobody knows it. */
void pg_fd_adopt(int fd);

/* ---- stories ---- */

void pg_fd_warn(int fd, enum pg_what what, uint32_t call, int err, uintptr_t caller);

/* The story of the object ST that is behind FD now, or a null pointer. MAKE: one begins if there
 * is none (unless this is a vfork child, or there is no room). */
struct pg_story *pg_fd_story(int fd, const struct pg_stat *st, bool make);

/* Bytes sent on S until now, by all its numbers; -1: not known. */
int64_t pg_story_sent(struct pg_story *s);

/* What rules found out of the numbers of S holds no more: it may be another object now. */
void pg_story_unrule(const struct pg_story *s);

/* What *PLACE points to: SIZE bytes of zeros the first time; a null pointer: there is no memory. */
void *pg_filled(void **place, size_t size);

/* There are never more stories than these. */
enum { PG_STORIES = 256, PG_STORY_CHUNKS = 8192 };

/* True if nobody else has the object of S: no other number of ours, no process forked since. */
bool pg_story_is_ours_alone(const struct pg_story *s);

#endif
