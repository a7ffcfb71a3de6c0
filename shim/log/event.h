/* SPDX-License-Identifier: MIT */
/* One event. */
#ifndef PG_EVENT_H
#define PG_EVENT_H

#include "base/call.h"
#include "log/log.h"
#include "object/ending.h"
#include "object/look.h"
#include "rules/op.h"
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
	const char *call;
	struct pg_code caller;
	uint64_t count;
	int fd;
};

struct pg_event {
	enum pg_ev ev;
	enum pg_via via;
	enum pg_signal signal;
	enum pg_call call; /* PG_NO_CALL: unknown */
	int fd;		   /* -1: unknown */
	int64_t len, ret;  /* len -1: unknown */
	int err;	   /* 0: it did not fail */
	bool inlined;	   /* no wrapper was at work: rules do not reach it */
	bool inherited;	   /* say that SIGPIPE was ignored at start */
	bool changed;	   /* CHANGE is to be logged */
	bool has_ended;	   /* ENDED is known, in part at least */
	struct pg_change change;
	struct pg_object object;
	uint64_t repeated, events, early, uncounted;
	uint64_t hash; /* of the stack: what site= compares */
	bool nonblock; /* call */
	bool own;      /* call: the process reads that pipe itself */
	bool confined; /* the program has confined itself: little can be asked */
	bool perhaps;  /* doomed, closed: unless a child has the descriptor, too */
	unsigned frames;
	uintptr_t frame[PG_FRAMES_MAX];
	unsigned sites;
	struct pg_site site[16];
	struct pg_ending ended;	 /* epipe, reset, inject: who let go of the other end */
	int rule;		 /* inject: its serial; epipe: object.rule */
	int failed;		 /* inject: errno, why the fault could not be made; or 0 */
	const char *held;	 /* inject: what became of a hold, or a null pointer */
	bool seeded;		 /* inject: a rule with prob= */
	bool by_root, reachable; /* unreached: who it is, and whether the other engine serves */
	uint64_t idle; /* exit, of a tree's first process: rules that fired nowhere, as bits */
	uint64_t counts[PG_RULES_MAX]; /* exit: how often each rule fired */
	uint64_t passed;	       /* exit: rules for write that stdio passed by, as bits */
	const char *gates;	       /* load */
	struct pg_naming *naming;      /* this event's room; set by pg_event_write (line.h) */
	char module[72], path[256], build_id[65]; /* module; "": unknown; PATH: unreached, too */
	enum pg_barrier barrier;		  /* unreached */
	int child;				  /* unreached: the process of that program */
	int sender;	/* killed: who sent the signal; CALL and FD: of whose write it is */
	bool by_itself; /* killed: the program raised it */
	int pid;
	bool sourced; /* lines of the source are known */
	bool outside; /* seen by the outside engine: TID and COMM are filled in, too */
	/* Set by pg_event_write (line.h), unless OUTSIDE. */
	int tid;
	uint64_t now;
	unsigned columns;	       /* of the terminal that a text goes to; 0: to none */
	struct pg_log_missing missing; /* lines before this one */
	char comm[16];
};

#endif
