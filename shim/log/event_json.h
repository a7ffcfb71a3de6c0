/* SPDX-License-Identifier: MIT */
#ifndef PG_EVENT_JSON_H
#define PG_EVENT_JSON_H

#include "log/event.h"

/* E as one object: the keys of keys.def that its event has, in that order. */
void pg_event_json(struct pg_text *t, const struct pg_event *e);

#endif
