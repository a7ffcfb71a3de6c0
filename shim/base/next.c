/* SPDX-License-Identifier: MIT */
#include "base/next.h"

#include "base/dl.h"

pg_fn *pg_next_table[PG_CALL_COUNT];
_Alignas(PG_PAGE_MOST) struct pg_front pg_front = {.aside = ~(uint64_t)0};

static const char *const names[PG_CALL_COUNT] = {
	[PG_NO_CALL] = "?",
#define CALL(name, kernel, group, args) [PG_CALL_##name] = #name,
#include "calls.def"
#undef CALL
};

static const short numbers[PG_CALL_COUNT] = {
	[PG_NO_CALL] = -1,
#define CALL(name, kernel, group, args) [PG_CALL_##name] = SYS_##kernel,
#include "calls.def"
#undef CALL
};

static const uint8_t args[PG_CALL_COUNT] = {
#define CALL(name, kernel, group, args) [PG_CALL_##name] = PG_ARGS_##args,
#include "calls.def"
#undef CALL
};

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
	return &layouts[(unsigned)call < PG_CALL_COUNT ? args[call] : PG_ARGS_PLAIN];
}

const struct pg_layout *pg_call_raw_layout(enum pg_call call)
{
	if (args[call] == PG_ARGS_VECTOR2 || args[call] == PG_ARGS_VECTOR64)
		return &layouts[PG_ARGS_KERNEL2];
	return pg_call_layout(call);
}

bool pg_call_formats(enum pg_call call)
{
	return (unsigned)call < PG_CALL_COUNT && args[call] == PG_ARGS_FORMAT;
}

/* Not linked against, as all that the library calls on the program's behalf. */
typedef int format_fn(char *, size_t, const char *, va_list);
typedef int checked_fn(char *, size_t, int, size_t, const char *, va_list);
static format_fn *format_unchecked;
static checked_fn *format_checked;

int pg_next_format(char *to, size_t size, int check, const char *format, va_list ap)
{
	if (check >= 0 && format_checked)
		return format_checked(to, size, check, size, format, ap);
	return format_unchecked ? format_unchecked(to, size, format, ap) : -1;
}

/* Points at itself once the loader has relocated this library, and not before. */
static void *volatile relocated = (void *)&relocated;

void pg_next_resolve(void)
{
	for (int call = PG_NO_CALL + 1; call < PG_CALL_COUNT; call++)
		pg_next_table[call] = (pg_fn *)dlsym(RTLD_NEXT, names[call]);
	format_unchecked = (format_fn *)dlsym(RTLD_NEXT, "vsnprintf");
	format_checked = (checked_fn *)dlsym(RTLD_NEXT, "__vsnprintf_chk");
	dlerror(); /* a missing name leaves a message that the program must not find */
}

pg_fn *pg_next_early(enum pg_call call)
{
	pg_fn *next = (pg_fn *)dlsym(RTLD_NEXT, names[call]);

	pg_next_table[call] = next;
	return next;
}

bool pg_next_within(uintptr_t lo, uintptr_t hi)
{
	for (int call = PG_NO_CALL + 1; call < PG_CALL_COUNT; call++)
		if ((uintptr_t)pg_next_table[call] - lo < hi - lo)
			return true;
	return false;
}

const char *pg_call_name(enum pg_call call)
{
	return (unsigned)call < PG_CALL_COUNT ? names[call] : "?";
}

/* How long NAME is, if TEXT begins with it; else 0. */
static size_t begins_with(const char *text, const char *name)
{
	size_t n = 0;

	while (name[n] && name[n] == text[n])
		n++;
	return name[n] ? 0 : n;
}

enum pg_call pg_call_plain(enum pg_call call)
{
	const char *name = pg_call_name(call);
	enum pg_call plain = call;
	size_t most = 0, n;

	if (*name != '_')
		return call;
	while (*name == '_')
		name++;
	for (int i = PG_NO_CALL + 1; i < PG_CALL_COUNT; i++) {
		n = numbers[i] == numbers[call] ? begins_with(name, names[i]) : 0;
		if (n > most) {
			most = n;
			plain = (enum pg_call)i;
		}
	}
	return plain;
}

long pg_call_number(enum pg_call call)
{
	return (unsigned)call < PG_CALL_COUNT ? numbers[call] : -1;
}

enum pg_call pg_call_of_number(long nr)
{
	for (int call = PG_NO_CALL + 1; call < PG_CALL_COUNT; call++)
		if (numbers[call] == nr)
			return (enum pg_call)call;
	return PG_NO_CALL;
}

enum pg_call pg_call_made_raw(long nr, const long arg[6])
{
	enum pg_call call = pg_call_of_number(nr);

	return call == PG_CALL_send && arg[4] ? PG_CALL_sendto : call;
}

PG_COLD long pg_syscall_errno(long nr, long a, long b, long c, long d, long e, long f)
{
	long ret = pg_sys(nr, a, b, c, d, e, f);

	if (ret >= 0 || ret < -4095)
		return ret;
	if (relocated == (void *)&relocated)
		errno = (int)-ret;
	return -1;
}
