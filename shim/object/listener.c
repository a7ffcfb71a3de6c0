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

/* Sends the SIZE bytes of QUESTION. Returns how many came into ANSWER, ROOM bytes long; -1: none.
 */
static long ask(const void *question, size_t size, void *answer, size_t room)
{
	int fd = (int)pg_sys3(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, SOCK_DIAG);
	long n = -1;

	if (fd < 0)
		return -1;
	if (pg_sys6(SYS_sendto, fd, question, size, MSG_DONTWAIT, 0, 0) == (long)size)
		n = pg_sys6(SYS_recvfrom, fd, answer, room, MSG_DONTWAIT, 0, 0);
	pg_sys1(SYS_close, fd);
	return n;
}

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
	long n;

	if (!a->family)
		return false;
	__builtin_memcpy(q.name.local, a->ip, sizeof a->ip);
	n = ask(&q, sizeof q, &answer, sizeof answer);
	return n >= (long)offsetof(struct answer, more) && answer.head.type == BY_FAMILY &&
	       answer.state == TCP_LISTEN;
}

/* ---- AF_UNIX ---- */

/* Of <linux/unix_diag.h>. */
enum { SHOW_PEER = 4, PEER = 2 };
struct unix_question {
	struct head head;
	uint8_t family, protocol;
	uint16_t pad;
	uint32_t states, ino, show, cookie[2];
};
struct unix_answer {
	struct head head;
	uint8_t family, type, state, pad;
	uint32_t ino, cookie[2];
	uint16_t length, kind; /* of the first attribute */
	uint32_t peer;
	char more[64];
};

uint64_t pg_unix_peer(uint64_t ino)
{
	struct unix_question q = {
		.head = {.length = sizeof q, .type = BY_FAMILY, .flags = REQUEST},
		.family = AF_UNIX,
		.states = ~0u,
		.ino = (uint32_t)ino,
		.show = SHOW_PEER,
		.cookie = {~0u, ~0u},
	};
	struct unix_answer a = {.head.type = 0};
	long n = ino >> 32 ? -1 : ask(&q, sizeof q, &a, sizeof a);

	return n >= (long)offsetof(struct unix_answer, more) && a.head.type == BY_FAMILY &&
			       a.ino == q.ino && a.kind == PEER
		       ? a.peer
		       : 0;
}
