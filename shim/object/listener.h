/* SPDX-License-Identifier: MIT */
#ifndef PG_LISTENER_H
#define PG_LISTENER_H

#include "object/addr.h"

/*
 * True if a TCP socket listens at the Internet address A, in this network namespace.
 * Then a connection that has A as its own end was accepted. Asked by
 * sock_diag(7), for events only: four system calls. False, too, if that cannot
 * be known. Async-signal-safe, errno untouched.
 */
bool pg_listens_at(const struct pg_addr *a);

/* The inode of the socket of AF_UNIX that INO is connected to, asked in the same way; 0: it has
 * none, or that cannot be known. */
uint64_t pg_unix_peer(uint64_t ino);

#endif
