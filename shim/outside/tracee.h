/* SPDX-License-Identifier: MIT */
/*
 * The processes that are looked after, each from its first event to its end:
 * what is remembered of it is given back then, so that it does not grow with
 * how many processes there were.
 */
#ifndef PG_TRACEE_H
#define PG_TRACEE_H

#include "log/event.h"
#include "rules/counts.h"
#include "who/module.h"

struct pg_file;

/* A part of a process's memory that a file is behind. */
struct pg_area {
	uintptr_t lo, hi, offset;
	bool runs; /* its bytes are code */
	struct pg_file *file;
	char name[PG_MODULE_NAME]; /* the loader's name for it; empty: the file's is the only one */
};

enum { PG_SPARED = 64 };

struct pg_tracee {
	struct pg_tracee *next;
	int pid;
	char program[256]; /* its name, as rules and the log have it */
	bool named, mapped;
	bool guarded;  /* the library is in it, and logs what there is to log */
	bool left_out; /* by PIPEGUARD_ONLY or PIPEGUARD_SKIP */
	bool ignored;  /* SIGPIPE was ignored when it started */
	bool born;     /* it was seen to start */
	bool logged;   /* an event of it was counted */
	bool held; /* its beginning is logged when it is sure that the library does not do that */
	bool inherited_logged;
	bool closed_logged,
		listener_logged; /* that it may not be looked into, wants notifications */
	unsigned areas;
	struct pg_area *area;
	void *unwind; /* frames.c's, and how it ends */
	void (*end_unwind)(void *);
	struct {
		uint64_t ino;
		unsigned count;
	} spared[PG_SPARED]; /* signals taken away, by object */
	int by;		     /* the thread that was heard of last; 0: none yet, or it has ended */
	int vfork_of;	     /* 0: none */
	int pidfd;	     /* 0: not opened yet */
	unsigned
		connections[2]; /* that it made, that it accepted, as far as rules looked at them */
	uint64_t image;		/* which program, of those that were started; a fork's child has its
				   parent's */
	bool up;		/* its loader has done its work */
	char *counts;		/* PG_COUNTS_ROOM bytes: how often rules matched and fired in it */
};

/* The record of the process PID; it begins if there is none. */
struct pg_tracee *pg_tracee(int pid);
struct pg_tracee *pg_tracee_known(int pid); /* a null pointer: there is none */
void pg_tracee_gone(int pid);

/* The number by which its memory and files are looked at: a thread's, for the first one may have
 * ended, and has neither then. */
static inline int pg_tracee_by(const struct pg_tracee *t)
{
	return t->by ? t->by : t->pid;
}

/* The same record of the process that thread TID belongs to, which is alive now. */
struct pg_tracee *pg_tracee_heard(int tid);
struct pg_tracee *pg_tracee_heard_again(int tid); /* a null pointer: /proc has to be asked first */

/* T runs already and nothing of it was heard: a thread that lives is looked for, where the first
 * has ended. */
void pg_tracee_find(struct pg_tracee *t);

/* It runs another program now: what was learnt of the one before is forgotten. */
void pg_tracee_renewed(struct pg_tracee *t);

/* What files are behind its memory is learnt anew; what libdw knows of them. */
void pg_tracee_forget_areas(struct pg_tracee *t);
void pg_tracee_forget_tables(struct pg_tracee *t);

/* The process that TID is a thread of; TID itself if that cannot be known. */
int pg_tracee_of(int tid);

/* PIPEGUARD_ONLY and PIPEGUARD_SKIP, or null pointers: which programs are looked after. */
void pg_tracee_pick(const char *these, const char *not_these);

/* The name, and whether the engine leaves it alone. */
void pg_tracee_name(struct pg_tracee *t);

/* The process that is looked at now, whom module.h, symbol.h and unwinder.h speak of. */
extern struct pg_tracee *pg_tracee_now;

/* What SIGPIPE does in thread TID. */
enum pg_signal pg_tracee_sigpipe(int tid);

/* True if nobody but root may look into process PID: its memory, its descriptors. So after
 * prctl(2), PR_SET_DUMPABLE, and where its program may be run but not read. */
bool pg_tracee_is_closed(int pid);

/* True until process PID has ended. */
bool pg_tracee_lives(int pid);

/* True if SIG is in the mask of thread TID that /proc calls WORD ("SigBlk:"). */
bool pg_tracee_masked(int tid, const char *word, int sig);

/* True if SIG does nothing to TID's process. */
bool pg_tracee_ignores(int tid, int sig);

/* True if a signal waits that thread TID would act on. */
bool pg_tracee_is_signalled(int tid);

/* PG_COUNTS_ROOM bytes: T's counts, or those of the process whose memory it shares since a vfork.
 */
char *pg_tracee_counts(struct pg_tracee *t);

/* Thread TID has ended. */
void pg_tracee_thread_gone(int tid);

/* True if /proc is another pid namespace's: its numbers mean other processes than those that are
 * looked after. */
bool pg_tracee_proc_is_foreign(void);

/* As the kernel calls thread TID. */
void pg_tracee_comm(int tid, char comm[16]);

/* The first line of /proc/TID/status that begins with WORD, without it, into LINE of SIZE bytes;
 * false: there is none, or TID has gone. */
bool pg_tracee_status(int tid, const char *word, char *line, size_t size);

#endif
