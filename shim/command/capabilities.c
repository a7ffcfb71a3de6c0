/* SPDX-License-Identifier: MIT */
#include "command/capabilities.h"

#include "command/say.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <sys/xattr.h>

/* In the order of <linux/capability.h>, which not every libc brings. */
static const char *const names[] = {
	"chown",
	"dac_override",
	"dac_read_search",
	"fowner",
	"fsetid",
	"kill",
	"setgid",
	"setuid",
	"setpcap",
	"linux_immutable",
	"net_bind_service",
	"net_broadcast",
	"net_admin",
	"net_raw",
	"ipc_lock",
	"ipc_owner",
	"sys_module",
	"sys_rawio",
	"sys_chroot",
	"sys_ptrace",
	"sys_pacct",
	"sys_admin",
	"sys_boot",
	"sys_nice",
	"sys_resource",
	"sys_time",
	"sys_tty_config",
	"mknod",
	"lease",
	"audit_write",
	"audit_control",
	"setfcap",
	"mac_override",
	"mac_admin",
	"syslog",
	"wake_alarm",
	"block_suspend",
	"audit_read",
	"perfmon",
	"bpf",
	"checkpoint_restore",
};
enum { KNOWN = sizeof names / sizeof *names };

/* What security.capability holds (struct vfs_cap_data): little-endian words. */
struct sets {
	bool effective;
	uint64_t permitted, inheritable;
};

static uint32_t word(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* False: in no form that is known. Revision 1 has one pair of words, later ones have two. */
static bool read_sets(const unsigned char *p, size_t size, struct sets *s)
{
	unsigned revision = size < 12 ? 0 : word(p) >> 24;

	if (revision < 1 || revision > 3 || (revision > 1 && size < 20))
		return false;
	s->effective = word(p) & 1;
	s->permitted = word(p + 4);
	s->inheritable = word(p + 8);
	if (revision > 1) {
		s->permitted |= (uint64_t)word(p + 12) << 32;
		s->inheritable |= (uint64_t)word(p + 16) << 32;
	}
	return true;
}

/* Which of e (1), p (2) and i (4) capability C is in. */
static unsigned flags_of(const struct sets *s, unsigned c)
{
	unsigned permitted = s->permitted >> c & 1, inheritable = s->inheritable >> c & 1;
	unsigned effective = s->effective && (permitted || inheritable);

	return effective | permitted << 1 | inheritable << 2;
}

static const char *name_of(unsigned c)
{
	return c < KNOWN ? pg_text_of("cap_%s", names[c]) : pg_text_of("%u", c);
}

/* As libcap has it: those that have the same flags are named together. */
static const char *text_of(const struct sets *s)
{
	const char *text = "";

	for (unsigned flags = 7; flags; flags--) {
		const char *list = NULL;

		for (unsigned c = 0; c < 64; c++)
			if (flags_of(s, c) == flags)
				list = list ? pg_text_of("%s,%s", list, name_of(c)) : name_of(c);
		if (list)
			text = pg_text_of("%s%s%s%s%s%s%s", text, *text ? " " : "", list,
					  *text ? "+" : "=", flags & 1 ? "e" : "",
					  flags & 4 ? "i" : "", flags & 2 ? "p" : "");
	}
	return *text ? text : "empty";
}

const char *pg_file_capabilities(const char *path)
{
	unsigned char value[64];
	struct sets sets;
	ssize_t n = getxattr(path, "security.capability", value, sizeof value);

	if (n < 0)
		return errno == ENODATA || errno == ENOTSUP || errno == ENOSYS ? NULL : "?";
	return read_sets(value, (size_t)n, &sets) ? text_of(&sets) : "security.capability";
}
