/* SPDX-License-Identifier: MIT */
#include "inside/passed.h"

#include "base/text.h"
#include "log/log.h"
#include "object/look.h"
#include "rules/match.h"
#include "rules/rule_parse.h"
#include "rules/turn.h"

#include <errno.h>
#include <fcntl.h>

static PG_START_DATA uint64_t say_write, passed; /* rules, as bits */
static uint64_t looked_at;			 /* descriptors, as bits */

/* What excludes something means what it says. */
static bool says_write(const struct pg_rule *r)
{
	size_t end = r->set.at + (size_t)r->set.len;

	return r->calls & PG_BIT(PG_CALL_write) && !(r->calls & PG_STDIO_BIT) &&
	       pg_find(pg_rules.text, r->set.at, end, '!') == end;
}

void pg_passed_start(void)
{
	for (unsigned n = 0; n < pg_rules.n; n++)
		if (says_write(&pg_rules.rule[n]))
			say_write |= (uint64_t)1 << n;
	if (say_write)
		pg_front.ruled |= PG_STDIO_BIT;
}

bool pg_passed_any(void)
{
	return say_write;
}

void pg_passed_stdio(int fd)
{
	struct pg_object o;
	const struct pg_op op = {.fd = fd, .object = &o};
	uint64_t rules, calls;
	int saved = errno;

	if (!say_write || pg_confined || fd < 0 || fd > 63 || looked_at >> fd & 1)
		return;
	looked_at |= (uint64_t)1 << fd;
	pg_look_for(fd, &o, pg_rules.wants, false);
	pg_match_possible(&op, &rules, &calls);
	if (!pg_log_is(o.dev, o.ino))
		passed |= rules & say_write;
	errno = saved;
}

/* Was the parent started with rules, too? Then it speaks for its children. */
static bool has_guarded_parent(void)
{
	static const char name[] = "PIPEGUARD_RULES=";
	char path[40], buf[512];
	struct pg_text t = {path, 0, sizeof path - 1};
	size_t met = 0;
	long n;
	int fd;

	pg_put(&t, "/proc/");
	pg_put_i64(&t, pg_sys0(SYS_getppid));
	pg_put(&t, "/environ");
	path[t.len] = 0;
	fd = pg_open(path, O_RDONLY);
	while (fd >= 0 && name[met] && (n = pg_sys3(SYS_read, fd, buf, sizeof buf)) > 0)
		for (long i = 0; i < n && name[met]; i++)
			met = buf[i] == name[met] ? met + 1 : buf[i] == name[0];
	if (fd >= 0)
		pg_sys1(SYS_close, fd);
	return !name[met];
}

uint64_t pg_passed_rules(void)
{
	uint64_t rules = 0;

	for (uint64_t left = passed; left; left &= left - 1)
		if (!pg_turn_fired((unsigned)__builtin_ctzll(left)))
			rules |= left & -left;
	if (!rules || !has_guarded_parent())
		return rules;
	for (unsigned n = 0; n < pg_rules.n; n++)
		if (!pg_has(&pg_rules.rule[n], PG_F_COMM))
			rules &= ~((uint64_t)1 << n);
	return rules;
}
