/* SPDX-License-Identifier: MIT */
/* Options that are one variable, or one word of the request. */
#include "command/control.h"
#include "command/options.h"
#include "command/places.h"
#include "command/say.h"
#include "command/takes.h"
#include "command/variables.h"

#include "base/text.h"
#include "rules/config.h"
#include "rules/rule_read.h"

#include <stddef.h>
#include <string.h>

void pg_take_json(struct pg_request *r, const char *value)
{
	(void)r, (void)value;
	pg_variable_set("PIPEGUARD_FORMAT", "json");
}

void pg_take_seed(struct pg_request *r, const char *value)
{
	uint64_t seed;

	(void)r;
	if (!pg_number(value, UINT64_MAX, &seed))
		pg_fail(PG_FAILED, "-s: not a number of 64 bits: '%s'", value);
	pg_variable_set("PIPEGUARD_SEED", value);
}

void pg_take_sigpipe(struct pg_request *r, const char *value)
{
	static const char *const words[] = {"keep", "suppress", "sockets", NULL};
	const char *const *w = words;

	(void)r;
	while (*w && strcmp(*w, value) != 0)
		w++;
	if (!*w)
		pg_fail(PG_FAILED, "-S: unknown word '%s'%s", value,
			pg_near(value, words, " (keep, suppress or sockets)"));
	pg_variable_set("PIPEGUARD_SIGPIPE", value);
}

static void take_number(const char *option, const char *name, const char *value, unsigned max)
{
	uint64_t number;

	if (!pg_number(value, max, &number))
		pg_fail(PG_FAILED, "%s: not a number from 0 to %u: '%s'", option, max, value);
	pg_variable_set(name, value);
}

void pg_take_limit(struct pg_request *r, const char *value)
{
	uint64_t n;

	(void)r;
	if (!pg_read_count(value, &n) || n > PG_LIMIT_MOST)
		pg_fail(PG_FAILED, "--limit: not a number from 0 to %u: '%s'", PG_LIMIT_MOST,
			value);
	pg_variable_set("PIPEGUARD_LIMIT", value);
}

void pg_take_stack(struct pg_request *r, const char *value)
{
	(void)r;
	take_number("--stack", "PIPEGUARD_STACK", value, 32);
}

/* An empty name between two commas is wrong to the library, too. */
static void take_globs(const char *option, const char *name, const char *value)
{
	const char *comma = strstr(value, ",,");
	size_t n = strlen(value);

	if (comma || *value == ',' || value[n - 1] == ',')
		pg_fail(PG_FAILED, "%s: an empty name in '%s'", option, value);
	pg_variable_set(name, value);
}

void pg_take_only(struct pg_request *r, const char *value)
{
	(void)r;
	take_globs("--only", "PIPEGUARD_ONLY", value);
}

void pg_take_skip(struct pg_request *r, const char *value)
{
	(void)r;
	take_globs("--skip", "PIPEGUARD_SKIP", value);
}

void pg_take_verbose(struct pg_request *r, const char *value)
{
	(void)value;
	r->verbose++;
	pg_variable_set("PIPEGUARD_VERBOSE", r->verbose > 1 ? "2" : "1");
}

void pg_take_time(struct pg_request *r, const char *value)
{
	(void)r, (void)value;
	pg_variable_set("PIPEGUARD_TIME", "1");
}

void pg_take_object(struct pg_request *r, const char *value)
{
	(void)value;
	r->json = true;
}

void pg_take_print(struct pg_request *r, const char *value)
{
	(void)value;
	r->print = true;
}

void pg_take_engine(struct pg_request *r, const char *value)
{
	r->engine = value;
}

void pg_take_once(struct pg_request *r, const char *value)
{
	(void)value;
	r->first_only = true;
}

void pg_take_all(struct pg_request *r, const char *value)
{
	(void)value;
	if (sizeof(long) < sizeof(uint64_t)) /* as rules from outside */
		pg_fail(PG_FAILED, "--all is not for a pipeguard for 32 bits");
	r->all = true;
}

void pg_take_listing(struct pg_request *r, const char *value)
{
	(void)value;
	r->list = true;
}

void pg_take_control(struct pg_request *r, const char *value)
{
	r->control = pg_place_shared(value);
	pg_variable_set("PIPEGUARD_CONTROL", r->control);
}

void pg_take_require_fired(struct pg_request *r, const char *value)
{
	(void)value;
	r->require_fired = true;
}

/* A duration as in rules. */
void pg_take_for(struct pg_request *r, const char *value)
{
	struct pg_rest rest = {value, value + strlen(value)};

	if (pg_take_duration(&rest, &r->for_ns) || !r->for_ns)
		pg_fail(PG_FAILED, "--%s: not a time like 500ms, 10s or 5m: '%s'",
			r->verb == PG_V_CTL ? "wait" : "for", value);
}

void pg_take_form(struct pg_request *r, const char *value)
{
	r->form = value;
}

void pg_take_library(struct pg_request *r, const char *value)
{
	if (*value != '/' || value[strcspn(value, " \t\n\v\f\r:")])
		pg_fail(PG_FAILED,
			"--library: not an absolute path without blanks and colons: '%s'", value);
	r->library = value;
}

void pg_settings_check(void)
{
	if (pg_variable("PIPEGUARD_ONLY") && pg_variable("PIPEGUARD_SKIP"))
		pg_fail(PG_FAILED, "--only and --skip: choose one");
}
