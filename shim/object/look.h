/* SPDX-License-Identifier: MIT */
/* What the kernel, and the story, say of the object behind a descriptor now. Async-signal-safe,
 * errno untouched. */
#ifndef PG_LOOK_H
#define PG_LOOK_H

#include "object/fd.h"

enum pg_kind { PG_OTHER, PG_PIPE, PG_TCP, PG_UDP, PG_UNIX, PG_SOCKET, PG_FILE, PG_TTY };

struct pg_object {
	uint64_t dev, ino; /* 0: not open */
	uint64_t born;	   /* as in pg_stat */
	enum pg_kind kind;
	int domain; /* AF_ of a socket */
	int type;   /* SOCK_ of a socket */
	enum pg_side side;
	bool stream;		/* a write on it can raise SIGPIPE */
	bool events;		/* an event descriptor: its reads and writes keep their size */
	int peer_pid;		/* AF_UNIX: SO_PEERCRED, where that is somebody else; 0: unknown */
	struct pg_story *story; /* or a null pointer */
	int64_t sent;		/* bytes on it, by all its numbers; -1: unknown */
	int64_t offset;		/* in its stream, as rules count it; -1: unknown */
	uint64_t since;		/* connected or accepted; 0: unknown, or it is not */
	int64_t unread;		/* bytes; -1: unknown */
	int64_t idle_ms;	/* TCP: since data last came or went; -1: unknown */
	struct pg_addr local, peer;
	char local_path[PG_PATH_MAX], peer_path[PG_PATH_MAX]; /* AF_UNIX and FIFO names; "" unknown;
								 abstract: '@' first */
	int rule;					      /* that broke it; -1: none did */
	uint32_t number; /* the n-th stream connection of its side; 0: unknown */
	struct pg_warning warned[PG_WHATS];
};

/* Sets O's peer from ADDR, LEN bytes of which are there. */
void pg_look_address(struct pg_object *o, const struct sockaddr *addr, size_t len);

/* All there is: for events only, some eight system calls. */
void pg_look(int fd, struct pg_object *o);

/*
 * No more than what is wanted: the story, and whether it is a socket, a pipe or
 * a file, comes with one fstat (ST, if that is known; its ino 0: not open). A
 * socket's kind is two more, its names are two, its state the rest. MAKE: a
 * story begins if there is none.
 */
enum { PG_LOOK_KIND = 1, PG_LOOK_NAMES = 2, PG_LOOK_STATE = 4, PG_LOOK_ALL = 7 };
struct pg_stat pg_look_stat(int fd); /* ino 0: not open */
void pg_look_for(int fd, struct pg_object *o, unsigned wants, bool make);
void pg_look_at(int fd, const struct pg_stat *st, struct pg_object *o, unsigned wants, bool make);

enum { PG_POLLRDHUP = 0x2000 }; /* not under __USE_MISC in every libc */

/* True if the pipe FD, on DEV, has a path: it is a FIFO, which several open. */
bool pg_look_has_path(int fd, uint64_t dev);

bool pg_look_reads(const struct pg_stat *st); /* this process holds a reading end of pipe ST */
bool pg_look_is_broken_pipe(int fd);	      /* a pipe whose readers have gone */
bool pg_look_hung_up(int fd);		      /* poll(2) reports an error or a hang-up */
bool pg_look_is_broken(int fd);		      /* POLLERR or POLLHUP: no peer is there any more */
bool pg_look_failed(int fd);		      /* POLLERR: an error waits */

const char *pg_kind_name(enum pg_kind kind); /* a null pointer: no word for it */

static inline bool pg_kind_is_socket(enum pg_kind kind)
{
	return kind >= PG_TCP && kind <= PG_SOCKET;
}

#endif
