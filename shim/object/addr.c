/* SPDX-License-Identifier: MIT */
#include "object/addr.h"

#include "base/ip.h"

#include <netinet/in.h>
#include <sys/un.h>

void pg_addr_set(struct pg_addr *a, const struct sockaddr *addr, size_t len)
{
	const struct sockaddr_in *in4 = (const void *)addr;
	const struct sockaddr_in6 *in6 = (const void *)addr;

	*a = (struct pg_addr){.family = 0};
	if (len >= sizeof *in4 && addr->sa_family == AF_INET) {
		__builtin_memcpy(a->ip, &in4->sin_addr, 4);
		a->port = in4->sin_port;
		a->family = AF_INET;
	} else if (len >= sizeof *in6 && addr->sa_family == AF_INET6) {
		__builtin_memcpy(a->ip, &in6->sin6_addr, 16);
		a->port = in6->sin6_port;
		a->family = AF_INET6;
	}
}

void pg_addr_path(char path[PG_PATH_MAX], const struct sockaddr *addr, size_t len)
{
	const struct sockaddr_un *un = (const void *)addr;
	size_t n = len > sizeof un->sun_family ? len - sizeof un->sun_family : 0;

	path[0] = 0;
	if (!n || un->sun_family != AF_UNIX)
		return;
	if (n >= sizeof un->sun_path)
		n = sizeof un->sun_path - 1;
	__builtin_memcpy(path, un->sun_path, n);
	path[n] = 0;
	if (!path[0])
		path[0] = '@';
}

bool pg_addr_is_set(const struct pg_addr *a)
{
	uint8_t any = 0;

	for (unsigned i = 0; a->family && i < sizeof a->ip; i++)
		any |= a->ip[i];
	return a->port || any;
}

void pg_put_addr(struct pg_text *t, const struct pg_addr *a)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	if (a->family == AF_INET) {
		pg_put_ip4(t, a->ip);
	} else {
		pg_put_char(t, '[');
		if (__builtin_memcmp(a->ip, mapped, sizeof mapped) != 0) {
			pg_put_ip6(t, a->ip);
		} else {
			pg_put(t, "::ffff:");
			pg_put_ip4(t, a->ip + 12);
		}
		pg_put_char(t, ']');
	}
	pg_put_char(t, ':');
	pg_put_u64(t, (uint64_t)((a->port & 255) << 8 | a->port >> 8));
}
