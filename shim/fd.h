/* SPDX-License-Identifier: MIT */
/*
 * What a descriptor is, and what it went through.
 *
 * One record per descriptor number, in static memory, written with plain
 * relaxed stores and no system call: read and write pay an addition. A number
 * can be closed and used again behind our back (fclose, raw system calls, a
 * vfork child that shares this memory), so a record is believed only if it
 * carries the inode of the very object that is asked about now (connect and
 * accept store it), or if its number was never seen closed.
 */
#ifndef PG_FD_H
#define PG_FD_H

#include "sys.h"
#include "text.h"

#include <stdbool.h>
#include <sys/socket.h>

enum { PG_FD_MAX = 65536 }; /* higher numbers are not tracked */

enum pg_kind { PG_OTHER, PG_PIPE, PG_TCP, PG_UDP, PG_UNIX, PG_SOCKET, PG_FILE, PG_TTY };
enum pg_side { PG_NO_SIDE, PG_CLIENT, PG_SERVER };
enum pg_what { PG_EOF, PG_RESET, PG_REFUSED, PG_SHUTDOWN, PG_WHATS };

/* An Internet address, in network byte order; family 0: unknown. */
struct pg_addr {
	uint16_t family, port;
	uint8_t ip[16];
};

/* A warning that the program was given on a descriptor. */
struct pg_warning {
	uint64_t at;	  /* CLOCK_MONOTONIC, ns; 0: never */
	uint64_t sent;	  /* bytes sent until then */
	uintptr_t caller; /* inside the calling instruction */
	uint32_t call;	  /* enum pg_call */
	int32_t err;	  /* errno, or 0 */
};

struct pg_fd {
	_Alignas(256) uint64_t sent; /* bytes the kernel took */
	uint64_t ino;		     /* 0: not known */
	uint64_t since;		     /* connected or accepted, ns; 0: not known */
	struct pg_addr peer;
	uint64_t injected;    /* the inode that a rule broke; 0: none */
	uint64_t seen_ino;    /* the object that the next two are of, for at= */
	uint64_t settled;     /* what of sent is counted for the stream */
	uint64_t received;    /* on the stream, by calls that rules watch */
	uint64_t unruled;     /* the calls for which no rule can fire on it, whatever comes; 0: not
				 known */
	uint64_t rules;	      /* where that is known: those that can, as bits of their numbers */
	uint64_t closed;      /* sent when the number was last seen closed */
	uint32_t conn[4];     /* numbers of the connection, for rules with conn= */
	uint32_t number;      /* the n-th client, or server, connection of the process; 0: none */
	uint32_t suppressed;  /* signals taken away on it */
	uint8_t side;	      /* enum pg_side */
	uint8_t rule;	      /* that broke it */
	bool ended;	      /* a rule ended its reading */
	bool connecting;      /* connect said EINPROGRESS, nothing yet how it went */
	uint8_t unsure;	      /* the number was closed: sent and warnings may be another object's */
	struct pg_addr local; /* of what a rule broke: a reset takes it away */
};

extern struct pg_fd pg_fds[PG_FD_MAX] PG_HIDDEN;

static inline struct pg_fd *pg_fd(int fd)
{
	return (unsigned)fd < PG_FD_MAX ? &pg_fds[fd] : NULL;
}

static inline void pg_fd_sent(int fd, uint64_t n)
{
	if (PG_LIKELY((unsigned)fd < PG_FD_MAX))
		pg_fds[(unsigned)fd].sent += n;
}

/* A connection that was seen to come about: what ends short on it is no broken pipe. */
static inline bool pg_fd_is_connection(int fd)
{
	return (unsigned)fd < PG_FD_MAX && pg_fds[(unsigned)fd].ino;
}

/* Can a rule fire on FD for a call whose bit is BIT? True if that is not known. */
static inline bool pg_fd_ruled(int fd, uint64_t bit)
{
	return (unsigned)fd >= PG_FD_MAX || !(pg_fds[(unsigned)fd].unruled & bit);
}

/* Start-up only: finds the clock. */
void pg_fd_start(void);

uint64_t pg_now(void);				/* CLOCK_MONOTONIC in ns, by the vDSO */
void pg_realtime(int64_t *sec, uint32_t *nsec); /* CLOCK_REALTIME */

/* All below: async-signal-safe, errno untouched. */
void pg_fd_fresh(int fd);	     /* a new object under this number */
void pg_fd_closed(int fd);	     /* the number is free, or another object's */
void pg_fd_copied(int from, int to); /* dup2 */
void pg_fd_closed_range(unsigned first, unsigned last);

/* A connection begins (or, not STANDS, was refused): one fstat for its identity. ADDR may be null.
 * What rules counted for it (conn) stays. */
void pg_fd_connection(int fd, enum pg_side side, const struct sockaddr *addr, socklen_t len,
		      bool stands);

/* Would a connect on FD only ask how the one before it went? One fstat, if any. */
bool pg_fd_is_connecting(int fd);

void pg_fd_warn(int fd, enum pg_what what, uint32_t call, int err, uintptr_t caller);

/* What the kernel and the record say of a descriptor now. */
struct pg_object {
	uint64_t dev, ino; /* 0: not open */
	enum pg_kind kind;
	int domain; /* AF_ of a socket */
	enum pg_side side;
	bool stream;  /* a write on it can raise SIGPIPE */
	bool tracked; /* sent, since and warned are this object's */
	uint64_t sent, since;
	int64_t offset;	 /* in its stream, as rules count it; -1: unknown */
	int64_t unread;	 /* bytes; -1: unknown */
	int64_t idle_ms; /* TCP: since data last came or went; -1: unknown */
	int peer_pid;	 /* AF_UNIX: SO_PEERCRED; 0: unknown */
	struct pg_addr local, peer;
	char local_path[108],
		peer_path[108]; /* AF_UNIX and FIFO names; "" unknown; abstract: '@' first */
	int rule;		/* that broke it; -1: none did */
	uint32_t number;	/* the n-th connection of its side; 0: unknown */
	struct pg_warning warned[PG_WHATS];
};

/* Sets O's peer from ADDR, as connect(2) is given it. */
void pg_fd_address(struct pg_object *o, const struct sockaddr *addr, socklen_t len);

/* For events only: some eight system calls. */
void pg_fd_look(int fd, struct pg_object *o);

/* The same, but no more than what is wanted: the record, and whether it is a socket, a pipe or a
 * file, comes with one fstat (ST, if that is known; its ino 0: not open). A socket's kind is two
 * more, its names are two, its state the rest. */
enum { PG_LOOK_KIND = 1, PG_LOOK_NAMES = 2, PG_LOOK_STATE = 4, PG_LOOK_ALL = 7 };
struct pg_stat pg_fd_stat(int fd); /* ino 0: not open */
void pg_fd_look_for(int fd, struct pg_object *o, unsigned wants);
void pg_fd_look_at(int fd, const struct pg_stat *st, struct pg_object *o, unsigned wants);

/* The kernel's own account if it was not tracked, or ours does not apply. */
bool pg_fd_is_broken_pipe(int fd); /* a pipe whose readers have gone */
bool pg_fd_hung_up(int fd);	   /* would poll(2) tell of an error or a hang-up? */

const char *pg_kind_name(enum pg_kind kind);
void pg_put_addr(struct pg_text *t, const struct pg_addr *a); /* 1.2.3.4:80, [::1]:80 */

#endif
