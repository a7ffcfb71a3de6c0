/* SPDX-License-Identifier: MIT */
#include "command/examine.h"

#include "command/linkage.h"
#include "command/places.h"
#include "command/say.h"
#include "command/script.h"
#include "command/settle.h"
#include "outside/registers.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, BINARY_BYTES = 64 };

static void look_at_elf(struct pg_examined *x, int fd, const char *library)
{
	struct pg_elf_file e;

	x->elf = true;
	if (!pg_elf_file_open(&e, fd)) {
		pg_settle(x, PG_R_MISSING, "'%s' is too short for an ELF file", x->path);
		return;
	}
	pg_linkage_examine(x, &e, library);
	pg_elf_file_close(&e);
}

/* HEAD: the first N bytes, with a NUL behind. */
static void look_at_text(struct pg_examined *x, char *head, size_t n)
{
	if (!strncmp(head, "#!", 2))
		pg_script_follow(x, head);
	else if (memchr(head, 0, n < BINARY_BYTES ? n : BINARY_BYTES))
		pg_settle(x, PG_R_PARTLY,
			  "'%s' is neither an ELF file nor a script: what the kernel starts for it "
			  "is not known",
			  x->path);
	else
		pg_follow(
			x,
			pg_text_of("%s, which has no #! line: a shell is its interpreter", x->path),
			"/bin/sh");
}

static void look(struct pg_examined *x, const char *library)
{
	char head[LINE_MAX_BYTES] = {0};
	int fd = open(x->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof head - 1, 0);

	if (n < 0)
		pg_settle(x, PG_R_PARTLY, "'%s' cannot be read, so it may be anything", x->path);
	else if (n >= SELFMAG && !memcmp(head, ELFMAG, SELFMAG))
		look_at_elf(x, fd, library);
	else
		look_at_text(x, head, (size_t)n);
	if (fd >= 0)
		close(fd);
}

void pg_examine(struct pg_examined *x, const char *path, const char *library)
{
	*x = (struct pg_examined){.path = path};
	while (!x->reach)
		look(x, library);
}

/* Does this machine run the program as it is, and may it be traced by who asks? */
static const char *by_kind(const struct pg_examined *x)
{
	struct utsname u;

	switch (x->instead) {
	case PG_I_PRIVILEGED: /* traced by another, it starts without what it is given */
		return geteuid() ? NULL : x->privileges;
	case PG_I_MACHINE:
		return !uname(&u) && !strcmp(u.machine, "x86_64") && strstr(x->machine, "i386")
			       ? x->machine
			       : NULL;
	case PG_I_SANITIZER:
		return pg_text_of("a program with %s", x->sanitizer);
	case PG_I_STRACE:
		break;
	}
	return x->loader ? pg_text_of("for %s", x->libc) : "static";
}

const char *pg_from_outside(const struct pg_examined *x)
{
	bool go = x->runtime != NULL;

	if (!PG_REGISTERS_KNOWN)
		return NULL;
	if (x->takes_away)
		return "a script that takes LD_PRELOAD away";
	if (!x->elf || !x->machine || (x->reach != PG_R_NO && !(x->reach == PG_R_PARTLY && go)))
		return NULL;
	if (go)
		return x->loader ? "Go" : "static Go";
	return by_kind(x);
}
