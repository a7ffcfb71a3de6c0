/* SPDX-License-Identifier: MIT */
#ifndef PG_EVENT_TEXT_H
#define PG_EVENT_TEXT_H

#include "log/event.h"

/* E for people. The last PG_TEXT_TAIL - 1 bytes of T are kept for what was lost before it. */
enum { PG_TEXT_TAIL = 160 };
void pg_event_text(struct pg_text *t, const struct pg_event *e);

#endif
