/* SPDX-License-Identifier: MIT */
/* The environment, read once at start into one immutable struct. Nobody else reads it. */
#ifndef PG_CONFIG_H
#define PG_CONFIG_H

#include "rules/rule_known.h"

enum pg_log_kind { PG_LOG_FD, PG_LOG_FILE, PG_LOG_UNIX, PG_LOG_OFF };

/* PIPEGUARD_SIGPIPE: where a SIGPIPE that would kill is taken away. */
enum pg_suppress { PG_KEEP, PG_SUPPRESS, PG_SUPPRESS_SOCKETS };

enum { PG_LIMIT_MOST = 1000000000 };

struct pg_config {
	bool active; /* false: secure execution, or PIPEGUARD_ONLY/SKIP leave this program out */
	bool json;
	bool rules; /* PIPEGUARD_RULES has some; without, nothing of them is touched at start */
	bool time;  /* of day, in text */
	bool plain; /* no colour: NO_COLOR, or TERM is dumb */
	int verbose;
	unsigned stack; /* frames */
	enum pg_suppress suppress;
	unsigned limit; /* suppressed signals on one descriptor before the next one kills after all
			 */
	uint64_t seed;
	uint64_t start; /* CLOCK_MONOTONIC, ns */
	enum pg_log_kind log_kind;
	bool log_journal; /* PG_LOG_UNIX: what receives is journald, in its own protocol */
	int log_fd;	  /* PG_LOG_FD */
	unsigned passed; /* descriptors from 3 on that a service manager passed: sd_listen_fds(3) */
	const char *control; /* path of the page, at start only; or a null pointer */
	const char *preload; /* LD_PRELOAD, at start only; or a null pointer */
	const char *endings; /* the same of the file that endings alone are in */
	char log_path[512];  /* PG_LOG_FILE, PG_LOG_UNIX: absolute; %p still in it */
};

extern struct pg_config pg_config;

/*
 * Reads ENVP. Wrong input ends the process: one line on stderr, exit status 125.
 * Start-up only.
 */
void pg_config_read(char **envp);

/* The program's environment as it is now, which exec hands on where none is given. */
char **pg_config_environment(void);

/* True if PIPEGUARD_ONLY and PIPEGUARD_SKIP, as they were at start, leave PROGRAM out. */
bool pg_config_leaves_out(const char *program);

/* Fills PATH (of SIZE bytes) from the log's pattern: %p the process id, %n the program, %% itself.
 * True if %p was in it. */
bool pg_config_log_path(char *path, unsigned size, int pid);

#endif
