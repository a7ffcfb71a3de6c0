/* SPDX-License-Identifier: MIT */
#include "command/words.h"

#include "base/names.h"
#include "rules/rule.h"

#include <stddef.h>
#include <string.h>

/* ---- calls and groups ---- */

static enum pg_call call_of(unsigned n)
{
	for (int call = 1; call < PG_CALL_COUNT; call++)
		if (pg_call_has_rules((enum pg_call)call) && !n--)
			return (enum pg_call)call;
	return PG_NO_CALL;
}

static const char *call_word(unsigned n)
{
	enum pg_call call = call_of(n);

	return call ? pg_call_name(call) : NULL;
}

static const char *call_meaning(unsigned n)
{
	static const char *const meanings[PG_CALL_COUNT] = {
		[PG_CALL_write] = "writes bytes to any descriptor",
		[PG_CALL_writev] = "writes several buffers",
		[PG_CALL_pwritev2] = "writes several buffers at an offset, with flags",
		[PG_CALL_pwritev64v2] = "the same, with an offset of 64 bits",
		[PG_CALL_send] = "sends bytes on a socket, with flags",
		[PG_CALL_sendto] = "sends bytes on a socket, to an address",
		[PG_CALL_sendmsg] = "sends buffers and descriptors on a socket",
		[PG_CALL_sendmmsg] = "sends several messages on a socket",
		[PG_CALL_sendfile] = "copies a file to a descriptor, in the kernel",
		[PG_CALL_sendfile64] = "the same, with an offset of 64 bits",
		[PG_CALL_splice] = "moves bytes between a pipe and a descriptor, in the kernel",
		[PG_CALL_tee] = "copies bytes from pipe to pipe, in the kernel",
		[PG_CALL_vmsplice] = "puts memory into a pipe",
		[PG_CALL_copy_file_range] = "copies from file to file, in the kernel",
		[PG_CALL_dprintf] = "prints to a descriptor",
		[PG_CALL_vdprintf] = "prints to a descriptor, with a list of arguments",
		[PG_CALL_read] = "reads bytes from any descriptor",
		[PG_CALL_readv] = "reads into several buffers",
		[PG_CALL_recv] = "receives bytes on a socket, with flags",
		[PG_CALL_recvfrom] = "receives bytes on a socket, and from whom",
		[PG_CALL_recvmsg] = "receives buffers and descriptors on a socket",
		[PG_CALL_recvmmsg] = "receives several messages on a socket",
		[PG_CALL_connect] = "connects a socket",
		[PG_CALL_accept] = "takes a connection from one who listens",
		[PG_CALL_accept4] = "the same, with flags",
	};

	return meanings[call_of(n)];
}

static const char *group_meaning(unsigned n)
{
	static const struct {
		const char *group, *meaning;
	} meanings[] = {
		{"%out", "all that can raise SIGPIPE: what writes and sends, stdio too"},
		{"%in", "what reads and receives"},
		{"%stdio", "writes of FILEs (printf, fputs, the flush at exit), and dprintf"},
		{"%sock", "calls that only sockets have"},
		{"%conn", "connect"},
		{"%accept", "accept and accept4"},
	};

	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (!strcmp(meanings[i].group, pg_group_name(n)))
			return meanings[i].meaning;
	return NULL;
}

/* ---- fields ---- */

