/* SPDX-License-Identifier: MIT */
/* What happened becomes an event, with all that is known of it, and is logged. errno is kept. */
#ifndef PG_REPORT_H
#define PG_REPORT_H

#include "inside/sigpipe.h"
#include "rules/plan.h"

/* What a rule did, for the log. */
struct pg_inject {
	const struct pg_object *object;
	unsigned rule; /* its serial */
	enum pg_held held;
	bool prob;
	bool lost;    /* drop: the bytes go nowhere */
	bool already; /* what was to be broken was so before */
	int failed;   /* errno: why the fault could not be made; 0: it was, or none was asked for */
};

/* Start-up only: SIGPIPE's disposition was STATE. */
void pg_report_start(enum pg_state state);
void pg_report_load(const char *gates, enum pg_state state);

/* HIT's call, as an event EV; SIGNAL: what became of its signal. Fills in what HIT does not know.
 */
void pg_report(enum pg_ev ev, const struct pg_hit *hit, enum pg_signal signal);

/* A rule fires on HIT's call. */
void pg_report_inject(const struct pg_hit *hit, const struct pg_inject *inject);

/* As the signal gate tells them: sigpipe.h. */
void pg_report_killed(int sender, bool by_itself, uint64_t owed);
void pg_report_change(const struct pg_change *change);

/* True if a SIGPIPE waits for this thread. */
bool pg_waits_pending(void);

#endif
