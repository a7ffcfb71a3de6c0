/* SPDX-License-Identifier: MIT */
/* What the verbs do: each returns the status, or becomes another program. */
#ifndef PG_ACTS_H
#define PG_ACTS_H

#include <stdint.h>

struct pg_request;

int pg_run(struct pg_request *r);
int pg_check(struct pg_request *r);
int pg_list(struct pg_request *r);
int pg_doctor(struct pg_request *r);
int pg_env(struct pg_request *r);
int pg_attach(struct pg_request *r);
int pg_cut(struct pg_request *r);
int pg_ctl(struct pg_request *r);
int pg_hand_over(struct pg_request *r); /* report, sweep, bundle, replay */
int pg_completion(struct pg_request *r);
int pg_help(struct pg_request *r);
int pg_version(struct pg_request *r);

/* What ctl does, up to a null pointer; the fields of rules that cut takes, as bits. */
extern const char *const pg_ctl_actions[];
extern const uint64_t pg_cut_fields;

#endif
