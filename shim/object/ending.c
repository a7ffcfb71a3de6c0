/* SPDX-License-Identifier: MIT */
#include "object/ending.h"

#include "base/clock.h"
#include "base/mapped.h"
#include "base/peek.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

PG_START_DATA struct pg_endings *pg_endings_mapped;
static void *own; /* the file of the ring alone */

static pg_shared64 space, space_of; /* SPACE_OF: the process that it was found for */

static uint64_t find_boot(void)
{
	int fd = pg_open("/proc/sys/kernel/random/boot_id", O_RDONLY);
	char id[40];
	long n = fd < 0 ? 0 : pg_sys3(SYS_read, fd, id, sizeof id);
	uint64_t h = 1;

	if (fd >= 0)
		pg_sys1(SYS_close, fd);
	for (long i = 0; i < n; i++)
		h = pg_mix(h, (uint8_t)id[i]);
	return h;
}

/* A file that lives on may have been written to before, or by another machine: all its numbers are
 * others' here. */
static uint64_t boot(void)
{
	static pg_shared64 known;

	if (!PG_GET(known))
		PG_PUT(known, find_boot() | 1);
	return PG_GET(known);
}

static uint64_t find_space(void)
{
	int fd = pg_open("/proc/self/ns/pid", O_RDONLY);
	struct pg_stat st = {.ino = 0};

	if (fd < 0)
		return 0;
	pg_fstat(fd, &st);
	pg_sys1(SYS_close, fd);
	return st.ino ? pg_mix(boot(), st.ino) : 0;
}

void pg_endings_use(struct pg_endings *ring)
{
	if (!pg_endings_mapped)
		pg_endings_mapped = ring;
}

/* A child may be elsewhere (unshare(2)). */
uint64_t pg_endings_space(void)
{
	uint64_t process = pg_process() ^ (uint64_t)PG_GET(pg_forks) << 32;

	if (PG_GET(space_of) != process) {
		PG_PUT(space, find_space());
		PG_PUT(space_of, process);
	}
	return PG_GET(space);
}

/* ---- a file of its own ---- */

struct head {
	char magic[32];
	uint64_t owner;	    /* owner_of() the process that made it */
	uint8_t fired[64];  /* 1: the rule of this number did, 2: it may have. A byte each: two at
			     * once undo nothing */
	pg_shared64 awaits; /* AWAITS: none did, and no call before is logged; one more each time
			     * that one did, or may have. scripts/lib/pgengine.py sets it */
};
struct file {
	struct head head;
	struct pg_endings ring;
};

/* Of a tree where one fault is to be made, and what came of it is of interest, no more: no rule
 * fired yet; one did, once. Noise in the file has hardly the upper half of it. */
#define AWAITS 0x6669726500000001u
#define FIRED_ONCE (AWAITS + 1)

static const char magic[32] = "pipeguard endings 6";
static char path_of_own[128];

/* What F has; 0, too, where it cannot be read. */
static uint64_t awaits_of(const struct file *f)
{
	uint64_t awaits;

	return pg_peek(&awaits, (const void *)&f->head.awaits, sizeof awaits) ? awaits : 0;
}

static const char *stat_of(int pid, char *buf, size_t size);
static bool stat_field(const char *text, unsigned n, uint64_t *to);
enum { START = 22, CODE = 52 };

/* PID, as no process after it, and none in another space, is called. */
static uint64_t owner_of(int pid)
{
	char buf[512];
	uint64_t began = 0;

	stat_field(stat_of(pid, buf, sizeof buf), START, &began);
	return (pg_mix(pg_endings_space(), began) & ~(uint64_t)UINT32_MAX) | (uint32_t)pid;
}

static bool is_owner(const struct head *head, int pid)
{
	return (uint32_t)head->owner == (uint32_t)pid && head->owner == owner_of(pid);
}

/* With holes: nobody touches the memory but by peek.h. */
bool pg_endings_make(const char *path)
{
	enum { FLAGS = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC };
	struct head head = {.owner = owner_of(pg_pid())};
	long fd = pg_sys4(SYS_openat, AT_FDCWD, path, FLAGS, 0600);
	bool made;

	if (fd < 0)
		return false;
	__builtin_memcpy(head.magic, magic, sizeof magic);
	made = !pg_sys2(SYS_ftruncate, fd, sizeof(struct file)) &&
	       pg_sys3(SYS_write, fd, &head, sizeof head) == (long)sizeof head;
	pg_sys1(SYS_close, fd);
	if (!made)
		pg_sys3(SYS_unlinkat, AT_FDCWD, path, 0);
	return made;
}

