/* SPDX-License-Identifier: MIT */
/* An event becomes a line, as text or JSON. */
#ifndef PG_LINE_H
#define PG_LINE_H

#include "log/event.h"

/* Formats and logs E as the configuration asks. Async-signal-safe; needs LINE, a buffer of
 * PG_LINE_MAX bytes. MASK: as pg_log_write wants it. */
void pg_event_write(struct pg_event *e, char *line, uint64_t mask);

/* Start-up, and before the program confines itself: what can be told afterwards without asking. */
void pg_event_note_process(void);

/* After the program confined itself: what can be said with write(2) alone. */
void pg_event_write_confined(struct pg_event *e, char *line);

#endif
