/* SPDX-License-Identifier: MIT */
#ifndef PG_EVENT_JSON_H
#define PG_EVENT_JSON_H

#include "log/event.h"

/* E as one object: the keys of keys.def that its event has, in that order. */
void pg_event_json(struct pg_text *t, const struct pg_event *e);

/* The words for them. */
const char *pg_event_word(const struct pg_event *e);
const char *pg_event_signal(const struct pg_event *e); /* a null pointer: it is unknown */

#endif
