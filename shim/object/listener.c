/* SPDX-License-Identifier: MIT */
#include "object/listener.h"

#include "base/sys.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

/* Of <linux/netlink.h>, <linux/sock_diag.h> and <linux/inet_diag.h>, which not every libc's headers
 * come with. */
enum { SOCK_DIAG = 4, REQUEST = 1, BY_FAMILY = 20 };
struct head {
	uint32_t length;
	uint16_t type, flags;
	uint32_t sequence, port;
};
struct name {
	uint16_t local_port, peer_port;
	uint32_t local[4], peer[4], interface, cookie[2];
};
struct question {
	struct head head;
	uint8_t family, protocol, extensions, pad;
	uint32_t states;
	struct name name;
};
/* The whole answer is longer; its start says what was found. */
struct answer {
	struct head head;
	uint8_t family, state, timer, retransmits;
	struct name name;
	char more[256];
};

bool pg_listens_at(const struct pg_addr *a)
{
	struct question q = {
		.head = {.length = sizeof q, .type = BY_FAMILY, .flags = REQUEST},
		.family = (uint8_t)a->family,
		.protocol = IPPROTO_TCP,
		.states = 1u << TCP_LISTEN,
		.name = {.local_port = a->port, .cookie = {~0u, ~0u}},
	};
	struct answer answer = {.head.type = 0};
	int fd;
	long n = -1;

	if (!a->family)
		return false;
	__builtin_memcpy(q.name.local, a->ip, sizeof a->ip);
	fd = (int)pg_sys3(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, SOCK_DIAG);
	if (fd < 0)
		return false;
	if (pg_sys6(SYS_sendto, fd, &q, sizeof q, MSG_DONTWAIT, 0, 0) == (long)sizeof q)
		n = pg_sys6(SYS_recvfrom, fd, &answer, sizeof answer, MSG_DONTWAIT, 0, 0);
	pg_sys1(SYS_close, fd);
	return n >= (long)offsetof(struct answer, more) && answer.head.type == BY_FAMILY &&
	       answer.state == TCP_LISTEN;
}
