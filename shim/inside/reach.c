/* SPDX-License-Identifier: MIT */
#include "inside/reach.h"

#include "base/peek.h"
#include "inside/ends.h"
#include "log/line.h"
#include "log/log.h"
#include "log/room.h"
#include "rules/config.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* ---- LD_PRELOAD ---- */

static const char variable[] = "LD_PRELOAD=", library[] = "libpipeguard";

/* What it says of the library. */
struct preload {
	bool known;
	unsigned ours;
	bool flexible; /* another file of that name may be found for another machine */
};

static PG_START_DATA bool was_preloaded; /* by the environment */

/* Is WORD, of N bytes, a path that ends in our name? */
static bool is_ours(const char *word, size_t n)
{
	size_t at = n;

	while (at && word[at - 1] != '/')
		at--;
	for (; at + sizeof library - 1 <= n; at++)
		if (!__builtin_memcmp(word + at, library, sizeof library - 1))
			return true;
	return false;
}

static void count_word(struct preload *p, const char *word, size_t n)
{
	bool path = false, token = false;

	if (!is_ours(word, n))
		return;
	for (size_t i = 0; i < n; i++) {
		path |= word[i] == '/';
		token |= word[i] == '$';
	}
	p->ours++;
	p->flexible |= !path || token || p->ours > 1;
}

/* Pages that were asked about: what a caller hands over lies in few, and who unmaps them meanwhile
 * would break the call itself. */
struct pages {
	uintptr_t there[4];
	unsigned next;
	bool all; /* nothing has to be asked */
};

static bool is_there(struct pages *known, uintptr_t at)
{
	enum { MANY = sizeof known->there / sizeof *known->there };
	uintptr_t page = at / PG_PAGE_LEAST | ~(UINTPTR_MAX >> 1); /* never 0 */

	if (known->all)
		return true;
	for (unsigned i = 0; i < MANY; i++)
		if (known->there[i] == page)
			return true;
	if (!pg_readable((const void *)at))
		return false;
	known->there[known->next++ % MANY] = page;
	return true;
}

/* VALUE, to its end. */
static void read_value(struct pages *known, struct preload *p, const char *value)
{
	const char *word = value;

	for (;; value++) {
		if (!is_there(known, (uintptr_t)value)) {
			p->known = false;
			return;
		}
		if (*value && *value != ' ' && *value != ':')
			continue;
		count_word(p, word, (size_t)(value - word));
		if (!*value)
			return;
		word = value + 1;
	}
}

/* Is ENTRY a value of LD_PRELOAD? False, too, where it cannot be read; then not KNOWN. */
static bool is_variable(struct pages *known, struct preload *p, const char *entry)
{
	const char *name = variable;

	for (; *name; entry++, name++)
		if (!is_there(known, (uintptr_t)entry))
			return p->known = false;
		else if (*entry != *name)
			return false;
	return true;
}

static struct preload preload_of(char *const *env)
{
	enum { MOST = 1 << 16 };
	struct preload p = {.known = true};
	struct pages known = {.next = 0};

	for (unsigned i = 0; env && p.known; i++) {
		if (i == MOST || !is_there(&known, (uintptr_t)&env[i]) ||
		    !is_there(&known, (uintptr_t)&env[i + 1] - 1))
			p.known = false;
		else if (!env[i])
			break;
		else if (is_variable(&known, &p, env[i]))
			read_value(&known, &p, env[i] + sizeof variable - 1);
	}
	return p;
}

void pg_reach_start(void)
{
	struct pages known = {.all = true};
	struct preload p = {.known = true};

	if (pg_config.log_kind == PG_LOG_OFF)
		return;
	pg_said_start();
	if (pg_config.preload)
		read_value(&known, &p, pg_config.preload);
	was_preloaded = p.ours != 0;
}

/* ---- files ---- */

/* A file that may be run: its first bytes, and whose it is. */
struct head {
	struct pg_stat st;
	int fd;
	bool mine; /* FD is closed here */
	size_t n;
	union {
		char text[256]; /* as many as the kernel looks at */
		Elf64_Ehdr wide;
		Elf32_Ehdr narrow;
		unsigned char ident[EI_NIDENT];
	};
};

