/* SPDX-License-Identifier: MIT */
/*
 * Making the kernel break it. Each fault changes the object itself; the
 * program's own call then goes into the kernel and meets it, so poll, epoll,
 * recv, SO_ERROR, stdio and raw system calls agree, now and later.
 * All: async-signal-safe, errno untouched, bounded in time but for stall.
 */
#ifndef PG_FAULT_H
#define PG_FAULT_H

#include "fd.h"

/*
 * TCP: connect(AF_UNSPEC) sends a RST (tcp_disconnect in the kernel's
 * net/ipv4/tcp.c) and leaves ECONNRESET to be reported once; the shutdown
 * makes what follows EPIPE and EOF, as after a received RST. Data that waits
 * unread is lost. Others: as pg_fault_break.
 */
void pg_fault_reset(int fd, enum pg_kind kind);

/*
 * Lets FD connect to a port of this host that is bound and does not listen:
 * a true ECONNREFUSED. Returns what connect(2) returned, 0 or -errno;
 * -EAFNOSUPPORT: not possible for this family.
 */
int pg_fault_refuse(int fd, const struct sockaddr *addr);

/* Sockets: shutdown(SHUT_RDWR). Others: the write end of a pipe without a reader takes the number
 * (flags kept). */
void pg_fault_break(int fd, enum pg_kind kind);

void pg_fault_fin(int fd);		      /* shutdown(SHUT_WR): the peer reads EOF */
void pg_fault_eof(int fd, enum pg_kind kind); /* reads return 0 from now on */

/* Waits until the peer of FD has really gone, NS at the most. False: it has not. */
bool pg_fault_hold(int fd, uint64_t ns);

void pg_fault_sleep(uint64_t ns);

/* Blocks until a signal handler ran: EINTR; EAGAIN at once on a descriptor that does not block. */
int pg_fault_stall(int fd);

/* Copies N bytes of the program's memory. False: the kernel would answer EFAULT. */
bool pg_fault_peek(void *to, const void *from, size_t n);

/* SIG to this thread, as the kernel raises SIGPIPE: SI_USER, from itself. */
void pg_fault_raise(int sig);

#endif
