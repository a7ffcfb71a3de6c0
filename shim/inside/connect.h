/* SPDX-License-Identifier: MIT */
/* What connect, and what opens a connection by sending, mean for the story of a socket. */
#ifndef PG_CONNECT_H
#define PG_CONNECT_H

#include "base/next.h"

#include <sys/socket.h>

/*
 * CALL asked for a connection of FD to ADDR, LEN bytes of the program's, and
 * returned RET, with errno. Remembers what came about. Returns RET; errno is
 * kept. What syscall(2) asks for has no number for conn=, as no rule on connect
 * reaches it.
 */
int pg_connected(enum pg_call call, int fd, const struct sockaddr *addr, socklen_t len, int ret,
		 uintptr_t caller);

/* The connection that FD has now takes its number: for conn=, of rules and in the log. errno is
 * kept. */
void pg_number_connection(int fd);

/* Descriptors that go with a message which the kernel has just taken by FD: another process may
 * write on them from now on. The message may be gone by now, where another thread unmapped it.
 * errno is kept. */
void pg_lend_passed(int fd, const struct msghdr *msg);

/* Descriptors that came with a message which the kernel has just filled in. */
void pg_adopt_passed(const struct msghdr *msg);

#endif
