/* SPDX-License-Identifier: MIT */
/*
 * A call that a rule watches, made by another process: what the rules want done
 * with it, and how. How the process is held meanwhile, by a notification or a
 * stop, is the way's; this knows only what a way can do.
 */
#ifndef PG_RULED_H
#define PG_RULED_H

#include "outside/tracee.h"

#include "rules/plan.h"

struct pg_ruled;

struct pg_way {
	bool (*stands)(const struct pg_ruled *c); /* is the call still waiting? */
	void (*go_on)(struct pg_ruled *c);	  /* the kernel makes it */
	void (*answer)(struct pg_ruled *c, int64_t ret);
	int (*place)(struct pg_ruled *c, int from, bool cloexec); /* 0 or -errno */
	bool pipes_only;					  /* PLACE */
};

enum pg_stage { PG_STAGE_DELAY, PG_STAGE_HOLD, PG_STAGE_STALL, PG_STAGE_MOVE };

struct pg_ruled {
	struct pg_ruled *next;
	const struct pg_way *way;
	uint64_t id; /* the way's */
	int tid;
	struct pg_tracee *of;
	long number;
	struct pg_op
		op; /* with NUMBER's words; its bits are the rows of calls.def that it may be */
	int copy;
	struct pg_object object;
	struct pg_plan plan;
	struct pg_rule final; /* the plan's, while it waits: the rules may be others then */
	bool reads, nonblock;
	bool climbed; /* its stack is the one that pg_frames_climb() went up last */
	enum pg_stage stage;
	short events;	    /* of COPY, that are waited for */
	uint64_t deadline;  /* 0: none */
	int64_t want, done; /* MOVE */
	bool then_breaks;
	bool parked; /* a signal took its thread out; it comes again */
};

/* C has come, with WAY, ID, TID, OF, NUMBER and its words. It is answered, or waits. C is copied.
 */
void pg_ruled_come(const struct pg_ruled *c);

/* For poll(2): adds what waits to P, of which there are MOST. Returns how many. *UNTIL becomes the
 * next deadline, if that is earlier; 0: none. */
struct pollfd;
unsigned pg_ruled_poll(struct pollfd *p, unsigned most, uint64_t *until);

/* After it: what has come to its time goes on. */
void pg_ruled_step(void);

/* Does a rule ask who called? */
bool pg_ruled_by_stack(void);

/* Process PID is stopped, once each of its threads is: those that wait are let go to that. */
void pg_ruled_stops(int pid);

/* Thread TID has ended. */
void pg_ruled_gone(int tid);

/* Is a SIGPIPE of thread TID one that we sent in the kernel's place, for *RULE; is it to be taken
 * away? */
bool pg_ruled_owes(int tid, int *rule);
bool pg_ruled_spares(int tid);

#endif
