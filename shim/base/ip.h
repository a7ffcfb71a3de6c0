/* SPDX-License-Identifier: MIT */
/* Internet addresses, as bytes in the network's order. */
#ifndef PG_IP_H
#define PG_IP_H

#include "base/text.h"

void pg_put_ip4(struct pg_text *t, const uint8_t *ip);
void pg_put_ip6(struct pg_text *t, const uint8_t *ip); /* without brackets, as RFC 5952 has it */

/* True if the first BITS bits of both are the same. */
bool pg_same_bits(const uint8_t *a, const uint8_t *b, unsigned bits);

#endif
