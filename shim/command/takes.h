/* SPDX-License-Identifier: MIT */
/* What the options do with their values: each keeps what it says, or ends the program with a line.
 */
#ifndef PG_TAKES_H
#define PG_TAKES_H

struct pg_request;
typedef void pg_take_fn(struct pg_request *r, const char *value);

pg_take_fn pg_take_rule, pg_take_file;
pg_take_fn pg_take_log;
pg_take_fn pg_take_json, pg_take_seed, pg_take_sigpipe, pg_take_limit, pg_take_stack;
pg_take_fn pg_take_only, pg_take_skip, pg_take_verbose;
pg_take_fn pg_take_object, pg_take_print, pg_take_form, pg_take_library;
pg_take_fn pg_take_engine, pg_take_for, pg_take_once, pg_take_all, pg_take_listing, pg_take_control;
pg_take_fn pg_take_time, pg_take_require_fired, pg_take_again;
pg_take_fn __attribute__((noreturn)) pg_take_help, pg_take_version;

/* Ends the program if the options do not go together with the variables that were there. */
void pg_settings_check(void);

#endif
