/* SPDX-License-Identifier: MIT */
/* What happened becomes an event, with all that is known of it, and is logged. errno is kept. */
#ifndef PG_REPORT_H
#define PG_REPORT_H

#include "inside/sigpipe.h"
#include "rules/plan.h"

/* Start-up only: SIGPIPE's disposition was STATE. */
void pg_report_start(enum pg_state state);
void pg_report_load(const char *gates, enum pg_state state);

/* OP, as an event EV; SIGNAL: what became of its signal. Fills in what is not known of OP yet. */
void pg_report(enum pg_ev ev, const struct pg_op *op, enum pg_signal signal);

/* PLAN, as far as it has been carried out, is of a rule that fires on OP. */
void pg_report_inject(const struct pg_op *op, const struct pg_plan *plan);

/* What the signal gate logs: sigpipe.h. */
void pg_report_killed(int sender, bool by_itself, uint64_t owed);
void pg_report_change(const struct pg_change *change);

/* True if a SIGPIPE waits for this thread. */
bool pg_waits_pending(void);

#endif