static const char *const field_meanings[PG_F_COUNT] = {
	[PG_F_FD] = "where: descriptors (1, 3-7, 10-)",
	[PG_F_KIND] = "where: pipe, tcp, tcp4, tcp6, unix, udp, tty, file, socket",
	[PG_F_SIDE] = "where: client or server, by who connected",
	[PG_F_PEER] = "where: the other end (10.0.0.0/8, [::1], /run/*)",
	[PG_F_PORT] = "where: the remote port if we connected, the one listened on if we accepted",
	[PG_F_LPORT] = "where: the local port",
	[PG_F_PATH] = "where: a glob of what /proc/self/fd shows",
	[PG_F_CONN] = "where: the n-th connection, from 1, of those that match the rest",
	[PG_F_COMM] = "where: a glob of the program's name",
	[PG_F_THREAD] = "where: a glob of the thread's name",
	[PG_F_LEN] = "where: bytes asked for (512, 4k-)",
	[PG_F_CALLER] = "where: who called, outside libc (SYMBOL, MODULE, MODULE+0xOFFSET)",
	[PG_F_STACK] = "where: the same, for any caller above",
	[PG_F_SITE] = "where: the hash of the stack that the log names",
	[PG_F_SEEN] = "where: what the program was told on it: eof, reset, refused, hup",
	[PG_F_WHEN] = "when: calls by number (3, 2..5, 2+, 1..9+2)",
	[PG_F_SCOPE] = "when: when= and limit= count for each fd or thread",
	[PG_F_AT] = "when: from that byte of the stream on, exactly",
	[PG_F_AFTER] = "when: from that time after the start on (250us, 1.5ms, 2s)",
	[PG_F_FOR] = "when: for how long from then",
	[PG_F_PROB] = "when: by chance (1%, 0.5%), the same in every run with the same seed",
	[PG_F_LIMIT] = "when: at most so many times in a process",
	[PG_F_HOLD] = "before: waits until the peer has really gone (5s unless said)",
	[PG_F_DELAY] = "before: waits (250us, 1.5ms, 2s)",
	[PG_F_SHORT] = "instead: moves no more than so many bytes",
	[PG_F_TRICKLE] = "instead: moves no more than BYTES, after TIME (1/20ms)",
	[PG_F_GARBAGE] = "instead: replaces (the first bytes of) what is read",
	[PG_F_NOSIGNAL] = "instead: takes away the SIGPIPE that would kill",
	[PG_F_LOG] = "only tells of the call",
	[PG_F_STOP] = "before: stops the process (SIGSTOP)",
	[PG_F_ABORT] = "before: ends the process with a core (SIGABRT)",
	[PG_F_RESET] = "final: the connection is reset; the peer gets a RST",
	[PG_F_REFUSE] = "final: connect is refused",
	[PG_F_BREAK] = "final: no reader is left; EPIPE and SIGPIPE",
	[PG_F_FIN] = "final: this side is closed for writing; the peer reads the end",
	[PG_F_EOF] = "final: reads return the end from now on",
	[PG_F_ERROR] = "final: the call fails with that errno (list errnos), and is not made",
	[PG_F_DROP] = "final: the call succeeds, and the bytes go nowhere",
	[PG_F_STALL] = "final: nothing comes and nothing goes",
	[PG_F_PASS] = "final: nothing is done; rules that follow count the call, and do nothing",
};

static const char *field_word(unsigned n)
{
	return pg_field_name((enum pg_field)n);
}

static const char *field_meaning(unsigned n)
{
	return field_meanings[n];
}

static const char *action_word(unsigned n)
{
	return field_word(PG_F_HOLD + n);
}

static const char *action_meaning(unsigned n)
{
	return field_meaning(PG_F_HOLD + n);
}

/* ---- errnos ---- */

static const char *errno_word(unsigned n)
{
	int err = pg_errno_listed(n);

	return err ? pg_errno_name(err) : NULL;
}

/* In libc's words; the locale is "C". */
static const char *errno_meaning(unsigned n)
{
	return strerror(pg_errno_listed(n));
}

const struct pg_word_list pg_word_lists[] = {
	{"calls", call_word, call_meaning},    {"groups", pg_group_name, group_meaning},
	{"fields", field_word, field_meaning}, {"actions", action_word, action_meaning},
	{"errnos", errno_word, errno_meaning}, {NULL, NULL, NULL},
};

const struct pg_word_list *pg_word_list_of(const char *name)
{
	const struct pg_word_list *l = pg_word_lists;

	while (l->name && strcmp(name, l->name) != 0)
		l++;
	return l->name ? l : NULL;
}
