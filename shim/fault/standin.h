/* SPDX-License-Identifier: MIT */
/* Objects of this host that are already broken, to connect to or to take a descriptor's place. All:
 * descriptors with close-on-exec, or negative; async-signal-safe; errno untouched. */
#ifndef PG_STANDIN_H
#define PG_STANDIN_H

#include "object/look.h"

#include <sys/socket.h>

/* A socket bound to a name for which nobody listens, of ADDR's family, and reachable for one that
 * may connect to ADDR, which is whole; its name in SS. */
int pg_dead_end(const struct sockaddr_storage *addr, struct sockaddr_storage *ss, socklen_t *len);

/* The end of a pair whose other end was closed with unread data. KEEP: what waits unread on FD
 * waits there, too; it stays on FD, so that FD's peer is told ECONNRESET when FD is closed. */
int pg_standin_unix(int fd, bool keep);

/* A connection whose other end sent what waits unread on FD, as far as the kernel's buffers hold
 * it, and a RST. Negative, too, if nothing waits. */
int pg_standin_tcp(int fd);

/* One end of what nothing will ever come through, for a TCP or unix socket or a pipe; *OTHER is to
 * stay open. */
int pg_standin_silent(int fd, enum pg_kind kind, int *other);

#endif
