/* SPDX-License-Identifier: MIT */
/* Connections: where they begin and end, what they are called, what they told the program. As
 * fd.h. */
#ifndef PG_CONNECTION_H
#define PG_CONNECTION_H

#include "object/fd.h"

/*
 * A connection of TYPE begins: one fstat for its identity. ADDR: LEN bytes that
 * are there, or a null pointer. What rules counted for it (conn) stays.
 * CONNECTING: it is on its way.
 */
void pg_fd_connection(int fd, enum pg_side side, int type, const struct sockaddr *addr, size_t len,
		      bool connecting);

/* The connection of FD, a stream's, takes the next number of its side. */
void pg_fd_number(int fd);

/* The one that was on its way stands. */
void pg_fd_established(int fd);

/* None came about with ADDR: it is remembered that it was asked. */
void pg_fd_unconnected(int fd, const struct sockaddr *addr, size_t len);

/* Whatever came about is over: connect(AF_UNSPEC). */
void pg_fd_disconnected(int fd);

/* True if FD's peer is known to be one of the internet, whose sockets pass no descriptors. */
bool pg_fd_is_ip(int fd);

/* True if connect on FD was told that it is on its way, and nothing since. One fstat, if any. */
bool pg_fd_is_connecting(int fd);

/* A number whose object came from elsewhere: inherited, or passed by another process. If it is a
 * connection, its peer is asked for now: after a reset nobody knows it. */
void pg_fd_adopt(int fd);

/* True if FD has a story, or may get one: it is known to be a socket, or was written to. */
bool pg_fd_is_followed(int fd);

/* The program was told WHAT by FD: CALL returned so, with ERR, to CALLER. */
void pg_fd_warn(int fd, enum pg_what what, uint32_t call, int err, uintptr_t caller);

#endif
