/* SPDX-License-Identifier: MIT */
#include "command/linkage.h"

#include "command/capabilities.h"
#include "command/say.h"
#include "command/settle.h"
#include "command/variables.h"

#include <elf.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GO_BUILD_ID = 4 };

/* ---- architecture ---- */

static const char *machine_name(unsigned machine)
{
	static const struct {
		unsigned machine;
		const char *name;
	} names[] = {
		{EM_386, "i386"},	 {EM_MIPS, "mips"},   {EM_PPC64, "ppc64"},
		{EM_S390, "s390"},	 {EM_ARM, "arm"},     {EM_X86_64, "x86-64"},
		{EM_AARCH64, "aarch64"}, {EM_RISCV, "riscv"}, {258, "loongarch"},
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].machine == machine)
			return names[i].name;
	return pg_text_of("machine %u", machine);
}

static const char *machine_of(const struct pg_elf_file *e)
{
	return pg_text_of("%d-bit %s%s", e->wide ? 64 : 32, machine_name(e->machine),
			  e->big ? " (big-endian)" : "");
}

/* ---- the library ---- */

/* The versions of glibc's symbols that the library asks for are among its strings. One that was
 * linked with no libc (musl-gcc) goes into programs of both. */
static bool for_glibc(const struct pg_elf_file *e, bool *linked)
{
	struct pg_elf_dynamic d;
	unsigned char *strings = NULL;
	bool found;

	if (pg_elf_file_dynamic(e, &d))
		strings = pg_elf_file_copy(e, d.strings.offset, d.strings.size);
	found = strings && memmem(strings, (size_t)d.strings.size, "GLIBC_", 6);
	*linked = strings && d.needed_count;
	free(strings);
	return found;
}

/* Keeps what the library is for; is E for the same architecture? */
static bool same_machine(struct pg_examined *x, const struct pg_elf_file *e, const char *library)
{
	int fd = open(library, O_RDONLY | O_CLOEXEC);
	struct pg_elf_file lib;
	bool same = false;

	x->library_machine = "no ELF file";
	if (fd >= 0 && pg_elf_file_open(&lib, fd)) {
		x->library_machine = machine_of(&lib);
		x->library_libc = for_glibc(&lib, &x->library_linked) ? "glibc" : "musl";
		same = lib.wide == e->wide && lib.big == e->big && lib.machine == e->machine;
		pg_elf_file_close(&lib);
	}
	if (fd >= 0)
		close(fd);
	return same;
}

/* ---- privileges ---- */

/*
 * Does the loader ignore the environment for it? It does not for who has that
 * user or those capabilities anyhow (obeyed), but who that will be is not known
 * here.
 */
static bool privileged(struct pg_examined *x)
{
	struct stat st;
	const char *capabilities;

	x->privileges = "none";
	x->instead = PG_I_PRIVILEGED;
	if (!stat(x->path, &st) && st.st_mode & (S_ISUID | S_ISGID)) {
		const struct passwd *owner = st.st_mode & S_ISGID ? NULL : getpwuid(st.st_uid);

		x->privileges = "setuid or setgid";
		x->obeyed = owner ? pg_text_of("%s", owner->pw_name) : NULL;
		pg_settle(x, PG_R_NO,
			  "'%s' is setuid or setgid: the loader ignores LD_PRELOAD for it",
			  x->path);
		return true;
	}
	capabilities = pg_file_capabilities(x->path);
	if (capabilities && *capabilities != '?') {
		x->privileges = pg_text_of("file capabilities %s", capabilities);
		x->obeyed = "root";
		pg_settle(x, PG_R_NO,
			  "'%s' has file capabilities (%s): the loader ignores LD_PRELOAD for it",
			  x->path, capabilities);
		return true;
	}
	x->instead = PG_I_STRACE;
	if (capabilities)
		x->privileges = "file capabilities are not known";
	return false;
}

/* ---- linking ---- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Is the file itself a loader? */
static bool is_loader(const char *path)
{
	static const char *const names[] = {"ld-linux", "ld-musl-", "ld.so", "ld64.so"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strncmp(base_name(path), names[i], strlen(names[i])))
			return true;
	return false;
}

static const char *libc_of(const char *loader)
{
	if (strstr(loader, "/ld-musl-"))
		return "musl";
	return is_loader(loader) ? "glibc" : "neither glibc nor musl";
}

static bool is_go(const struct pg_elf_file *e)
{
	struct pg_elf_piece note;

	return pg_elf_file_note(e, "Go", GO_BUILD_ID, &note) ||
	       pg_elf_file_named(e, ".gopclntab") || pg_elf_file_named(e, ".go.buildinfo");
}

