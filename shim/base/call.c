/* SPDX-License-Identifier: MIT */
#include "base/call.h"

#include "base/text.h"

#include <sys/socket.h>

/* No pointers: what the loader need not relocate costs a start nothing. */
static const char names[PG_CALL_COUNT][24] = {
	[PG_NO_CALL] = "?",
#define CALL(name, ...) [PG_CALL_##name] = #name,
#include "calls.def"
#undef CALL
};

static const short numbers[PG_CALL_COUNT] = {
	[PG_NO_CALL] = -1,
#define CALL(name, twin, kernel, role, args, flags, help) [PG_CALL_##name] = SYS_##kernel,
#include "calls.def"
#undef CALL
};

#define SOCKET PG_CALL_IS_SOCKET
#define PIPES PG_CALL_IS_PIPES
#define FILES PG_CALL_IS_FILES
#define RAW PG_CALL_IS_RAW
#define ALIAS PG_CALL_IS_ALIAS
#define UNSAID PG_CALL_IS_UNSAID
const struct pg_call_row pg_calls[PG_CALL_COUNT] = {
#define CALL(name, twin, kernel, role, args, flags, help)                                          \
	[PG_CALL_##name] = {PG_ROLE_##role, PG_ARGS_##args, PG_CALL_##twin, flags},
#include "calls.def"
#undef CALL
};

/* A SET of a rule is a word of bits, the last one stdio's. */
#define CALL(name, twin, kernel, role, args, flags, help)                                          \
	_Static_assert(PG_ROLE_##role == PG_ROLE_NONE || PG_CALL_##name < 63, #name);              \
	_Static_assert(sizeof #name <= sizeof *names, #name);
#include "calls.def"
#undef CALL

/* On 32 bit an offset of 64 bits takes two words. */
enum { BEHIND_OFFSET = sizeof(long) == 8 ? 4 : 5 };

static const struct pg_layout layouts[PG_ARGS_COUNT] = {
	[PG_ARGS_PLAIN] = {0, -1, -1, -1, -1, -1, PG_NOTHING},
	[PG_ARGS_BUFFER] = {0, 1, 2, -1, -1, -1, PG_BUF},
	[PG_ARGS_SEND] = {0, 1, 2, 3, -1, -1, PG_BUF},
	[PG_ARGS_SENDTO] = {0, 1, 2, 3, -1, 4, PG_BUF},
	[PG_ARGS_SEND_CHK] = {0, 1, 2, 4, -1, -1, PG_BUF},
	[PG_ARGS_VECTOR] = {0, 1, 2, -1, -1, -1, PG_IOV},
	[PG_ARGS_VECTORF] = {0, 1, 2, 3, -1, -1, PG_IOV},
	[PG_ARGS_VECTOR2] = {0, 1, 2, 4, -1, -1, PG_IOV},
	[PG_ARGS_VECTOR64] = {0, 1, 2, BEHIND_OFFSET, -1, -1, PG_IOV},
	[PG_ARGS_MESSAGE] = {0, 1, -1, 2, -1, -1, PG_MSG},
	[PG_ARGS_MESSAGES] = {0, 1, 2, 3, -1, -1, PG_MSG},
	[PG_ARGS_FILE] = {0, -1, 3, -1, 1, -1, PG_NOTHING},
	[PG_ARGS_SPLICE] = {2, -1, 4, -1, 0, -1, PG_NOTHING},
	[PG_ARGS_TEE] = {1, -1, 2, -1, 0, -1, PG_NOTHING},
	[PG_ARGS_FORMAT] = {0, -1, -1, -1, -1, -1, PG_NOTHING},
	[PG_ARGS_KERNEL2] = {0, 1, 2, 5, -1, -1, PG_IOV},
};

const struct pg_layout *pg_call_layout(enum pg_call call)
{
	return &layouts[(unsigned)call < PG_CALL_COUNT ? pg_calls[call].args : PG_ARGS_PLAIN];
}

const struct pg_layout *pg_call_raw_layout(enum pg_call call)
{
	if (pg_calls[call].args == PG_ARGS_VECTOR2 || pg_calls[call].args == PG_ARGS_VECTOR64)
		return &layouts[PG_ARGS_KERNEL2];
	return pg_call_layout(call);
}

bool pg_call_formats(enum pg_call call)
{
	return (unsigned)call < PG_CALL_COUNT && pg_calls[call].args == PG_ARGS_FORMAT;
}

const char *pg_call_name(enum pg_call call)
{
	return (unsigned)call < PG_CALL_COUNT ? names[call] : "?";
}

enum pg_call pg_call_named(const char *s, size_t n)
{
	for (int call = PG_NO_CALL + 1; call < PG_CALL_COUNT; call++)
		if (pg_is(s, n, names[call]))
			return (enum pg_call)call;
	return PG_NO_CALL;
}

enum pg_call pg_call_plain(enum pg_call call)
{
	return pg_call_is(call, PG_CALL_IS_UNSAID) ? pg_call_twin(call) : call;
}

long pg_call_number(enum pg_call call)
{
	return (unsigned)call < PG_CALL_COUNT ? numbers[call] : -1;
}

uint64_t pg_calls_alike(enum pg_call call)
{
	uint64_t bits = 0;

	for (int other = PG_NO_CALL + 1; other < PG_CALL_COUNT; other++)
		if (numbers[other] == numbers[call] && pg_calls[other].role != PG_ROLE_NONE &&
		    !pg_call_formats((enum pg_call)other))
			bits |= (uint64_t)1 << other;
	return bits;
}

enum pg_call pg_call_of_number(long nr)
{
#ifdef SYS_accept
	if (nr == SYS_accept)
		return PG_CALL_accept;
#endif
	for (int call = PG_NO_CALL + 1; call < PG_CALL_COUNT; call++)
		if (numbers[call] == nr && pg_calls[call].flags & PG_CALL_IS_RAW)
			return (enum pg_call)call;
	return PG_NO_CALL;
}

enum pg_call pg_call_made_raw(long nr, const long arg[6])
{
	enum pg_call call = pg_call_of_number(nr);

	if (call == PG_CALL_send && arg[4])
		return PG_CALL_sendto;
	return call == PG_CALL_recv && arg[4] ? PG_CALL_recvfrom : call;
}

bool pg_call_spares(enum pg_call call, int said)
{
	if (pg_calls[call].args == PG_ARGS_VECTOR2 || pg_calls[call].args == PG_ARGS_VECTOR64)
		return said & PG_RWF_NOSIGNAL;
	return pg_is_out(call) && pg_call_is(call, PG_CALL_IS_SOCKET) && said & MSG_NOSIGNAL;
}