static long read_at(const struct head *h, void *to, size_t n, uint64_t at)
{
	if (at < h->n && n <= h->n - at) {
		__builtin_memcpy(to, h->text + at, n);
		return (long)n;
	}
	return pg_pread(h->fd, to, n, at);
}

/* A device is not opened: some notice. */
static bool open_head(struct head *h, int folder, const char *path, int flags)
{
	enum { HOW = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };
	char first = 0;
	long got;

	h->mine = !(flags & AT_EMPTY_PATH && pg_peek(&first, path, 1) && !first);
	if (pg_stat_at(folder, path, flags, &h->st) || !S_ISREG(h->st.mode) || !(h->st.mode & 0111))
		return false;
	h->fd = h->mine ? (int)pg_sys4(SYS_openat, folder, path, HOW, 0) : folder;
	if (h->fd < 0)
		return false;
	h->n = 0;
	got = read_at(h, h->text, sizeof h->text, 0);
	h->n = got > 0 ? (size_t)got : 0;
	return true;
}

static void close_head(const struct head *h)
{
	if (h->mine)
		pg_sys1(SYS_close, h->fd);
}

/* ---- ELF ---- */

static bool is_elf(const struct head *h)
{
	return h->n >= sizeof h->wide && !__builtin_memcmp(h->ident, ELFMAG, SELFMAG);
}

static unsigned own_class(void)
{
	return sizeof(long) == 8 ? ELFCLASS64 : ELFCLASS32;
}

static bool is_this_machine(const struct head *h)
{
	return h->ident[EI_CLASS] == own_class() && h->ident[EI_DATA] == ELFDATA2LSB &&
	       h->wide.e_machine == PG_ELF_MACHINE;
}

/* A program of the other width, which the engine of this one looks at. */
static bool is_followed(const struct head *h)
{
	return PG_ELF_MACHINE == EM_X86_64 && h->ident[EI_CLASS] == ELFCLASS32 &&
	       h->wide.e_machine == EM_386;
}

/* Is there a loader to load the library? -1: the file says nothing of its parts. */
static int has_loader(const struct head *h)
{
	bool wide = sizeof(long) == 8;
	uint64_t at = wide ? h->wide.e_phoff : h->narrow.e_phoff;
	unsigned size = wide ? h->wide.e_phentsize : h->narrow.e_phentsize;
	unsigned n = wide ? h->wide.e_phnum : h->narrow.e_phnum;
	uint32_t type;

	if (size != (wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) || !n || n > 128)
		return -1;
	for (; n; n--, at += size)
		if (read_at(h, &type, sizeof type, at) != sizeof type)
			return -1;
		else if (type == PT_INTERP)
			return 1;
	return 0;
}

/* ---- privileges ---- */