static void examine_static(struct pg_examined *x, const struct pg_elf_file *e)
{
	if (is_loader(x->path)) {
		x->linking = "the loader itself";
		x->gates = "of the program that it loads";
		x->reach = PG_R_YES;
		return;
	}
	x->linking = e->type == ET_DYN ? "static, position-independent" : "static";
	pg_settle(x, PG_R_NO, "'%s' is statically linked%s%s%s: no library can be loaded into it",
		  x->path, x->runtime ? ", and a " : "", x->runtime ? x->runtime : "",
		  x->runtime ? " program" : "");
}

static void examine_loader(struct pg_examined *x, const char *loader, const char *library)
{
	x->loader = true;
	x->libc = libc_of(loader);
	x->linking = pg_text_of("dynamic, by %s (%s)", loader, x->libc);
	if (access(loader, F_OK))
		pg_settle(x, PG_R_MISSING, "'%s' needs the loader '%s', which was not found",
			  x->path, loader);
	else if (!strcmp(x->libc, "glibc") && !strcmp(x->library_libc, "musl"))
		pg_settle(x, PG_R_NO, "'%s' is for glibc, and %s for musl: %s", x->path, library,
			  x->library_linked ? "the loader would refuse it"
					    : "it would not see what libc's stdio writes");
}

/* The runtime that wants to be loaded first, among the libraries that the program names. */
static const char *sanitizer_of(const struct pg_elf_file *e)
{
	struct pg_elf_dynamic d;
	const char *found = NULL;
	char name[100];

	if (!pg_elf_file_dynamic(e, &d))
		return NULL;
	for (unsigned i = 0; i < d.needed_count; i++)
		if (pg_elf_file_string(e, &d, d.needed[i], name, sizeof name) &&
		    pg_sanitizer_name(name) && !strchr(name, '/'))
			found = pg_text_of("%s", name);
	return found;
}

static bool order_is_checked(void)
{
	static const char *const off[] = {"0", "false", "no"};
	const char *options = pg_variable("ASAN_OPTIONS");

	for (size_t i = 0; options && i < sizeof off / sizeof *off; i++)
		if (strstr(options, pg_text_of("verify_asan_link_order=%s", off[i])))
			return false;
	return true;
}

static void examine_sanitizer(struct pg_examined *x, const struct pg_elf_file *e,
			      const char *library)
{
	x->sanitizer = sanitizer_of(e);
	if (!x->sanitizer || !strncmp(x->sanitizer, "liblsan", 7) || !order_is_checked() ||
	    pg_sanitizer_name(pg_variable_preloaded(library)))
		return;
	x->instead = PG_I_SANITIZER;
	pg_settle(x, PG_R_NO,
		  "'%s' uses %s, which ends a program where it is not loaded first: start it by "
		  "LD_PRELOAD=%s pipeguard, or with ASAN_OPTIONS=verify_asan_link_order=0",
		  x->path, x->sanitizer, x->sanitizer);
}

static void examine_gates(struct pg_examined *x)
{
	x->gates = "call signal";
	if (x->runtime) {
		x->gates = "call (of its C code)";
		pg_settle(x, PG_R_PARTLY,
			  "'%s' is a %s program, whose own calls are raw system calls and whose "
			  "SIGPIPE handler replaces the library's: only its C code is seen",
			  x->path, x->runtime);
	} else if (!strcmp(x->libc, "musl")) {
		pg_settle(
			x, PG_R_PARTLY,
			"musl's stdio has no slot to hold: its writes are seen where SIGPIPE is at "
			"its default, and no rule reaches them");
	} else if (strcmp(x->libc, "glibc") != 0) {
		pg_settle(x, PG_R_PARTLY, "the loader of '%s' is neither glibc's nor musl's",
			  x->path);
	} else {
		x->gates = "call stdio signal";
		x->reach = PG_R_YES;
	}
}

void pg_linkage_examine(struct pg_examined *x, const struct pg_elf_file *e, const char *library)
{
	bool same = same_machine(x, e, library);
	char *loader;

	x->machine = machine_of(e);
	if (privileged(x))
		return;
	if (!same) {
		x->instead = PG_I_MACHINE;
		x->build = e->machine == EM_386	      ? "; make 32 builds for 32-bit programs"
			   : e->machine == EM_AARCH64 ? "; make arm64 builds for such programs"
						      : "";
		pg_settle(x, PG_R_NO, "'%s' is for another architecture (%s) than %s (%s%s)",
			  x->path, x->machine, library, x->library_machine, x->build);
		return;
	}
	x->runtime = is_go(e) ? "Go" : NULL;
	loader = pg_elf_file_interpreter(e);
	if (!loader)
		examine_static(x, e);
	else
		examine_loader(x, loader, library);
	if (!x->reach)
		examine_sanitizer(x, e, library);
	if (!x->reach)
		examine_gates(x);
}
