/* SPDX-License-Identifier: MIT */
#include "base/ip.h"

void pg_put_ip4(struct pg_text *t, const uint8_t *ip)
{
	for (int i = 0; i < 4; i++) {
		if (i)
			pg_put_char(t, '.');
		pg_put_u64(t, ip[i]);
	}
}

/* Groups START to END of the address, with colons between. */
static void put_groups(struct pg_text *t, const uint8_t *ip, int start, int end)
{
	for (int i = start; i < end; i++) {
		if (i > start)
			pg_put_char(t, ':');
		pg_put_digits(t, (uint64_t)(ip[2 * i] << 8 | ip[2 * i + 1]));
	}
}

/* RFC 5952: the first longest run of at least two zero groups becomes "::". */
void pg_put_ip6(struct pg_text *t, const uint8_t *ip)
{
	int best = 8, length = 1;

	for (int i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && !ip[2 * (i + n)] && !ip[2 * (i + n) + 1])
			n++;
		if (n > length)
			best = i, length = n;
	}
	put_groups(t, ip, 0, best);
	if (best == 8)
		return;
	pg_put(t, "::");
	put_groups(t, ip, best + length, 8);
}

bool pg_same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	for (; bits >= 8; bits -= 8)
		if (*a++ != *b++)
			return false;
	return !bits || !((*a ^ *b) >> (8 - bits));
}