/* Is FD such a file, and this user's own? */
static bool is_ours(int fd)
{
	struct head head;
	struct pg_stat st;

	return !pg_fstat(fd, &st) && S_ISREG(st.mode) && !(st.mode & 077) &&
	       st.uid == (uint32_t)pg_sys0(SYS_geteuid) &&
	       pg_sys3(SYS_read, fd, &head, sizeof head) == (long)sizeof head &&
	       !__builtin_memcmp(head.magic, magic, sizeof magic);
}

enum { FLAGS = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY };

bool pg_endings_open(const char *path)
{
	struct file *f = NULL;
	int fd;

	if (pg_len(path) >= sizeof path_of_own)
		return false;
	fd = pg_open(path, FLAGS);
	if (fd < 0)
		return false;
	if (is_ours(fd))
		f = pg_mapped_at(fd, sizeof *f, 0, PROT_READ | PROT_WRITE);
	pg_sys1(SYS_close, fd);
	if (!f)
		return false;
	own = f;
	pg_copy(path_of_own, sizeof path_of_own, path);
	pg_endings_use(&f->ring);
	return true;
}

/* A rule fired, or may have: calls are logged from now on. */
static void end_wait(struct file *f)
{
	if (pg_endings_brief() && pg_readable((const void *)&f->head.awaits))
		__atomic_add_fetch(&f->head.awaits, 1, __ATOMIC_SEQ_CST);
}

/* Each process says so once, but to who awaits it. */
void pg_endings_fired(unsigned rule)
{
	static pg_shared64 said;
	const uint8_t yes = 1;
	struct file *f = own;

	if (f)
		end_wait(f);
	if (!f || rule >= sizeof f->head.fired || PG_GET(said) >> rule & 1)
		return;
	__atomic_fetch_or(&said, (uint64_t)1 << rule, __ATOMIC_RELAXED);
	pg_poke(&f->head.fired[rule], &yes, sizeof yes);
}

void pg_endings_follow(void)
{
	uint8_t maybe[sizeof((struct head *)0)->fired];
	struct file *f = own;
	struct head head;
	int fd = f ? pg_open(path_of_own, FLAGS) : -1;
	bool follows = fd >= 0 && is_ours(fd);

	if (fd >= 0)
		pg_sys1(SYS_close, fd);
	if (follows || !f || !pg_peek(&head, f, sizeof head))
		return;
	for (unsigned i = 0; i < sizeof maybe; i++)
		maybe[i] = head.fired[i] ? head.fired[i] : 2;
	pg_poke(f->head.fired, maybe, sizeof maybe);
	end_wait(f);
}

bool pg_endings_fired_once(void)
{
	return own && awaits_of(own) == FIRED_ONCE;
}

bool pg_endings_brief(void)
{
	enum { NO = 1, YES };
	static int known; /* and in what this process forks */
	int brief = PG_GET(known);

	if (!own)
		return false;
	if (!brief) {
		brief = awaits_of(own) >> 32 == AWAITS >> 32 ? YES : NO;
		PG_PUT(known, brief);
	}
	return brief == YES;
}

bool pg_endings_await(void)
{
	static bool over; /* likewise */
	struct file *f = own;

	if (!f || PG_GET(over) || !pg_endings_brief())
		return false;
	if (pg_holds((const uint32_t *)(const void *)&f->head.awaits, (uint32_t)AWAITS) ||
	    awaits_of(f) == AWAITS)
		return true;
	PG_PUT(over, true);
	return false;
}

uint64_t pg_endings_idle(uint64_t rules, int pid)
{
	struct head head;

	if (!rules || !own || !pg_peek(&head, own, sizeof head) || !is_owner(&head, pid))
		return 0;
	for (unsigned i = 0; i < sizeof head.fired; i++)
		if (head.fired[i])
			rules &= ~((uint64_t)1 << i);
	return rules;
}

/* ---- what is said once ---- */

/* A null pointer: nothing is to be said, or nothing was yet. */
static PG_START_DATA pg_shared64 *said;
static PG_START_DATA bool has_said; /* that is known now */

/* Memory that is shared takes long to be had: it is mapped when there is something to be said, or a
 * child to say it to. */
