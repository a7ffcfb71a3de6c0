/* SPDX-License-Identifier: MIT */
/*
 * What an object went through, as long as it lives: all its numbers share it,
 * and it is believed for the object that has its device and inode alone. Who
 * else may write which field is said in fd.h. No locks, as there.
 */
#ifndef PG_STORY_H
#define PG_STORY_H

#include "base/sys.h"
#include "object/addr.h"
#include "who/module.h"

enum { PG_CONN_SLOTS = 4 };

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

/* Of an object. */
struct pg_story {
	uint32_t generation;  /* odd while it is in use */
	uint32_t next;	      /* of those that are free */
	uint32_t index;	      /* which it is, from 0: for what others keep beside stories */
	uint32_t forks;	      /* pg_forks when it began */
	pg_shared64 dev, ino; /* 0: not known yet, the numbers stand for it */
	int32_t fd[4];	      /* its numbers + 1 */
	uint32_t numbers;     /* how many */
	int32_t kept;	      /* a descriptor of ours + 1: the other end of what a rule put there */
	pg_shared64 sent;     /* bytes, by all its numbers, as far as they are settled */
	pg_shared64 received; /* by calls that rules watch */
	uint64_t since;	      /* connected or accepted, ns; 0: not known, or not connected */
	struct pg_addr peer, local;	    /* LOCAL: of what a rule broke, a reset takes it away */
	struct pg_warning warned[PG_WHATS]; /* to the program */
	uint64_t kept_ino;		    /* of KEPT */
	uint64_t conn[PG_CONN_SLOTS];	    /* its numbers, for conn=: rules/conn.c */
	uint32_t number;     /* the n-th client, or server, stream of the process; 0: none */
	uint32_t suppressed; /* signals taken away on it */
	uint8_t side;	     /* enum pg_side */
	int32_t rule;	     /* that broke it, its serial */
	bool injected;	     /* a rule did */
	bool ended;	     /* a rule ended its reading */
	bool lingers;	     /* a rule wants its close to reset the peer */
	bool connecting;     /* connect said EINPROGRESS, nothing yet how it went */
	bool foreign;	     /* it came from another process, which may have sent on it */
	bool partial;	     /* more was sent on it than was seen */
};

/* There are never more stories than these. */
enum { PG_STORIES = 256, PG_STORY_CHUNKS = 8192 };

/* Story N; a null pointer: there is none, as there is none of number 0. How many were ever made:
 * the last one's number. */
struct pg_story *pg_story_at(uint32_t n);
uint32_t pg_stories_made(void);

/* A new one, which the caller holds. 0: there is no room. It ends with the last who holds it. */
uint32_t pg_story_begin(void);

/* False: it has ended meanwhile, and another may begin in its place. */
bool pg_story_hold(struct pg_story *s);
void pg_story_drop(struct pg_story *s);

/* In the list of its numbers, which are kept as themselves + 1, TO takes the place of FROM. */
void pg_story_list(struct pg_story *s, int32_t from, int32_t to);

/* True if S is of ST. pg_story_tie: from now on it is. */
bool pg_story_is_of(const struct pg_story *s, const struct pg_stat *st);
void pg_story_tie(struct pg_story *s, const struct pg_stat *st);

/* KEPT, a descriptor of the library, stays open as long as S. */
void pg_story_keep(struct pg_story *s, int kept);

/* True if nobody else has the object of S: no other number of ours, no process forked since. */
bool pg_story_is_ours_alone(const struct pg_story *s);

/* One more signal is taken away on S. Returns how many were before. */
uint32_t pg_story_suppress(struct pg_story *s);

/* A read that rules watch brought N bytes. S may be a null pointer. */
void pg_story_received(struct pg_story *s, uint64_t n);

#endif
