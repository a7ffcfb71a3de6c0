/* SPDX-License-Identifier: MIT */
/* One event. */
#ifndef PG_EVENT_H
#define PG_EVENT_H

#include "base/call.h"
#include "log/log.h"
#include "object/ending.h"
#include "object/look.h"
#include "rules/plan.h"
#include "rules/rule.h"
#include "who/stack.h"

enum pg_ev {
	PG_EV_EPIPE,
	PG_EV_RESET,
	PG_EV_REFUSED,
	PG_EV_EOF,
	PG_EV_DISPOSITION,
	PG_EV_LOAD,
	PG_EV_DOOMED,
	PG_EV_CLOSED,
	PG_EV_EXIT,
	PG_EV_CALL,
	PG_EV_KILLED,
	PG_EV_INJECT,
	PG_EV_MODULE,
	PG_EV_UNREACHED,
	PG_EV_COUNT
};
enum pg_signal {
	PG_SIG_NONE,
	PG_SIG_FATAL,
	PG_SIG_CAUGHT,
	PG_SIG_IGNORED,
	PG_SIG_BLOCKED,
	PG_SIG_SUPPRESSED,
	PG_SIG_ASK /* not known yet: of the object and the call's flags */
};
/* Why the library does not come into a program. */
enum pg_barrier {
	PG_NO_BARRIER,
	PG_BARRIER_STATIC,
	PG_BARRIER_PRIVILEGED, /* the loader ignores the environment */
	PG_BARRIER_MACHINE,
	PG_BARRIER_ENVIRONMENT, /* no LD_PRELOAD names it */
	PG_BARRIER_UNDUMPABLE,	/* the engine outside, no root, may not look into it */
	PG_BARRIER_LISTENER,	/* it wants seccomp notifications, which rules from outside have */
	PG_BARRIER_TRACER,	/* it traces others, which the engine outside does */
	PG_BARRIERS
};
enum pg_state { PG_STATE_DEFAULT, PG_STATE_IGNORED, PG_STATE_CAUGHT };

/* The last change of SIGPIPE's disposition. */
struct pg_change {
	enum pg_state from, to;
	struct pg_code by; /* 0: inherited */
	uint64_t at;
	int tid;
};

struct pg_site {
	const char *call; /* a null pointer: not known */
	struct pg_code caller;
	uint64_t count;
	int fd;
};

/*
 * What a line says. OP, PLAN and OBJECT are there in events that are about a
 * call (WRITES in keys.def); OP in one that is killed, too, of a write that was
 * blocked.
 */
struct pg_event {
	enum pg_ev ev;
	/* Who, and when: set by pg_event_write (line.h), TID and COMM not if OUTSIDE. */
	int pid, tid;
	bool outside;  /* seen by the outside engine */
	bool confined; /* the program has confined itself: little can be asked */
	char comm[16];
	unsigned columns; /* of the terminal that a text goes to; 0: to none */
	uint64_t now;
	struct pg_naming *naming;      /* this event's room */
	struct pg_log_missing missing; /* lines before this one */

	const struct pg_op *op;	    /* what was asked, and what came of it */
	const struct pg_plan *plan; /* inject: what a rule did; else a null pointer */
	enum pg_signal signal;
	bool nonblock, own; /* call: O_NONBLOCK; the process reads that pipe itself */
	bool has_ended;	    /* ENDED is known, in part at least */
	bool inherited;	    /* say that SIGPIPE was ignored at start */
	bool changed;	    /* CHANGE is to be logged */
	bool sourced;	    /* lines of the source are known */
	unsigned frames;
	uintptr_t frame[PG_FRAMES_MAX];
	uint64_t hash; /* of the stack: what site= compares */
	uint64_t repeated;
	struct pg_object object;
	struct pg_change change;
	struct pg_ending ended; /* epipe, reset, inject: who let go of the other end */

	char path[256]; /* module, unreached; "": unknown */
	union {
		struct {
			const char *gates;
			int ppid;
			enum pg_state sigpipe;
		} load;
		struct {
			uint64_t events, early, uncounted;
			uint64_t counts[PG_RULES_MAX]; /* how often each rule fired */
			uint64_t idle;	 /* of a tree's first process: rules that fired nowhere, as
					    bits */
			uint64_t passed; /* rules for write that stdio passed by, as bits */
			unsigned sites;
			struct pg_site site[16];
		} exit;
		struct {
			int sender;
			bool by_itself; /* the program raised it */
		} killed;
		struct {
			char name[72], build_id[65]; /* "": unknown */
		} module;
		struct {
			enum pg_barrier barrier;
			int child; /* the process of that program */
			bool by_root,
				reachable; /* who it is, and whether the other engine serves */
		} unreached;
	};
};

#endif
