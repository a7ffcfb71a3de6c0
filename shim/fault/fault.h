/* SPDX-License-Identifier: MIT */
/*
 * Making the kernel break it. Each fault changes the object itself; the
 * program's own call then goes into the kernel and meets it, so poll, epoll,
 * recv, SO_ERROR, stdio and raw system calls agree, now and later.
 * All: async-signal-safe, errno untouched, bounded in time but for stall.
 */
#ifndef PG_FAULT_H
#define PG_FAULT_H

#include "object/look.h"

/* Start-up only: finds libc's way to be cancelled while waiting. */
void pg_fault_start(void);

/*
 * All that make a fault return 0, or -errno: it could not be made, and nothing
 * has changed (no descriptor was left, say).
 *
 * TCP: connect(AF_UNSPEC) sends a RST (tcp_disconnect in the kernel's
 * net/ipv4/tcp.c) and leaves ECONNRESET to be reported once; the shutdown
 * makes what follows EPIPE and EOF, as after a received RST. What was sent
 * is lost, if it is not delivered before: pg_fault_flush(). It would lose
 * what waits unread: if that is to be kept (KEEP), and there is any, a
 * connection to ourselves that holds it and was truly reset takes the number.
 * AF_UNIX: the end of a pair whose other end was closed with unread data takes
 * the number, so recv is told ECONNRESET, then the end. WAITS: the object that
 * other threads may still wait on, for pg_fault_wake, or -1.
 */
int pg_fault_reset(int fd, enum pg_kind kind, bool keep, int *waits);
void pg_fault_wake(int waits);

/* How much of what was sent on FD, of TCP, the peer has not taken yet. */
int pg_fault_queued(int fd);

/* Waits until nothing is queued: in steps (ns), while the peer takes some in IDLE of them, FLUSH at
 * the most. False: FD is another object by now. */
enum { PG_FLUSH_STEP = 1000000, PG_FLUSH_IDLE = 1000, PG_FLUSH = 10000 };
bool pg_fault_flush(int fd);

/*
 * Lets FD connect to a port of this host that is bound and does not listen:
 * a true ECONNREFUSED. Returns what connect(2) returned, 0 or -errno;
 * -EAFNOSUPPORT: not possible for this family.
 */
int pg_fault_refuse(int fd, const struct sockaddr_storage *addr);

/* Lets FD connect to a listener that never answers, since its queue is full: the call blocks, or is
 * in progress for ever. Returns as above. */
int pg_fault_hang(int fd, const struct sockaddr_storage *addr);

/* Is FD of TCP, and connected, or listening? Then connect(2) refuses it at once. */
bool pg_fault_is_up(int fd);

/* Sockets: shutdown(SHUT_RDWR). Pipes: the write end of one without a reader takes the number. */
int pg_fault_break(int fd, enum pg_kind kind);

int pg_fault_fin(int fd); /* shutdown(SHUT_WR): the peer reads EOF */

/* TCP: SO_LINGER with a time of 0. The last close sends a RST; what is unsent then is lost. */
int pg_fault_linger(int fd);

/* Throws away what waits unread, and lets the writer know that nobody reads on. Sockets:
 * shutdown(SHUT_RD); what comes later is thrown away by the next call. Pipes: the read end of one
 * without a writer takes the number. */
int pg_fault_eof(int fd, enum pg_kind kind);

/* Throws away what waits unread on a socket. */
void pg_fault_drain(int fd, enum pg_kind kind);

/*
 * Throws away what waits unread, so that poll(2) does not report it for ever.
 * What poll(2) would report even then, an end or an error, goes with the object:
 * one that stays silent takes the number. A pipe must not block. Returns that
 * one's other end, which has to stay open; or -1, where none was needed.
 */
int pg_fault_silence(int fd, enum pg_kind kind);

/* Waits until the peer of FD has really gone, NS at the most. 1: it has; 0: it has not; -errno: it
 * cannot be known (a program that may have no descriptor may not poll). A cancellation point. */
int pg_fault_hold(int fd, enum pg_kind kind, uint64_t ns);

/* A cancellation point. */
void pg_fault_sleep(uint64_t ns);

/* Blocks until NS have passed (0: for ever), which is EAGAIN, or a signal handler without
 * SA_RESTART ran: EINTR. A cancellation point. */
int pg_fault_stall(uint64_t ns);

/* The call is not made, but has its cancellation point. */
void pg_fault_cancel_point(void);

#endif
