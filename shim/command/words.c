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
#define FIELD(id, name, class, reader, printer, member, bound, calls, kinds, flags, help) help,
#define ACTION(id, name, class, calls, kinds, flags, help) help,
#include "fields.def"
#undef FIELD
#undef ACTION
};

static const char *field_word(unsigned n)
{
	return pg_field_name((enum pg_field)n);
}

static const char *field_meaning(unsigned n)
{
	return field_meanings[n];
}

static enum pg_field action_of(unsigned n)
{
	uint64_t left = pg_fields_with(PG_IS_ACTION);

	for (; left && n; n--)
		left &= left - 1;
	return left ? (enum pg_field)__builtin_ctzll(left) : PG_F_COUNT;
}

static const char *action_word(unsigned n)
{
	return field_word(action_of(n));
}

static const char *action_meaning(unsigned n)
{
	return field_meaning(action_of(n));
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