static void prepare_said(void)
{
	pg_shared64 *none = NULL, *mapped;

	if (!PG_GET(has_said) || PG_GET(said))
		return;
	mapped = pg_mapped_new(PG_SAID * sizeof *said);
	if (mapped && !__atomic_compare_exchange_n(&said, &none, mapped, false, __ATOMIC_ACQ_REL,
						   __ATOMIC_RELAXED))
		pg_sys2(SYS_munmap, mapped, PG_SAID * sizeof *said);
}

void pg_said_start(void)
{
	if (pg_endings_mapped)
		said = pg_endings_mapped->said;
	has_said = true;
	pg_process_before_forks(prepare_said);
}

bool pg_said_first(uint64_t what)
{
	what |= 1;
	prepare_said();
	for (unsigned i = 0; said && i < PG_SAID && pg_readable(&said[i]); i++) {
		uint64_t none = 0;

		if (__atomic_compare_exchange_n(&said[i], &none, what, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return true;
		if (none == what)
			return false;
	}
	return false;
}

bool pg_endings_stand(void)
{
	return own && !pg_sys3(SYS_faccessat, AT_FDCWD, path_of_own, 0);
}

/* The folder goes with the last one in it. */
void pg_endings_close(int pid)
{
	struct head head;
	size_t slash = pg_len(path_of_own);

	if (!own || !pg_peek(&head, own, sizeof head) || !is_owner(&head, pid))
		return;
	pg_sys3(SYS_unlinkat, AT_FDCWD, path_of_own, 0);
	while (slash && path_of_own[slash] != '/')
		slash--;
	path_of_own[slash] = 0;
	pg_sys3(SYS_unlinkat, AT_FDCWD, path_of_own, AT_REMOVEDIR);
}

/* ---- keys ---- */

struct pg_ending_key pg_ending_of_pipe(uint64_t dev, uint64_t ino, uint64_t identity)
{
	return (struct pg_ending_key){{PG_OF_PIPE, dev, ino, identity}};
}

struct pg_ending_key pg_ending_of_unix(uint64_t dev, uint64_t ino)
{
	return (struct pg_ending_key){{PG_OF_UNIX, dev, ino}};
}

struct pg_ending_key pg_ending_of_process(int pid)
{
	return (struct pg_ending_key){{PG_OF_PROCESS, (uint64_t)pid}};
}

/* As one of IPv6, which a socket of that family may show of an IPv4 connection. */
static void put_ip(uint64_t w[2], const struct pg_addr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint8_t ip[16];

	__builtin_memcpy(ip, a->ip, sizeof ip);
	if (a->family == AF_INET) {
		__builtin_memcpy(ip, mapped, sizeof mapped);
		__builtin_memcpy(ip + sizeof mapped, a->ip, 4);
	}
	__builtin_memcpy(w, ip, sizeof ip);
}

struct pg_ending_key pg_ending_of_inet(uint64_t network, const struct pg_addr *local,
				       const struct pg_addr *peer)
{
	struct pg_ending_key key = {{0}};

	if (!local->family || !peer->family)
		return key;
	key.w[0] = PG_OF_INET | (uint64_t)local->port << 16 | (uint64_t)peer->port << 32;
	key.w[1] = network;
	put_ip(&key.w[2], local);
	put_ip(&key.w[4], peer);
	return key;
}

/* ---- the ring ---- */

enum { WORDS = sizeof(struct pg_ending) / sizeof(uint64_t) };
enum { TO_BE_PROVED, SURE, NOT_SURE, VOID };

/* What ends short is another layout in programs of 32 bit. */
_Static_assert(sizeof(struct pg_ending) == 224 && sizeof(struct pg_ending_slot) == 248,
	       "one layout");

static uint64_t sum_of(uint64_t turn, const struct pg_ending *e)
{
	const uint64_t *w = (const uint64_t *)(const void *)e;
	uint64_t h = pg_mix(0, turn);

	for (unsigned i = 0; i < WORDS; i++)
		h = pg_mix(h, w[i]);
	return h;
}

static uint64_t state_word(uint64_t turn, unsigned state)
{
	return pg_mix(turn, state);
}

static bool lives(int pid)
{
	return pg_sys2(SYS_kill, pid, 0) != -ESRCH;
}

static bool has_not_left(const struct pg_ending *e)
{
	return e->how == PG_HOW_HELD || e->how == PG_HOW_TOOK;
}

/* Does place AT hold what a process that lives has? Who is not known of may be taken for one that
 * never had it. */
static bool is_wanted(const struct pg_ending_slot *at)
{
	struct pg_ending_slot s;

	return pg_peek(&s, at, sizeof s) && has_not_left(&s.ending) && s.ending.pid > 0 &&
	       s.ending.space == pg_endings_space() && s.sum == sum_of(s.turn, &s.ending) &&
	       lives(s.ending.pid);
}

/* The next place; a null pointer: there is no ring any more. */
static struct pg_ending_slot *next_slot(void)
{
	enum { TRIES = 4 };
	const uint64_t yes = 1;
	struct pg_endings *ring = pg_endings_mapped;
	struct pg_ending_slot *at;
	uint64_t n, tries = 0;

	if (!pg_peek(&n, &ring->next, sizeof n))
		return NULL;
	do
		at = &ring->slot[++n % PG_ENDINGS];
	while (is_wanted(at) && ++tries < TRIES);
	if (tries == TRIES)
		pg_poke(&ring->forgot, &yes, sizeof yes);
	return pg_poke(&ring->next, &n, sizeof n) ? at : NULL;
}

struct pg_ending_place pg_ending_put(const struct pg_ending *e)
{
	struct pg_ending_place p = {next_slot(), 0};
	struct pg_ending_slot s = {.ending = *e};

	s.turn = p.turn = pg_mix(pg_now(), (uint64_t)(uint32_t)e->pid << 32 | (uint32_t)e->tid);
	s.state = state_word(s.turn, TO_BE_PROVED);
	s.sum = sum_of(s.turn, &s.ending);
	if (p.slot && !pg_poke(p.slot, &s, sizeof s))
		p.slot = NULL;
	return p;
}

/* Where another one stands by now, this state is none. */
static void put_state(const struct pg_ending_place *p, unsigned what)
{
	uint64_t state = state_word(p->turn, what), turn;

	if (p->slot && pg_peek(&turn, &p->slot->turn, sizeof turn) && turn == p->turn)
		pg_poke(&p->slot->state, &state, sizeof state);
}

void pg_ending_settle(const struct pg_ending_place *p, bool sure)
{
	put_state(p, sure ? SURE : NOT_SURE);
}

void pg_ending_void(const struct pg_ending_place *p)
{
	put_state(p, VOID);
}

/* What is written in place N, if it is whole, and what came of it. */
static bool read_slot(unsigned n, struct pg_ending *to, unsigned *state)
{
	struct pg_ending_slot s;

	if (!pg_peek(&s, &pg_endings_mapped->slot[n], sizeof s) ||
	    s.sum != sum_of(s.turn, &s.ending) || s.ending.pid <= 0 ||
	    s.ending.how == PG_HOW_NONE || s.ending.how >= PG_HOW_GONE ||
	    s.state == state_word(s.turn, VOID))
		return false;
	*state = s.state == state_word(s.turn, SURE)	       ? SURE
		 : s.state == state_word(s.turn, TO_BE_PROVED) ? TO_BE_PROVED
							       : NOT_SURE;
	*to = s.ending;
	to->comm[sizeof to->comm - 1] = to->call[sizeof to->call - 1] = 0;
	to->module[sizeof to->module - 1] = to->symbol[sizeof to->symbol - 1] = 0;
	return true;
}

/* Places that are looked at with one system call, by what their keys begin with. */
enum { AT_ONCE = 8, KEY_START = 3 };

static bool peek_keys(unsigned first, uint64_t keys[AT_ONCE][KEY_START])
{
	struct iovec piece[AT_ONCE];

	for (unsigned i = 0; i < AT_ONCE; i++)
		piece[i] = (struct iovec){&pg_endings_mapped->slot[first + i].ending.key,
					  KEY_START * sizeof(uint64_t)};
	return pg_peek_pieces(keys, piece, AT_ONCE);
}

static bool same_key(const struct pg_ending_key *a, const struct pg_ending_key *b)
{
	return !__builtin_memcmp(a, b, sizeof *a);
}

/* ---- processes that said nothing ---- */

/* The N-th number behind the name in /proc/PID/stat (proc(5)), whose first is called 4. */
static bool stat_field(const char *text, unsigned n, uint64_t *to)
{
	for (unsigned field = 3; field < n; text++) {
		if (!*text)
			return false;
		field += *text == ' ';
	}
	for (*to = 0; *text >= '0' && *text <= '9'; text++)
		*to = *to * 10 + (uint64_t)(*text - '0');
	return true;
}

/* Does /proc count processes as this one does? */
static bool is_proc_ours(void)
{
	char self[16];
	long n = pg_sys4(SYS_readlinkat, AT_FDCWD, "/proc/self", self, sizeof self);
	int pid = 0;

	for (long i = 0; i < n; i++)
		pid = pid * 10 + (self[i] - '0');
	return pid == pg_pid();
}

/* What /proc says of PID, from its state on; "": nothing. */
static const char *stat_of(int pid, char *buf, size_t size)
{
	struct pg_text t = {buf, 0, size - 1};
	const char *state = "";
	long n;
	int fd;

	pg_put(&t, "/proc/");
	pg_put_i64(&t, pid);
	pg_put(&t, "/stat");
	buf[t.len] = 0;
	fd = is_proc_ours() ? pg_open(buf, O_RDONLY) : -1;
	n = fd < 0 ? 0 : pg_sys3(SYS_read, fd, buf, size - 1);
	if (fd >= 0)
		pg_sys1(SYS_close, fd);
	buf[n > 0 ? n : 0] = 0;
	for (const char *p = buf; *p; p++)
		if (p[0] == ')' && p[1] == ' ')
			state = p + 2;
	return state;
}

/* Was what began TICKS (1/100 s) after the boot there at AT, of the monotonic clock? */
static bool began_before(uint64_t ticks, uint64_t at)
{
	enum { TICK = 10000000 };
	uint64_t now = pg_now(), boot = pg_since_boot();

	return boot >= now && ticks * TICK <= at + (boot - now);
}

/* How the process ended whose stat_of() is STAT, one that nobody has waited for; E is as it was
 * where that may not be asked. */
static void take_code(struct pg_ending *e, const char *stat)
{
	uint64_t code;

	if (!stat_field(stat, CODE, &code) || !code)
		return;
	e->how = code & 127 ? PG_HOW_KILLED : PG_HOW_EXIT;
	e->status = (int32_t)(code & 127 ? code & 127 : code >> 8 & 255);
}

/* E's process held the object when it started, and has ended without a word: how? False: it lives,
 * or that cannot be known. */
static bool ended_silently(struct pg_ending *e)
{
	char buf[512];
	const char *stat = "";
	uint64_t began;

	if (lives(e->pid)) {
		stat = stat_of(e->pid, buf, sizeof buf);
		if (*stat != 'Z' || !stat_field(stat, START, &began) || !began_before(began, e->at))
			return false;
	}
	e->unread = -1;
	e->at = 0;
	e->how = PG_HOW_GONE;
	take_code(e, stat);
	return true;
}

/* ---- who let go ---- */

enum { KNOWN = 20, MS = 1000000, ROUNDS = 20, MOST_ROUNDS = 500 };

/* What a process said of an object last: that it had it when it started, that it has it, that it
 * left it. */
struct known {
	uint64_t held, has, left; /* 0: it did not */
	int pid;
	uint16_t held_slot;
	uint8_t forks;	/* of children that had it */
	bool forked;	/* by its FIRST word it made the object, or was forked by who had it */
	uint64_t first; /* when that was; 0: there is none */
};

struct search {
	const struct pg_ending_key *key;
	uint64_t since, now;
	bool first; /* wanted: not the last */
	bool found;
	bool too_many;	/* processes had it */
	bool elsewhere; /* a process had it that counts processes in another way */
	int waits;	/* the thread that is proving one, or 0 */
	struct pg_ending *best;
	uint64_t reader; /* when the last one left that may have read; 0: there is none */
	uint16_t reader_slot;
	unsigned forks,
		forked; /* what KNOWN says of all that said something, whoever has left, too */
	unsigned known;
	struct known of[KNOWN];
};

/* What is known of PID. Who has left gives its place to another. */
static struct known *known_of(struct search *s, int pid)
{
	struct known *free = NULL;

	for (unsigned i = 0; i < s->known; i++) {
		if (s->of[i].pid == pid)
			return &s->of[i];
		if (s->of[i].left > s->of[i].has)
			free = &s->of[i];
	}
	if (s->known < KNOWN)
		free = &s->of[s->known++];
	if (free)
		*free = (struct known){.pid = pid};
	return free;
}

/* FORKED stays of who gives its place to another. */
static void note_birth(struct search *s, struct known *k, const struct pg_ending *e)
{
	bool forked = e->how != PG_HOW_HELD && (e->how != PG_HOW_TOOK || !e->forks);

	if (k->first && e->at >= k->first)
		return;
	s->forked += (unsigned)forked - (unsigned)k->forked;
	k->forked = forked;
	k->first = e->at;
}

static void note_has(struct known *k, unsigned slot, const struct pg_ending *e)
{
	if (e->at >= k->has)
		k->has = e->at;
	if (e->how == PG_HOW_HELD && e->at >= k->held)
		k->held = e->at, k->held_slot = (uint16_t)slot;
}

static void note(struct search *s, unsigned slot, const struct pg_ending *e, unsigned state)
{
	struct known *k = known_of(s, e->pid);

	s->too_many |= !k;
	if (k)
		note_birth(s, k, e);
	if (has_not_left(e)) {
		if (k)
			note_has(k, slot, e);
		return;
	}
	if (k && e->at >= k->left)
		k->left = e->at;
	if (k && e->forks > k->forks) {
		s->forks += (unsigned)(e->forks - k->forks);
		k->forks = e->forks;
	}
	if (state == TO_BE_PROVED) {
		if (e->tid != (int)pg_sys0(SYS_gettid) && lives(e->pid))
			s->waits = e->tid;
		return;
	}
	if (!e->reads_not && e->at >= s->reader)
		s->reader = e->at, s->reader_slot = (uint16_t)slot;
	if (state != SURE || (s->found && (e->at < s->best->at) != s->first))
		return;
	*s->best = *e;
	s->found = true;
}

/* The ending in slot N, if it is of what S looks for. */
static bool read_wanted(const struct search *s, unsigned n, struct pg_ending *to, unsigned *state)
{
	return read_slot(n, to, state) && same_key(&to->key, s->key) && to->at >= s->since &&
	       to->at <= s->now;
}

static void look_from(struct search *s, unsigned first)
{
	uint64_t keys[AT_ONCE][KEY_START];
	struct pg_ending e;
	unsigned state;

	if (!peek_keys(first, keys))
		return;
	for (unsigned i = 0; i < AT_ONCE; i++) {
		if (__builtin_memcmp(keys[i], s->key, sizeof keys[i]) != 0 ||
		    !read_wanted(s, first + i, &e, &state))
			continue;
		if (e.space == pg_endings_space())
			note(s, first + i, &e, state);
		else
			s->elsewhere = true;
	}
}

/* The oldest first. */
static void look(struct search *s)
{
	uint64_t last = 0;

	s->found = s->too_many = s->elsewhere = false;
	s->waits = 0;
	s->known = s->forks = s->forked = 0;
	s->reader = 0;
	pg_peek(&last, &pg_endings_mapped->next, sizeof last);
	for (unsigned n = 0; n < PG_ENDINGS; n += AT_ONCE)
		look_from(s, (unsigned)((last / AT_ONCE + 1) * AT_ONCE + n) % PG_ENDINGS);
}

/* Waits a little for TID to get to something, the N-th time. False: that is enough. It is for who
 * could run and does not get to it that there are more times than ROUNDS. */
static PG_COLD bool waits_on(unsigned n, int tid)
{
	const long pause[2] = {0, MS / 2};
	char buf[512];

	if (n >= MOST_ROUNDS || (n >= 2 * ROUNDS && *stat_of(tid, buf, sizeof buf) != 'R'))
		return false;
	pg_sys2(SYS_nanosleep, pause, 0);
	return true;
}

/* The only process that had it and said nothing since; a null pointer: there is none, or MORE. */
static const struct known *silent_one(const struct search *s, bool *more)
{
	const struct known *one = NULL;

	*more = s->too_many;
	for (unsigned i = 0; i < s->known; i++) {
		if (s->of[i].has <= s->of[i].left)
			continue;
		*more |= one != NULL;
		one = &s->of[i];
	}
	return *more ? NULL : one;
}

/* Has anybody had it of whom nothing is known? Where some of those that had it forked, one of them
 * made it, and each child has said what it did with that. */
static PG_COLD bool had_strangers(const struct search *s)
{
	uint64_t forgot;

	return s->elsewhere || (s->forks && s->forked <= s->forks) ||
	       !pg_peek(&forgot, &pg_endings_mapped->forgot, sizeof forgot) || forgot;
}

/* The one process that held it and said nothing, if it has ended. */
static PG_COLD bool find_silent(struct search *s, const struct known *one, struct pg_ending *to)
{
	unsigned state;

	if (!one || one->held < one->has || had_strangers(s) ||
	    !read_wanted(s, one->held_slot, to, &state) || to->pid != one->pid)
		return false;
	for (unsigned n = 0; n < ROUNDS; n++) { /* who is killed lives a little longer */
		if (ended_silently(to))
			return true;
		waits_on(n, to->pid);
	}
	return false;
}

/*
 * Who made a pipe for others closes its own end of it when it gets to that, and
 * may be the last one to let go. It never read: the reader is the last of those
 * that may have, if all who had it have said so; or the one that said nothing.
 */
static PG_COLD void prefer_reader(struct search *s)
{
	struct pg_ending e;
	unsigned state;
	bool more;
	const struct known *one = silent_one(s, &more);

	if (one || more) {
		if (!s->reader && find_silent(s, one, &e))
			*s->best = e;
		return;
	}
	if (s->reader && read_wanted(s, s->reader_slot, &e, &state) && e.at == s->reader &&
	    state != TO_BE_PROVED)
		*s->best = e;
}

/* A program that closes its input is about to end, mostly: then its status is what is logged. Who
 * ends much later closed it then, and who has that number by then may be another one. */
static PG_COLD void add_exit(struct search *s)
{
	enum { SOON = MOST_ROUNDS * MS / 2 };
	struct pg_ending *e = s->best, exit;
	const struct pg_ending_key key = pg_ending_of_process(e->pid);

	if (e->how != PG_HOW_CLOSE || e->status || e->pid == pg_pid())
		return;
	s->key = &key;
	s->since = e->at;
	s->now = e->at + SOON;
	s->best = &exit;
	look(s);
	for (unsigned n = 0; !s->found && lives(e->pid) && waits_on(n, e->pid); n++)
		look(s);
	if (!s->found)
		return;
	e->how = exit.how;
	e->status = exit.status;
}

/*
 * E's process said how it ends just before it did: a signal may have come first. Who has not been
 * waited for is asked; who is still at it is waited for a little, and then it is not known. Of who
 * was waited for meanwhile there is but its own word.
 */
static PG_COLD void verify(struct pg_ending *e)
{
	char buf[512];
	uint64_t began;

	if ((e->how != PG_HOW_EXIT && e->how != PG_HOW_KILLED) || e->pid == pg_pid())
		return;
	for (unsigned n = 0; lives(e->pid); n++) {
		const char *stat = stat_of(e->pid, buf, sizeof buf);

		if (!stat_field(stat, START, &began) || !began_before(began, e->at) || *stat == 'X')
			return;
		if (*stat == 'Z') {
			take_code(e, stat);
			return;
		}
		if (!waits_on(n, e->pid)) {
			e->status = e->how == PG_HOW_EXIT ? -1 : e->status;
			return;
		}
	}
}

bool pg_ending_find(const struct pg_ending_key *key, uint64_t since, bool first,
		    struct pg_ending *to)
{
	struct search s = {.key = key, .since = since, .first = first, .best = to};
	const struct known *one;
	bool more;

	if (!pg_has_endings() || !key->w[0] || pg_confined)
		return false;
	s.now = pg_now();
	look(&s);
	for (unsigned n = 0; s.waits && (!s.found || to->reads_not) && waits_on(n, s.waits); n++)
		look(&s);
	if (s.found) {
		if (to->reads_not)
			prefer_reader(&s);
		add_exit(&s);
		verify(to);
		return true;
	}
	one = silent_one(&s, &more);
	if (!find_silent(&s, one, to))
		to->how = PG_HOW_NONE;
	return s.known;
}

const char *pg_how_name(unsigned how)
{
	static const char *const names[PG_HOWS] = {
		[PG_HOW_CLOSE] = "close",   [PG_HOW_SHUTDOWN] = "shutdown", [PG_HOW_EXIT] = "exit",
		[PG_HOW_KILLED] = "killed", [PG_HOW_GONE] = "gone",
	};

	return how < PG_HOWS ? names[how] : NULL;
}

const char *pg_ending_call(const struct pg_ending *e)
{
	static const char calls[][12] = {"close",     "dup2",	"dup3",	  "close_range",
					 "closefrom", "fclose", "pclose", "shutdown"};

	for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
		if (pg_same(calls[i], e->call))
			return calls[i];
	return NULL;
}
