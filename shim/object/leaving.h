/* SPDX-License-Identifier: MIT */
/*
 * A descriptor is let go of: whether somebody loses the other end by that. Asked
 * of the kernel before and after, because nobody else knows who has an object:
 * children, other numbers, other processes by SCM_RIGHTS, those without the
 * library. Nothing of this happens without a ring (ending.h). Async-signal-safe,
 * errno untouched.
 */
#ifndef PG_LEAVING_H
#define PG_LEAVING_H

#include "object/ending.h"
#include "object/look.h"

/* How, and by which call; CALLER: inside the calling instruction, 0: it is looked for. */
struct pg_left {
	enum pg_how how;
	int status;
	const char *call;
	uintptr_t caller;
};

struct pg_leaving {
	struct pg_ending_place place;
	int fd;
	int watch;  /* an epoll that the open file is in, for as long as anybody has it; or -1 */
	int node;   /* the pipe or FIFO by its path alone, or -1 */
	bool input; /* it is what was left last of what this process has */
};

/* FD is about to be let go of. Leaves what is to be proved. False: nobody is left alone by it, and
 * there is nothing to end. */
bool pg_leaving_begin(struct pg_leaving *l, int fd, const struct pg_left *left);

/* It has been, if DONE: finds out whether that was the last one. */
void pg_leaving_end(struct pg_leaving *l, bool done);

/* It will be, by the end of this process, whose other threads run on until then. Of a pipe they see
 * one that stays empty from now on; of others it is asked whether nobody else can have it. */
void pg_leaving_end_open(struct pg_leaving *l);

/* Closes the object of FD by putting another one of ours in its place, for who closes the number
 * later. Then ends L. */
void pg_leaving_replace(struct pg_leaving *l);

/* shutdown(2) is about to be made, whoever else has the socket FD; HOW: its argument. As
 * pg_leaving_begin() says; then it has been, if DONE. */
bool pg_leaving_shutdown(struct pg_leaving *l, int fd, int how, uintptr_t caller);
void pg_leaving_shut(struct pg_leaving *l, bool done);

/* This process ends, as LEFT says. */
void pg_leaving_process(const struct pg_left *left);

/* This process starts with FD, or has just made it its own, as HOW says: if it reads there, who
 * writes may lose it without a word. */
void pg_leaving_hold(enum pg_how how, int fd);

/* This process is one that was just forked: it has what the other one has. */
void pg_leaving_forked(void);

/* CHILD, or one that is not known (0 or less), has what this process has, and may say nothing of
 * it. */
void pg_leaving_lends(int child);

/* Who let go of the other end of O, as pg_ending_find() says. */
bool pg_leaving_find(int fd, const struct pg_object *o, struct pg_ending *to);

#endif
