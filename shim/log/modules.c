/* SPDX-License-Identifier: MIT */
#include "log/modules.h"

#include "base/peek.h"
#include "base/text.h"
#include "log/line.h"
#include "log/log.h"
#include "rules/config.h"
#include "rules/match.h"
#include "who/module.h"

enum { LOGGED = 128 };
/* By process, and by file: a child that logs elsewhere logs them once more, and so does who goes on
 * in another file, since the one before was renamed. */
static pg_shared64 logged[LOGGED];

/* Is it the first time? Where there is no more room, what was first is forgotten. */
static bool is_new(int pid, const struct pg_module *m)
{
	uint64_t whose = pg_mix(pg_mix(1, (uint64_t)pid), pg_log_file());
	uint64_t key = pg_mix(whose, m->stamp ? m->stamp : m->base) | 1;

	for (unsigned i = 0; i < 8; i++) {
		pg_shared64 *at = &logged[(key + i) % LOGGED];
		uint64_t none = 0;

		if (__atomic_compare_exchange_n(at, &none, key, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return true;
		if (none == key)
			return false;
	}
	PG_PUT(logged[key % LOGGED], key);
	return true;
}

static void log_one(struct pg_room *s, const struct pg_module *m, uintptr_t at)
{
	struct pg_event *e = &s->event;

	e->ev = PG_EV_MODULE;
	pg_copy(e->module.name, sizeof e->module.name, m->name);
	pg_module_path(m, at, e->path, sizeof e->path);
	pg_module_id(m, e->module.build_id, sizeof e->module.build_id);
	pg_event_write(s);
}

void pg_modules_log(struct pg_room *s)
{
	const struct pg_event *e = &s->event;

	if (!pg_config.json || pg_config.verbose < 1 || e->confined)
		return;
	for (unsigned i = 0; i < e->frames; i++) {
		const struct pg_module *m = pg_module_at(e->frame[i], &s->naming.module);

		if (m && is_new(e->pid, m))
			log_one(s, m, e->frame[i]);
	}
}
