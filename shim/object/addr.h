/* SPDX-License-Identifier: MIT */
/* Internet addresses: kept in 20 bytes, and printed. */
#ifndef PG_ADDR_H
#define PG_ADDR_H

#include "base/text.h"

#include <sys/socket.h>

/* In network byte order; family 0: unknown. */
struct pg_addr {
	uint16_t family, port;
	uint8_t ip[16];
};

enum { PG_PATH_MAX = 108 };

/* Of ADDR, all LEN bytes of which are there; family 0 if they are no whole Internet address. */
void pg_addr_set(struct pg_addr *a, const struct sockaddr *addr, size_t len);

/* The path of a unix address, NUL-terminated; '@' first: abstract; "": none. */
void pg_addr_path(char path[PG_PATH_MAX], const struct sockaddr *addr, size_t len);

/* Neither the wildcard address nor port 0. */
bool pg_addr_is_set(const struct pg_addr *a);

void pg_put_addr(struct pg_text *t, const struct pg_addr *a); /* 1.2.3.4:80, [::1]:80 */

#endif
