/* SPDX-License-Identifier: MIT */
#include "command/imports.h"

#include "command/say.h"
#include "outside/elf_file.h"

#include "rules/rule.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What one file imports. */
struct found {
	uint64_t calls;
	bool stdio;
};

/* What writes to a FILE or flushes one, as compilers name it. */
static const char *const stdio[] = {
	"printf",
	"fprintf",
	"vprintf",
	"vfprintf",
	"puts",
	"fputs",
	"putchar",
	"fputc",
	"putc",
	"_IO_putc",
	"fwrite",
	"fflush",
	"perror",
	"fclose",
	"wprintf",
	"fwprintf",
	"fputwc",
	"fputws",
	"putwchar",
	"overflow",
	"fwrite_unlocked",
	"fputs_unlocked",
	"putc_unlocked",
	"putchar_unlocked",
	"fputc_unlocked",
	"fflush_unlocked",
	"error",
	"err",
	"warn",
	"warnx",
	"errx",
};

bool pg_imports_has(uint64_t calls, enum pg_call call)
{
	return pg_call_has_rules(call) && calls & PG_BIT(call);
}

/* NAME without what libc puts around it: __X_chk and __X are X. */
static void plain_name(const char *name, char buf[32])
{
	size_t n;

	name += 2 * (size_t)!strncmp(name, "__", 2);
	n = strlen(name);
	if (n > 4 && !strcmp(name + n - 4, "_chk"))
		n -= 4;
	n = n < 31 ? n : 31;
	memcpy(buf, name, n);
	buf[n] = 0;
}

static void note_symbol(void *arg, const struct pg_elf_symbol *symbol)
{
	struct found *f = arg;
	char name[32];

	if (symbol->section || !*symbol->name || strnlen(symbol->name, 40) == 40)
		return;
	plain_name(symbol->name, name);
	for (int call = 1; call < PG_CALL_COUNT; call++)
		if (pg_call_has_rules((enum pg_call)call) &&
		    !strcmp(name, pg_call_name((enum pg_call)call)))
			f->calls |= PG_BIT(call);
	for (size_t i = 0; i < sizeof stdio / sizeof *stdio; i++)
		f->stdio |= !strcmp(name, stdio[i]);
}

/* ---- libraries ---- */

/* Libc's own and the loader: what they import is not the program's. */
static bool of_libc(const char *name)
{
	static const char *const names[] = {"libc.",  "ld-",   "ld64",	    "libpthread.", "libdl.",
					    "librt.", "libm.", "libgcc_s.", "libresolv."};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strncmp(name, names[i], strlen(names[i])))
			return true;
	return false;
}

static const char *const folders[] = {
	"/lib",
	"/usr/lib",
	"/lib64",
	"/usr/lib64",
	"/usr/local/lib",
	"/usr/local/lib64",
	"/lib/" PG_LIBRARIES,
	"/usr/lib/" PG_LIBRARIES,
};

static int open_in(const char *folder, size_t n, const char *name)
{
	char *path = pg_text_of("%.*s/%s", (int)n, folder, name);
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	free(path);
	return fd;
}

/* The library NAME of E's class and machine, opened into LIB; false: it was not found. */
static bool open_library(const struct pg_elf_file *e, const char *name, struct pg_elf_file *lib)
{
	const char *list = getenv("LD_LIBRARY_PATH");
	int fd = -1;

	for (; list && *list && fd < 0; list += list[strcspn(list, ":;")] != 0) {
		fd = open_in(list, strcspn(list, ":;"), name);
		list += strcspn(list, ":;");
	}
	for (size_t i = 0; fd < 0 && i < sizeof folders / sizeof *folders; i++)
		fd = open_in(folders[i], strlen(folders[i]), name);
	if (fd < 0)
		return false;
	if (pg_elf_file_open(lib, fd)) {
		if (lib->wide == e->wide && lib->machine == e->machine)
			return true;
		pg_elf_file_close(lib);
	}
	close(fd);
	return false;
}

static void look_at_library(struct pg_imports *im, const struct pg_elf_file *e, const char *name)
{
	struct pg_elf_file lib;
	struct found f = {0, false};

	if (of_libc(name) || strchr(name, '/') || im->libraries == PG_LIBRARIES_MAX ||
	    !open_library(e, name, &lib))
		return;
	pg_elf_file_symbols(&lib, note_symbol, &f);
	close(lib.fd);
	pg_elf_file_close(&lib);
	if (!f.calls && !f.stdio)
		return;
	im->library[im->libraries].name = pg_text_of("%s", name);
	im->library[im->libraries].calls = f.calls;
	im->library[im->libraries++].stdio = f.stdio;
	im->elsewhere |= f.calls;
}

void pg_imports_of(struct pg_imports *im, const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct pg_elf_dynamic d;
	struct pg_elf_file e;
	struct found f = {0, false};
	char name[100];

	*im = (struct pg_imports){0};
	if (fd >= 0 && pg_elf_file_open(&e, fd)) {
		im->known = pg_elf_file_symbols(&e, note_symbol, &f);
		im->calls = f.calls;
		im->stdio = f.stdio;
		if (!pg_elf_file_dynamic(&e, &d))
			d.needed_count = 0;
		for (unsigned i = 0; i < d.needed_count && i < PG_LIBRARIES_MAX; i++)
			if (pg_elf_file_string(&e, &d, d.needed[i], name, sizeof name))
				look_at_library(im, &e, name);
		pg_elf_file_close(&e);
	}
	if (fd >= 0)
		close(fd);
}
