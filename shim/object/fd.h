/* SPDX-License-Identifier: MIT */
/*
 * What is known of descriptors and of the objects behind them.
 *
 * A number is not an object: it is closed and used again, also behind our back
 * (raw system calls, inside libc), and several numbers can be one object. So
 * two things are kept. The record of a number, here, has what every write
 * touches: the bytes that went by it. The story of an object, story.h, has what
 * it went through; all its numbers share it.
 *
 * Nobody but object/ writes a record, and what a story says; the others say
 * what came about, by the verbs at the end. No locks: words are read and written
 * atomically. A child by vfork shares this memory, but not the descriptors: it
 * changes nothing here (process.h). errno untouched, async-signal-safe.
 */
#ifndef PG_FD_H
#define PG_FD_H

#include "base/next.h"
#include "object/story.h"

enum { PG_FD_LOW = 1024 };

/* Of a number. Those below PG_FD_LOW are there from the start. */
struct pg_fd {
	_Alignas(64) pg_shared64 sent; /* bytes the kernel took */
	pg_shared64 settled;	       /* what of SENT is in the story, or was another object's */
	pg_shared64 unruled; /* the calls for which no rule can fire on it, whatever comes; 0: not
			     known */
	pg_shared64 rules;   /* where that is known: those that can, as bits of their numbers */
	pg_shared64 waiting; /* and the calls that the one of them, WAITER, watches and counts */
	uint32_t story;	     /* 0: none */
	uint8_t connection;  /* what ends short on it is no broken pipe */
	uint8_t unsure;	     /* it was closed, and what opened it again was not seen */
	uint8_t born;	     /* what opened it was seen */
	uint8_t partial;     /* more was sent on it than was seen */
	uint8_t type;	     /* SOCK_, as socket() made it; 0: not known */
	uint8_t waiter;	     /* a rule's number */
	uint8_t unread;	     /* pg_fd_is_unread() is true while this is the time it was set in */
	uint32_t generation; /* of the rules that UNRULED and RULES are of */
	uint32_t forks; /* pg_forks, and 1, when it was made: the reading end of a pipe; or 0 */
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
static inline void pg_fd_add(pg_shared64 *sum, uint64_t n)
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

/* KEPT, a descriptor of the library, stays open for as long as the object behind FD has a number.
 */
void pg_fd_keep(int fd, int kept);

/* True if what F, FD's record, counts is of one object, and all that was sent on it by this number.
 * Where records begin late, only if its birth was seen. */
bool pg_fd_is_sure(int fd, const struct pg_fd *f);

/* Somebody wrote past us on FD: how much was sent is not known any more. */
void pg_fd_passed_by(int fd);

/*
 * Who only holds a pipe, as a shell does until it has started those that it is
 * for, is not its reader. The reading end FD of a pipe was just made: until this
 * process reads by it, copies it or lets go of it, pg_fd_is_unread() is true.
 */
void pg_fd_unread(int fd);
void pg_fd_was_read(int fd); /* or may be, from now on */
bool pg_fd_is_unread(int fd);

/* True if ST, what is behind FD, has another number, too, as far as that was seen. */
bool pg_fd_is_copied(int fd, const struct pg_stat *st);

/* Children that this process forked, since it has had the reading end FD of a pipe which it, or one
 * that it was forked from, made. */
unsigned pg_fd_forks(int fd);

/* Somebody may read of whom nothing is known. */
void pg_fd_unread_ends(void);

/* Of reads that give more than this nobody wants to know: 0, mostly. */
extern long pg_read_odd PG_HIDDEN;

/* FD's object is another process's, too. */
void pg_fd_lent(int fd);

/* SOCK_ of the socket FD. The kernel is asked once, where socket() was not seen. */
int pg_fd_type(int fd);

/* The story of the object ST that is behind FD now, or a null pointer. MAKE: one begins if there
 * is none (unless this is a vfork child, or there is no room). */
struct pg_story *pg_fd_story(int fd, const struct pg_stat *st, bool make);

/* Bytes sent on S until now, by all its numbers; -1: not known. */
int64_t pg_story_sent(struct pg_story *s);

/* ---- inside object/ ---- */

/* The record of FD, which begins if there is none; a null pointer: it cannot. */
struct pg_fd *pg_fd_record(int fd);

/* F, FD's record, counts from here on for what is behind its number now. BORN: what opened it was
 * seen. */
void pg_fd_begin(int fd, struct pg_fd *f, bool born);

/* The number of the story that F has; one begins if it has none. 0: there is no room. */
uint32_t pg_fd_story_of(int fd, struct pg_fd *f);

/* What F sent since it was last asked is added to its story, S. */
void pg_fd_settle(struct pg_story *s, struct pg_fd *f);

/* ---- for everyone else: changed, judged, broken ---- */

/* Another object may have taken the number FD in the place of the one that the program knows: the
 * story goes on with it, and rules look again. */
void pg_fd_changed(int fd);

/* Of the rules of GENERATION, those in RULES may fire on FD, at the calls in CALLS; no other. Those
 * in WAITING are watched by WAITER alone, which looks at nothing of a call and counts it. */
struct pg_judgement {
	uint64_t rules, calls, waiting;
	uint32_t generation;
	uint8_t waiter;
};
void pg_fd_judged(int fd, const struct pg_judgement *j);

/* A rule, its serial RULE, broke the object of S; negative: it did not after all. A rule ended its
 * reading; wants its close to reset the peer. Rules look again. S may be a null pointer. */
void pg_story_broken(struct pg_story *s, int32_t rule);
void pg_story_ended(struct pg_story *s);
void pg_story_lingers(struct pg_story *s);

#endif
