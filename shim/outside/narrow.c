/* SPDX-License-Identifier: MIT */
#include "outside/narrow.h"

#include "outside/bytes.h"
#include "outside/way.h"

#include <string.h>
#include <sys/syscall.h>

#ifdef __x86_64__
/* syscall_32.tbl */
const struct pg_narrow_pair pg_narrow_pairs[] = {{3, SYS_read},
						 {4, SYS_write},
						 {PG_NARROW_PTRACE, SYS_ptrace},
						 {145, SYS_readv},
						 {146, SYS_writev},
						 {PG_NARROW_SENDFILE, SYS_sendfile},
						 {239, SYS_sendfile},
						 {313, SYS_splice},
						 {315, SYS_tee},
						 {316, SYS_vmsplice},
						 {337, SYS_recvmmsg},
						 {345, SYS_sendmmsg},
						 {PG_NARROW_SECCOMP, SYS_seccomp},
						 {362, SYS_connect},
						 {364, SYS_accept4},
						 {369, SYS_sendto},
						 {370, SYS_sendmsg},
						 {371, SYS_recvfrom},
						 {372, SYS_recvmsg},
						 {377, SYS_copy_file_range},
						 {379, SYS_pwritev2},
						 {417, SYS_recvmmsg}};
const unsigned pg_narrow_count = sizeof pg_narrow_pairs / sizeof *pg_narrow_pairs;
#else
const struct pg_narrow_pair pg_narrow_pairs[] = {{-1, -1}};
const unsigned pg_narrow_count = 0;
#endif

/* <linux/net.h>: which, and with how many arguments. */
static const struct {
	short number;
	uint8_t words;
} sockets[PG_NARROW_SOCKETCALLS] = {
	[3] = {SYS_connect, 3},	  [5] = {SYS_accept4, 3},  [9] = {SYS_sendto, 4},
	[10] = {SYS_recvfrom, 4}, [11] = {SYS_sendto, 6},  [12] = {SYS_recvfrom, 6},
	[16] = {SYS_sendmsg, 3},  [17] = {SYS_recvmsg, 3}, [18] = {SYS_accept4, 4},
	[19] = {SYS_recvmmsg, 5}, [20] = {SYS_sendmmsg, 4}};

long pg_narrow_number(uint32_t narrow)
{
	for (unsigned i = 0; i < pg_narrow_count; i++)
		if ((uint32_t)pg_narrow_pairs[i].narrow == narrow)
			return pg_narrow_pairs[i].wide;
	return -1;
}

long pg_narrow_socketcall(unsigned which)
{
	return which < PG_NARROW_SOCKETCALLS && sockets[which].words ? sockets[which].number : -1;
}

long pg_narrow_unpack(int tid, long arg[6])
{
	uint32_t words[6] = {0};
	unsigned which = (unsigned)arg[0];

	if (pg_narrow_socketcall(which) < 0 ||
	    !pg_bytes_read(tid, (uint32_t)arg[1], words, sockets[which].words * sizeof *words))
		return -1;
	for (unsigned i = 0; i < 6; i++)
		arg[i] = (long)words[i];
	return sockets[which].number;
}

/* An offset that takes two words of ARG is one here. */
static void settle_offset(long number, long arg[6])
{
	if (number != SYS_pwritev2)
		return;
	arg[3] = (long)((uint64_t)arg[4] << 32 | (uint64_t)arg[3]);
	arg[4] = 0;
}

void pg_narrow_call(struct pg_ruled *c)
{
	c->narrow = true;
	c->short_offset = c->number == PG_NARROW_SENDFILE;
	for (int i = 0; i < 6; i++) /* of a program of 64 bits there may be more */
		c->op.arg[i] = (long)(uint32_t)c->op.arg[i];
	if (c->number == PG_NARROW_SOCKETCALL) {
		c->number = pg_narrow_unpack(c->tid, c->op.arg);
		return;
	}
	c->number = pg_narrow_number((uint32_t)c->number);
	settle_offset(c->number, c->op.arg);
}

bool pg_narrow_message(int pid, uintptr_t at, struct msghdr *m)
{
	enum { NAME, NAMELEN, IOV, IOVLEN, CONTROL, CONTROLLEN, FLAGS, WORDS };
	uint32_t w[WORDS];

	if (!pg_bytes_read(pid, at, w, sizeof w))
		return false;
	memset(m, 0, sizeof *m);
	m->msg_name = (void *)(uintptr_t)w[NAME];
	m->msg_namelen = w[NAMELEN];
	m->msg_iov = (struct iovec *)(uintptr_t)w[IOV];
	m->msg_iovlen = (__typeof__(m->msg_iovlen))w[IOVLEN];
	m->msg_control = (void *)(uintptr_t)w[CONTROL];
	m->msg_controllen = (__typeof__(m->msg_controllen))w[CONTROLLEN];
	m->msg_flags = (int)w[FLAGS];
	return true;
}

/* The last entry first: each lies behind where it is read. */
bool pg_narrow_vector(int pid, uintptr_t at, struct iovec *v, uint64_t count)
{
	uint32_t w[2];

	if (!pg_bytes_read(pid, at, v, count * sizeof w))
		return false;
	for (uint64_t i = count; i-- > 0;) {
		memcpy(w, (const char *)v + i * sizeof w, sizeof w);
		v[i] = (struct iovec){(void *)(uintptr_t)w[0], w[1]};
	}
	return true;
}
