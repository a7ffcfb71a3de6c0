/* SPDX-License-Identifier: MIT */
/* libFuzzer's target: what the reader of ELF files promises of any bytes. */
#include "outside/elf_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *promise)
{
	fprintf(stderr, "broken promise: %s\n", promise);
	abort();
}

static void inside(const struct pg_elf_file *e, struct pg_elf_piece p, const char *promise)
{
	if (p.offset > e->size || p.size > e->size - p.offset)
		broken(promise);
}

struct seen {
	unsigned long symbols, letters;
};

static void look_at_symbol(void *arg, const struct pg_elf_symbol *symbol)
{
	struct seen *seen = arg;

	seen->symbols++;
	seen->letters += strlen(symbol->name);
	if (seen->symbols > 1 << 20)
		broken("a million symbols at most");
}

static void look_at_dynamic(const struct pg_elf_file *e)
{
	struct pg_elf_dynamic d;
	char name[40];

	if (!pg_elf_file_dynamic(e, &d))
		return;
	inside(e, d.strings, "the strings are in the file");
	if (d.needed_count > PG_ELF_NEEDED_MAX)
		broken("the libraries fit");
	for (unsigned i = 0; i < d.needed_count; i++)
		if (pg_elf_file_string(e, &d, d.needed[i], name, sizeof name) &&
		    strnlen(name, sizeof name) == sizeof name)
			broken("a string ends");
}

static void look_at_tables(const struct pg_elf_file *e)
{
	static const char *const owners[] = {"GNU", "Go", "stapsdt"};
	struct pg_elf_piece piece;
	char *interpreter = pg_elf_file_interpreter(e);

	if (interpreter && strlen(interpreter) > 4096)
		broken("an interpreter is a path");
	free(interpreter);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned type = 1; type < 5; type++)
			if (pg_elf_file_note(e, owners[i], type, &piece))
				inside(e, piece, "a note is in the file");
	for (unsigned i = 0; i < e->segment_count; i++)
		if (pg_elf_file_at(e, e->segments[i].address + i, &piece))
			inside(e, piece, "what is loaded is in the file");
	pg_elf_file_named(e, ".gopclntab");
	pg_elf_file_debug(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pg_elf_file e;
	struct seen seen = {0, 0};
	int fd = memfd_create("elf", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return -1;
	if (pg_elf_file_open(&e, fd)) {
		if (e.size != size)
			broken("the file has its size");
		look_at_tables(&e);
		look_at_dynamic(&e);
		pg_elf_file_symbols(&e, look_at_symbol, &seen);
		pg_elf_file_close(&e);
	}
	close(fd);
	return 0;
}
