/* SPDX-License-Identifier: MIT */
/*
 * ELF files as they lie on the disk, of either class and byte order. Nothing
 * in a file is believed: every offset is checked against the file's size, every
 * loop ends after a number of steps that the file cannot choose, and a file
 * that shrinks meanwhile reads as a short one (pread(2), no mapping).
 *
 * For ordinary programs: it allocates. It knows nothing of the file's name.
 */
#ifndef PG_ELF_FILE_H
#define PG_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_elf_segment {
	uint32_t type, flags;
	uint64_t offset, address, size; /* SIZE: in the file */
};

struct pg_elf_section {
	uint32_t name, type, link; /* NAME: an offset into the section names */
	uint64_t offset, address, size;
	bool packed; /* compressed, with a header that says so */
};

/* A part of the file. */
struct pg_elf_piece {
	uint64_t offset, size;
};

struct pg_elf_file {
	int fd; /* the caller's; its position is neither used nor moved */
	uint64_t size;
	bool wide, big;		/* of 64 bits; big-endian */
	uint16_t type, machine; /* ET_DYN and the like, EM_X86_64 and the like */
	struct pg_elf_segment *segments;
	struct pg_elf_section *sections;
	unsigned segment_count, section_count, names; /* NAMES: the section with the names */
};

/* False: FD is no ELF file, or too short for one; nothing is to be closed. A table of segments or
 * sections that is not wholly there counts as empty. */
bool pg_elf_file_open(struct pg_elf_file *e, int fd);
void pg_elf_file_close(struct pg_elf_file *e);

/* A copy of SIZE bytes at OFFSET with a NUL behind, for free(3); a null pointer if they are not all
 * there, or more than 64 MiB. */
unsigned char *pg_elf_file_copy(const struct pg_elf_file *e, uint64_t offset, uint64_t size);

/* The first segment of TYPE, the first section of TYPE, the section called NAME; or a null pointer.
 */
const struct pg_elf_segment *pg_elf_file_segment(const struct pg_elf_file *e, uint32_t type);
const struct pg_elf_section *pg_elf_file_section(const struct pg_elf_file *e, uint32_t type);
const struct pg_elf_section *pg_elf_file_named(const struct pg_elf_file *e, const char *name);

/* How many bytes the sections of debugging information are, unpacked, as the file says; 0: there
 * are none. */
uint64_t pg_elf_file_debug(const struct pg_elf_file *e);

/* Where the byte that is loaded at ADDRESS lies: from there to the end of its segment. */
bool pg_elf_file_at(const struct pg_elf_file *e, uint64_t address, struct pg_elf_piece *out);

/* The loader that the program names, for free(3); a null pointer: none. */
char *pg_elf_file_interpreter(const struct pg_elf_file *e);

/* The description of the first note of TYPE whose owner is OWNER ("GNU", "Go"). */
bool pg_elf_file_note(const struct pg_elf_file *e, const char *owner, uint32_t type,
		      struct pg_elf_piece *out);

enum { PG_ELF_NEEDED_MAX = 256 };

/* What the dynamic section says; addresses are where things lie in the file, 0: not said. */
struct pg_elf_dynamic {
	struct pg_elf_piece strings;
	uint64_t symbols, hash, gnu_hash;
	uint64_t needed[PG_ELF_NEEDED_MAX]; /* offsets into STRINGS */
	unsigned needed_count;
};
bool pg_elf_file_dynamic(const struct pg_elf_file *e, struct pg_elf_dynamic *d);

/* The string at OFFSET of the dynamic strings, cut at SIZE - 1 bytes. False: there is none. */
bool pg_elf_file_string(const struct pg_elf_file *e, const struct pg_elf_dynamic *d,
			uint64_t offset, char *buf, size_t size);

struct pg_elf_symbol {
	const char *name; /* valid during the call */
	uint64_t value;
	uint16_t section; /* 0: from elsewhere */
	uint8_t info;
};
typedef void pg_elf_symbol_fn(void *arg, const struct pg_elf_symbol *symbol);

/* Calls FN for each dynamic symbol, a million of them at most. False: how many there are cannot be
 * known. */
bool pg_elf_file_symbols(const struct pg_elf_file *e, pg_elf_symbol_fn *fn, void *arg);

#endif
