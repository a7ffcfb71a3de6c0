/* SPDX-License-Identifier: MIT */
#include "outside/expected.h"

#include "outside/elf_file.h"

#include "base/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_named(int pid)
{
	char path[48], *entry = NULL;
	size_t room = 0;
	bool named = false;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/environ", pid);
	f = fopen(path, "re");
	while (f && !named && getdelim(&entry, &room, 0, f) > 0)
		named = pg_prefix(entry, "LD_PRELOAD=") && strstr(entry, "libpipeguard.so");
	free(entry);
	if (f)
		fclose(f);
	return named;
}

static bool has_loader(int pid)
{
	char path[48], *loader = NULL;
	struct pg_elf_file e;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/exe", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return false;
	if (pg_elf_file_open(&e, fd)) {
		loader = pg_elf_file_interpreter(&e);
		pg_elf_file_close(&e);
	}
	close(fd);
	free(loader);
	return loader != NULL;
}

bool pg_library_expected(int pid)
{
	return is_named(pid) && has_loader(pid);
}
