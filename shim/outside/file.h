/* SPDX-License-Identifier: MIT */
/* ELF files that are behind the memory of others: where their code is loaded, and its functions.
 * Each is read once, however many processes run it. */
#ifndef PG_FILE_H
#define PG_FILE_H

#include <stdbool.h>
#include <stdint.h>

struct pg_file {
	struct pg_file *next;
	uint64_t dev, ino; /* as the kernel lists them */
	char *name;	   /* without its folder */
	uint64_t stamp;
	bool go, known; /* KNOWN: it could be read as an ELF file */
	bool narrow;	/* of 32 bits, where this process is of 64 */
	unsigned segments;
	struct pg_file_segment *segment;
	bool listed; /* its functions were looked for */
	unsigned functions;
	struct pg_file_function *function; /* sorted */
	char *names;
	char *path;		/* by which those who run it can open it */
	uint64_t size;		/* that it takes on its disk */
	uint64_t debug;		/* bytes of debugging information, unpacked */
	struct pg_units *units; /* units.c's */
};

/* The file that process PID has mapped from PATH. Never a null pointer. */
struct pg_file *pg_file(int pid, const char *path, uint64_t dev, uint64_t ino);

/* The address in the file's own words of what lies at OFFSET, where it is mapped as code, or not;
 * false: it is not loaded from there. */
bool pg_file_address(const struct pg_file *f, uint64_t offset, bool code, uint64_t *address);

/* The function that holds ADDRESS, and where it begins; a null pointer: none is known. Process PID
 * runs it. */
const char *pg_file_function(struct pg_file *f, int pid, uint64_t address, uint64_t *start);

#endif
