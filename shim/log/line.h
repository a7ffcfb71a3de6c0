/* SPDX-License-Identifier: MIT */
/* An event becomes a line, as text or JSON. */
#ifndef PG_LINE_H
#define PG_LINE_H

#include "log/room.h"

/* Formats and logs the event in S as the configuration asks; false: it is not in the log.
 * Async-signal-safe. */
bool pg_event_write(struct pg_room *s);

/* Start-up, and before the program confines itself: what can be logged afterwards without asking.
 */
void pg_event_note_process(void);

/* After the program confined itself: what can be said with write(2) alone. */
void pg_event_write_confined(struct pg_room *s);

#endif