/* Do no file's privileges count here? */
static bool is_plain_mount(const struct head *h)
{
	enum { NOSUID = 2 };
#ifdef __LP64__
	struct statfs fs;
	long ret = pg_sys2(SYS_fstatfs, h->fd, &fs);
#else
	struct statfs64 fs;
	long ret = pg_sys3(SYS_fstatfs64, h->fd, sizeof fs, &fs);
#endif

	return ret || fs.f_flags & NOSUID || pg_sys5(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

static bool has_capabilities(const struct head *h)
{
	enum { EFFECTIVE = 1 };
	uint32_t word[6] = {0}; /* <linux/capability.h>, struct vfs_ns_cap_data */
	long n = pg_sys4(SYS_fgetxattr, h->fd, "security.capability", word, sizeof word);

	return n >= 12 && (word[0] & EFFECTIVE || word[1] || (n >= 20 && word[3]));
}

#ifndef SYS_getuid32
#define SYS_getuid32 SYS_getuid
#define SYS_getgid32 SYS_getgid
#endif

/* As the kernel judges it (AT_SECURE): who it will be, is that another one than who asks? One that
 * changed who it acts as by itself is not asked about. */
static bool is_privileged(const struct head *h)
{
	bool user = h->st.mode & S_ISUID, group = h->st.mode & S_ISGID && h->st.mode & S_IXGRP;
	bool other = has_capabilities(h) && pg_sys0(SYS_getuid32);

	other |= user && h->st.uid != (uint32_t)pg_sys0(SYS_getuid32);
	other |= group && h->st.gid != (uint32_t)pg_sys0(SYS_getgid32);
	return other && !is_plain_mount(h);
}

/* ---- which one ---- */

/* Does it run another program in itself, which loads the library? A loader that is called by hand
 * does, valgrind, and qemu's user mode. */
static bool is_loader(const char *file)
{
	const char *name = pg_basename(file);

	return pg_prefix(name, "ld-") || pg_prefix(name, "ld.so") || pg_prefix(name, "ld64.so") ||
	       pg_prefix(name, "qemu-") || pg_glob("*/valgrind/*", file);
}

static enum pg_barrier barrier_of(const struct head *h, const struct preload *p)
{
	int loader;

	if (is_privileged(h))
		return PG_BARRIER_PRIVILEGED;
	if (!is_this_machine(h))
		return was_preloaded && p->ours && p->flexible ? PG_NO_BARRIER : PG_BARRIER_MACHINE;
	loader = has_loader(h);
	if (!loader)
		return PG_BARRIER_STATIC;
	return loader > 0 && was_preloaded && p->known && !p->ours ? PG_BARRIER_ENVIRONMENT
								   : PG_NO_BARRIER;
}

/* "#! /bin/sh -e": "/bin/sh" into FILE. False: it is none, or too long a one. It may end with the
 * file, but not with what the kernel looks at. */
static bool take_interpreter(struct head *h, char *file, size_t size)
{
	size_t at = 2, n = 0;

	if (h->n < 3 || h->text[0] != '#' || h->text[1] != '!')
		return false;
	while (at < h->n && (h->text[at] == ' ' || h->text[at] == '\t'))
		at++;
	while (at + n < h->n && h->text[at + n] && h->text[at + n] != ' ' &&
	       h->text[at + n] != '\t' && h->text[at + n] != '\n')
		n++;
	if (!n || at + n == sizeof h->text || n >= size)
		return false;
	__builtin_memcpy(file, h->text + at, n);
	file[n] = 0;
	return true;
}

/* What the kernel starts in the end: the first of a chain of interpreters that is an ELF file. */
static bool open_program(struct pg_reach *r, struct head *h)
{
	enum { INTERPRETERS = 5 };

	if (!open_head(h, r->folder, r->path, r->flags))
		return false;
	for (int i = 0; !is_elf(h); i++) {
		bool script = i < INTERPRETERS && take_interpreter(h, r->file, sizeof r->file);

		close_head(h);
		if (!script || !open_head(h, AT_FDCWD, r->file, 0))
			return false;
	}
	return true;
}

/* An interpreter is named already. A part of a path would be another file's. */
static void name_program(struct pg_reach *r, const struct head *h)
{
	if (!h->mine)
		pg_fd_name(h->fd, r->file, sizeof r->file);
	else if (!r->file[0])
		pg_peek_string(r->file, r->path, sizeof r->file);
	if (pg_len(r->file) == sizeof r->file - 1)
		r->file[0] = 0;
}

static bool is_logged(void)
{
	return pg_started && pg_config.active && !pg_confined && pg_config.log_kind != PG_LOG_OFF;
}

void pg_reach_look(struct pg_reach *r)
{
	struct preload p;
	struct head h;

	char first = 0;

	r->barrier = PG_NO_BARRIER;
	if (!is_logged() || (r->moves && (!pg_peek(&first, r->path, 1) || first != '/')))
		return;
	r->file[0] = 0;
	if (!open_program(r, &h))
		return;
	p = preload_of(r->env);
	r->barrier = barrier_of(&h, &p);
	if (r->barrier)
		name_program(r, &h);
	if (r->barrier == PG_BARRIER_STATIC && is_loader(r->file))
		r->barrier = PG_NO_BARRIER;
	r->reachable = PG_TRACES && (r->barrier != PG_BARRIER_MACHINE || is_followed(&h));
	close_head(&h);
}

/* ---- PATH ---- */

static const char *path_variable(void)
{
	for (char **entry = pg_config_environment(); entry && *entry; entry++)
		if (pg_prefix(*entry, "PATH="))
			return *entry + 5;
	return "/bin:/usr/bin";
}

/* FOLDER of N bytes and NAME; false: there is no such file, or it cannot be run. */
static bool can_be_run(char *path, size_t size, const char *folder, size_t n, const char *name)
{
	struct pg_text t = {path, 0, size - 1};
	struct pg_stat st;

	pg_put_bytes(&t, folder, n);
	pg_put(&t, n ? "/" : "");
	pg_put(&t, name);
	path[t.len] = 0;
	return t.len < t.cap && !pg_stat_at(AT_FDCWD, path, 0, &st) && S_ISREG(st.mode) &&
	       st.mode & 0111;
}

static bool has_slash(const char *name)
{
	while (*name && *name != '/')
		name++;
	return *name;
}

static __attribute__((noinline)) bool find(const char *name, char *path, size_t size)
{
	const char *folder = path_variable();

	for (;;) {
		size_t n = 0;

		while (folder[n] && folder[n] != ':')
			n++;
		if (can_be_run(path, size, folder, n, name))
			return true;
		if (!folder[n])
			return false;
		folder += n + 1;
	}
}

/* NAME is libc's to read, too. */
void pg_reach_search(struct pg_reach *r, const char *name)
{
	char path[384];

	r->barrier = PG_NO_BARRIER;
	r->folder = AT_FDCWD;
	r->path = name;
	if (!is_logged() || !*name)
		return;
	if (!has_slash(name)) {
		if (!find(name, path, sizeof path))
			return;
		r->path = path;
	}
	pg_reach_look(r);
	r->path = NULL; /* it is gone */
}

/* ---- the line ---- */

/* The value behind WORD in the file PATH, of /proc. */
static int number_in(const char *path, const char *word)
{
	char text[512];
	long fd = pg_open(path, O_RDONLY), n;
	int value = 0;

	if (fd < 0)
		return 0;
	n = pg_sys3(SYS_read, fd, text, sizeof text - 1);
	pg_sys1(SYS_close, fd);
	text[n > 0 ? n : 0] = 0;
	for (const char *at = text; *at; at++)
		if (pg_prefix(at, word))
			for (at += pg_len(word); *at >= '0' && *at <= '9'; at++)
				value = value * 10 + *at - '0';
	return value;
}

/* Does the other engine look after this process, and so after its children? */
static bool is_followed_already(void)
{
	char path[48], comm[16] = "";
	struct pg_text t = {path, 0, sizeof path - 1};
	int tracer = number_in("/proc/self/status", "\nTracerPid:\t");
	long fd;

	if (!tracer)
		return false;
	pg_put(&t, "/proc/");
	pg_put_i64(&t, tracer);
	pg_put(&t, "/comm");
	path[t.len] = 0;
	fd = pg_open(path, O_RDONLY);
	if (fd < 0)
		return false;
	pg_sys3(SYS_read, fd, comm, sizeof comm - 1);
	pg_sys1(SYS_close, fd);
	return pg_same(comm, "pipeguard\n");
}

int pg_reach_process(int pidfd)
{
	char path[PG_FD_PATH];
	int pid;

	pg_fd_path(path, "fdinfo/", pidfd);
	pid = number_in(path, "\nPid:\t");
	return pid ? pid : -1;
}

/* What is said once: of each program, or of who takes LD_PRELOAD away from whatever it starts. */
static uint64_t key_of(const struct pg_reach *r)
{
	bool own = r->barrier == PG_BARRIER_ENVIRONMENT;
	uint64_t h = pg_mix(1, r->barrier);

	for (const char *at = own ? pg_program_name() : r->file; *at; at++)
		h = pg_mix(h, (unsigned char)*at);
	return h;
}

void pg_reach_log(const struct pg_reach *r, int child)
{
	struct pg_room *s;
	struct pg_event *e;

	if (!r->barrier || !pg_log_is_there() || pg_config_leaves_out(pg_basename(r->file)) ||
	    is_followed_already() || !pg_said_first(key_of(r)) || !(s = pg_room_take()))
		return;
	e = &s->event;
	__builtin_memset(e, 0, sizeof *e);
	e->ev = PG_EV_UNREACHED;
	e->pid = pg_pid();
	e->unreached.child = child;
	e->unreached.barrier = r->barrier;
	e->unreached.reachable = r->reachable;
	e->unreached.by_root = !pg_sys0(SYS_geteuid);
	e->object.rule = -1;
	pg_copy(e->path, sizeof e->path, r->file);
	pg_event_write(s);
	pg_room_give(s);
}
