/* SPDX-License-Identifier: MIT */
#include "listener.h"

#include "sys.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

struct question {
	struct nlmsghdr head;
	struct inet_diag_req_v2 what;
};

/* The whole answer is longer; its start says what was found. */
struct answer {
	struct nlmsghdr head;
	struct inet_diag_msg found;
	char more[256];
};

bool pg_listens_at(const struct pg_addr *a)
{
	struct question q = {
		.head = {.nlmsg_len = sizeof q,
			 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			 .nlmsg_flags = NLM_F_REQUEST},
		.what = {.sdiag_family = (uint8_t)a->family,
			 .sdiag_protocol = IPPROTO_TCP,
			 .idiag_states = 1u << TCP_LISTEN,
			 .id = {.idiag_sport = a->port, .idiag_cookie = {~0u, ~0u}}},
	};
	struct answer answer = {.head.nlmsg_type = 0};
	int fd;
	long n = -1;

	if (!a->family)
		return false;
	__builtin_memcpy(q.what.id.idiag_src, a->ip, sizeof a->ip);
	fd = (int)pg_sys3(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0)
		return false;
	if (pg_sys6(SYS_sendto, fd, &q, sizeof q, MSG_DONTWAIT, 0, 0) == (long)sizeof q)
		n = pg_sys6(SYS_recvfrom, fd, &answer, sizeof answer, MSG_DONTWAIT, 0, 0);
	pg_sys1(SYS_close, fd);
	return n >= (long)(sizeof answer.head + sizeof answer.found) &&
	       answer.head.nlmsg_type == SOCK_DIAG_BY_FAMILY &&
	       answer.found.idiag_state == TCP_LISTEN;
}
