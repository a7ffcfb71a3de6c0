/* SPDX-License-Identifier: MIT */
/* A call of another process that is held until it is known what is done with it, and what can be
 * done: by a notification of the kernel's, or at a stop. */
#ifndef PG_WAY_H
#define PG_WAY_H

#include "outside/tracee.h"

#include "rules/plan.h"

struct pg_ruled;

/* Once a call is answered, its program may close what it was made on, and ask its other end: so the
 * copy is closed before. Also where the call is to be made again: a handler of the signal may leave
 * it by siglongjmp(3). */
struct pg_way {
	bool (*stands)(const struct pg_ruled *c); /* the call is still waiting */
	void (*go_on)(struct pg_ruled *c);	  /* the kernel makes it */
	void (*answer)(struct pg_ruled *c, int64_t ret);
	int (*place)(struct pg_ruled *c, int from, bool cloexec); /* 0 or -errno */
	bool pipes_only;					  /* PLACE */

	/* The thread comes by a stop, where its stack can be climbed, and makes the call again. A
	 * null pointer: it is stopped already. False: it cannot be. */
	bool (*stop)(struct pg_ruled *c);
};

enum pg_stage {
	PG_STAGE_DELAY,
	PG_STAGE_HOLD,
	PG_STAGE_FLUSH, /* what was sent before is delivered */
	PG_STAGE_STALL,
	PG_STAGE_MOVE,
	PG_STAGE_STACK
};

/* What the kernel has a call made again for: ERESTARTSYS, which becomes EINTR where the handler
 * wants that, ERESTARTNOINTR, which never does, ERESTARTNOHAND. RET is one of these, or what it
 * returns. */
enum { PG_AGAIN_FIRST = 512, PG_AGAIN_BY_HANDLER = PG_AGAIN_FIRST, PG_AGAIN, PG_AGAIN_LAST };
static inline bool pg_is_again(int64_t ret)
{
	return ret <= -PG_AGAIN_FIRST && ret >= -PG_AGAIN_LAST;
}

struct pg_ruled {
	struct pg_ruled *next;
	const struct pg_way *way;
	uint64_t id; /* the notification's; at a stop, the call's number as its thread counts */
	int tid;
	struct pg_tracee *of;
	long number;	   /* as this process counts */
	bool narrow;	   /* it is a call of a 32-bit program */
	bool short_offset; /* of 32 bits */
	struct pg_op
		op; /* with NUMBER's words; its bits are the rows of calls.def that it may be */
	int copy;
	int source; /* a copy of what its bytes come from; -1: none */
	struct pg_object object;
	struct pg_plan plan;
	struct pg_rule_set *rules; /* the plan's, while it waits: by then others may hold */
	bool reads, nonblock;
	bool climbed;		  /* its stack is the one that pg_frames_climb() went up last */
	struct pg_frames *frames; /* STACK: it, until the call comes again */
	enum pg_stage stage;
	short events;	   /* of COPY, that are waited for */
	uint64_t deadline; /* 0: none */
	uint64_t again; /* MOVE, FLUSH: when it is tried once more, whatever COPY says; 0: by EVENTS
			 */
	uint64_t flushing;  /* FLUSH: since when; 0: not yet */
	int queued;	    /* FLUSH: at the last look */
	int64_t want, done; /* MOVE */
	bool then_breaks;
	bool broke;  /* behind the bytes that are DONE, by itself */
	bool gone;   /* its thread, as was found while it stood there */
	bool parked; /* a signal took its thread out; it comes again */
	bool told;   /* and interrupts its call, as it would without rules */
};

/* C keeps no copy of its descriptors. */
void pg_ruled_let_go(struct pg_ruled *c);

#endif
