/* SPDX-License-Identifier: MIT */
/* The grammar is that of Rust's RFC 2603, with the constants that came after it (strings,
 * references, arrays, tuples and values of types), and its forms are as rustc's own demangler has
 * them, without hashes. */
#include "outside/rust.h"

#include <stdint.h>
#include <string.h>

/* Files of others: a name may refer to itself, and to what refers to itself. */
enum { DEPTH_MAX = 200, STEPS_MAX = 20000 };

struct rust {
	const char *in; /* behind _R */
	size_t size, at;
	char *out;
	size_t room, length;
	unsigned depth, steps;
	uint64_t bound; /* lifetimes, by what is around */
	bool quiet;	/* what is read is not shown */
	bool over;	/* it is no name, or there is no more room: nothing more is read */
	bool wrong;
};

static void show_path(struct rust *r, bool value);
static void show_type(struct rust *r);
static void show_const(struct rust *r, bool inner);

/* ---- out ---- */

static void put_char(struct rust *r, char c)
{
	if (r->quiet || r->over)
		return;
	if (r->length + 1 < r->room)
		r->out[r->length++] = c;
	else
		r->over = true;
}

static void put_bytes(struct rust *r, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_char(r, s[i]);
}

static void put(struct rust *r, const char *s)
{
	put_bytes(r, s, strlen(s));
}

static void put_number(struct rust *r, uint64_t n)
{
	char digits[20];
	size_t at = sizeof digits;

	do
		digits[--at] = (char)('0' + n % 10);
	while (n /= 10);
	put_bytes(r, digits + at, sizeof digits - at);
}

/* ---- in ---- */

static void fail(struct rust *r)
{
	r->wrong |= !r->over;
	r->over = true;
}

static char peek(const struct rust *r)
{
	return r->at < r->size && !r->over ? r->in[r->at] : 0;
}

static bool eat(struct rust *r, char c)
{
	if (peek(r) != c)
		return false;
	r->at++;
	return true;
}

static char next(struct rust *r)
{
	char c = peek(r);

	if (c)
		r->at++;
	else
		fail(r);
	return c;
}

/* Until the end of a list, or of all. */
static bool more(struct rust *r)
{
	return !r->over && !eat(r, 'E');
}

static bool enter(struct rust *r)
{
	if (++r->depth > DEPTH_MAX || ++r->steps > STEPS_MAX)
		fail(r);
	return !r->over;
}

static void leave(struct rust *r)
{
	r->depth--;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'Z' ? c - 'A' + 36 : -1;
}

static uint64_t number62(struct rust *r)
{
	uint64_t n = 0;

	if (eat(r, '_'))
		return 0;
	while (!r->over && !eat(r, '_')) {
		int d = digit(next(r));

		if (d < 0 || n > (UINT64_MAX - (unsigned)d) / 62) {
			fail(r);
			return 0;
		}
		n = n * 62 + (uint64_t)d;
	}
	return n + 1;
}

static uint64_t optional62(struct rust *r, char tag)
{
	return eat(r, tag) ? number62(r) + 1 : 0;
}

struct word {
	const char *s;
	size_t n;
	bool punycode;
};

/* As many bytes as the number there says, behind the character GAP, if that is there. */
static struct word counted(struct rust *r, char gap)
{
	struct word w = {"", 0, false};
	size_t n = 0;

	if (peek(r) < '0' || peek(r) > '9')
		fail(r);
	else if (!eat(r, '0'))
		while (peek(r) >= '0' && peek(r) <= '9' && n <= r->size)
			n = n * 10 + (size_t)(next(r) - '0');
	if (gap)
		eat(r, gap);
	if (n > r->size - r->at)
		fail(r);
	if (r->over)
		return w;
	w.s = r->in + r->at;
	w.n = n;
	r->at += n;
	return w;
}

static struct word word(struct rust *r)
{
	bool punycode = eat(r, 'u');
	struct word w = counted(r, '_');

	w.punycode = punycode;
	return w;
}

/* In logs names are ASCII. The last _ is what - is in punycode elsewhere. */
static void put_word(struct rust *r, struct word w)
{
	size_t split = w.n;

	if (!w.punycode) {
		put_bytes(r, w.s, w.n);
		return;
	}
	while (split && w.s[split - 1] != '_')
		split--;
	put(r, "punycode{");
	if (split > 1) {
		put_bytes(r, w.s, split - 1);
		put_char(r, '-');
	}
	put_bytes(r, w.s + split, w.n - split);
	put_char(r, '}');
}

/* Reads what was there already; FN shows it. What is not shown refers to nothing. */
static void again(struct rust *r, void (*fn)(struct rust *, bool), bool how)
{
	size_t here = r->at - 1, back;
	uint64_t to = number62(r);

	if (to >= here)
		fail(r);
	if (r->quiet || r->over)
		return;
	back = r->at;
	r->at = (size_t)to;
	fn(r, how);
	r->at = back;
}

static void again_type(struct rust *r, bool how)
{
	(void)how;
	show_type(r);
}

/* ---- lifetimes ---- */

static void put_lifetime(struct rust *r, uint64_t index)
{
	uint64_t depth = r->bound - index;

	put_char(r, '\'');
	if (!index) {
		put_char(r, '_');
	} else if (index > r->bound) {
		fail(r);
	} else if (depth < 26) {
		put_char(r, (char)('a' + depth));
	} else {
		put_char(r, '_');
		put_number(r, depth);
	}
}

/* Returns how many lifetimes are bound until what they are bound for has been read. */
static uint64_t bind(struct rust *r)
{
	uint64_t n = optional62(r, 'G');

	if (n > r->size) /* nobody writes so many down */
		fail(r);
	if (!n || r->over)
		return 0;
	put(r, "for<");
	for (uint64_t i = 0; i < n && !r->over; i++) {
		put(r, i ? ", " : "");
		r->bound++;
		put_lifetime(r, 1);
	}
	put(r, "> ");
	return n;
}

/* ---- paths ---- */

static void show_arguments(struct rust *r)
{
	for (bool first = true; more(r); first = false) {
		put(r, first ? "" : ", ");
		if (eat(r, 'L'))
			put_lifetime(r, number62(r));
		else if (eat(r, 'K'))
			show_const(r, false);
		else
			show_type(r);
	}
}

static void show_nested(struct rust *r, bool value)
{
	char space = next(r);
	uint64_t which;
	struct word w;

	if (digit(space) < 10) /* no letter */
		fail(r);
	show_path(r, value);
	which = optional62(r, 's');
	w = word(r);
	if (space >= 'A' && space <= 'Z') {
		put(r, "::{");
		if (space == 'C' || space == 'S')
			put(r, space == 'C' ? "closure" : "shim");
		else
			put_char(r, space);
		put(r, w.n ? ":" : "");
		put_word(r, w);
		put_char(r, '#');
		put_number(r, which);
		put_char(r, '}');
	} else if (w.n) {
		put(r, "::");
		put_word(r, w);
	}
}

/* Where the impl stands is not shown. */
static void pass_impl(struct rust *r)
{
	bool before = r->quiet;

	r->quiet = true;
	optional62(r, 's');
	show_path(r, false);
	r->quiet = before;
}

static void show_impl(struct rust *r, char tag)
{
	if (tag != 'Y')
		pass_impl(r);
	put_char(r, '<');
	show_type(r);
	if (tag != 'M') {
		put(r, " as ");
		show_path(r, false);
	}
	put_char(r, '>');
}

static void show_generic(struct rust *r, bool value)
{
	show_path(r, value);
	put(r, value ? "::<" : "<");
	show_arguments(r);
	put_char(r, '>');
}

static void show_some_path(struct rust *r, bool value)
{
	char tag = next(r);

	switch (tag) {
	case 'C':
		optional62(r, 's');
		put_word(r, word(r));
		return;
	case 'N':
		show_nested(r, value);
		return;
	case 'M':
	case 'X':
	case 'Y':
		show_impl(r, tag);
		return;
	case 'I':
		show_generic(r, value);
		return;
	case 'B':
		again(r, show_path, value);
		return;
	default:
		fail(r);
	}
}

static void show_path(struct rust *r, bool value)
{
	if (enter(r))
		show_some_path(r, value);
	leave(r);
}

/* ---- types ---- */

/* By letter; the others' are those of paths. */
static const char *basic(char tag)
{
	static const char *const names['z' - 'a' + 1] = {
		"i8",	 "bool", "char", "f64", "str",	"f32",	NULL,  "u8", "isize",
		"usize", NULL,	 "i32",	 "u32", "i128", "u128", "_",   NULL, NULL,
		"i16",	 "u16",	 "()",	 "...", NULL,	"i64",	"u64", "!"};

	return tag >= 'a' && tag <= 'z' ? names[tag - 'a'] : NULL;
}

static void show_reference(struct rust *r, char tag)
{
	put_char(r, '&');
	if (eat(r, 'L')) {
		uint64_t index = number62(r);

		if (index) {
			put_lifetime(r, index);
			put_char(r, ' ');
		}
	}
	put(r, tag == 'Q' ? "mut " : "");
	show_type(r);
}

static void show_array(struct rust *r, char tag)
{
	put_char(r, '[');
	show_type(r);
	if (tag == 'A') {
		put(r, "; ");
		show_const(r, true);
	}
	put_char(r, ']');
}

static unsigned show_types(struct rust *r)
{
	unsigned n = 0;

	for (; more(r); n++) {
		put(r, n ? ", " : "");
		show_type(r);
	}
	return n;
}

static void show_tuple(struct rust *r)
{
	put_char(r, '(');
	put(r, show_types(r) == 1 ? ",)" : ")");
}

static void show_abi(struct rust *r)
{
	struct word w = {"C", 1, false};

	if (!eat(r, 'C'))
		w = word(r);
	put(r, "extern \"");
	for (size_t i = 0; i < w.n; i++)
		put_char(r, w.s[i] == '_' ? '-' : w.s[i]);
	put(r, "\" ");
}

static void show_function(struct rust *r)
{
	uint64_t bound = bind(r);

	put(r, eat(r, 'U') ? "unsafe " : "");
	if (eat(r, 'K'))
		show_abi(r);
	put(r, "fn(");
	show_types(r);
	put_char(r, ')');
	if (!eat(r, 'u')) {
		put(r, " -> ");
		show_type(r);
	}
	r->bound -= bound;
}

/* A trait's own arguments and what it is bound to stand between the same < and >. */
static bool show_open(struct rust *r)
{
	bool open = false;

	if (!enter(r)) {
		leave(r);
		return false;
	}
	if (eat(r, 'B')) {
		size_t here = r->at - 1, back;
		uint64_t to = number62(r);

		if (to >= here)
			fail(r);
		if (!r->quiet && !r->over) {
			back = r->at;
			r->at = (size_t)to;
			open = show_open(r);
			r->at = back;
		}
	} else if (eat(r, 'I')) {
		show_path(r, false);
		put_char(r, '<');
		show_arguments(r);
		open = true;
	} else {
		show_path(r, false);
	}
	leave(r);
	return open;
}

static void show_trait(struct rust *r)
{
	bool open = show_open(r);

	while (eat(r, 'p')) {
		put(r, open ? ", " : "<");
		open = true;
		put_word(r, word(r));
		put(r, " = ");
		show_type(r);
	}
	put(r, open ? ">" : "");
}

static void show_dyn(struct rust *r)
{
	uint64_t bound, index;

	put(r, "dyn ");
	bound = bind(r);
	for (bool first = true; more(r); first = false) {
		put(r, first ? "" : " + ");
		show_trait(r);
	}
	r->bound -= bound;
	if (!eat(r, 'L'))
		fail(r);
	index = number62(r);
	if (index) {
		put(r, " + ");
		put_lifetime(r, index);
	}
}

static void show_some_type(struct rust *r)
{
	char tag = next(r);

	if (basic(tag)) {
		put(r, basic(tag));
	} else if (tag == 'R' || tag == 'Q') {
		show_reference(r, tag);
	} else if (tag == 'P' || tag == 'O') {
		put(r, tag == 'P' ? "*const " : "*mut ");
		show_type(r);
	} else if (tag == 'A' || tag == 'S') {
		show_array(r, tag);
	} else if (tag == 'T') {
		show_tuple(r);
	} else if (tag == 'F') {
		show_function(r);
	} else if (tag == 'D') {
		show_dyn(r);
	} else if (tag == 'B') {
		again(r, again_type, false);
	} else if (tag) {
		r->at--;
		show_path(r, false);
	}
}

static void show_type(struct rust *r)
{
	if (enter(r))
		show_some_type(r);
	leave(r);
}

/* ---- constants ---- */

/* The digits until _, without zeros before them. */
static struct word digits(struct rust *r)
{
	struct word w = {NULL, 0, false};

	while (eat(r, '0'))
		;
	w.s = r->in + r->at;
	while (!r->over && peek(r) != '_') {
		int d = digit(next(r));

		if (d < 0 || d > 15)
			fail(r);
		w.n++;
	}
	eat(r, '_');
	return r->over ? (struct word){"", 0, false} : w;
}

static uint64_t value_of(struct word w)
{
	uint64_t n = 0;

	for (size_t i = 0; i < w.n; i++)
		n = n << 4 | (unsigned)digit(w.s[i]);
	return n;
}

static void show_integer(struct rust *r)
{
	struct word w = digits(r);

	if (w.n > 16) {
		put(r, "0x");
		put_bytes(r, w.s, w.n);
	} else {
		put_number(r, value_of(w));
	}
}

/* One character of a literal in QUOTE. */
static void put_letter(struct rust *r, uint32_t c, char quote)
{
	static const char hex[] = "0123456789abcdef";
	int shift = 20;

	if (c == (unsigned char)quote || c == '\\')
		put_char(r, '\\');
	if (c >= ' ' && c < 0x7f) {
		put_char(r, (char)c);
		return;
	}
	put(r, "\\u{");
	while (shift && !(c >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		put_char(r, hex[c >> shift & 15]);
	put_char(r, '}');
}

static void show_letter(struct rust *r)
{
	struct word w = digits(r);
	uint64_t c = w.n > 6 ? UINT64_MAX : value_of(w);

	if (c > 0x10ffff)
		fail(r);
	put_char(r, '\'');
	put_letter(r, (uint32_t)c, '\'');
	put_char(r, '\'');
}

/* The character of UTF-8 whose bytes are the digits at *AT of W; 0x110000: there is none. */
static uint32_t letter_at(struct word w, size_t *at)
{
	uint32_t c = (uint32_t)value_of((struct word){w.s + *at, 2, false});
	unsigned more_bytes = c < 0x80 ? 0 : c < 0xc0 ? 9 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;

	*at += 2;
	if (more_bytes > 3 || c > 0xf4 || (w.n - *at) / 2 < more_bytes)
		return 0x110000;
	c &= more_bytes ? 0x3fu >> more_bytes : 0x7fu;
	for (; more_bytes; more_bytes--, *at += 2)
		c = c << 6 | ((uint32_t)value_of((struct word){w.s + *at, 2, false}) & 0x3f);
	return c;
}

static void show_string(struct rust *r)
{
	size_t from = r->at;
	struct word w;

	digits(r);
	if (r->over)
		return;
	w = (struct word){r->in + from, r->at - 1 - from, false};
	if (w.n & 1)
		fail(r);
	put_char(r, '"');
	for (size_t at = 0; at < w.n && !r->over;) {
		uint32_t c = letter_at(w, &at);

		if (c > 0x10ffff)
			fail(r);
		put_letter(r, c, '"');
	}
	put_char(r, '"');
}

static unsigned show_consts(struct rust *r)
{
	unsigned n = 0;

	for (; more(r); n++) {
		put(r, n ? ", " : "");
		show_const(r, true);
	}
	return n;
}

static void show_fields(struct rust *r)
{
	put(r, " { ");
	for (bool first = true; more(r); first = false) {
		put(r, first ? "" : ", ");
		optional62(r, 's');
		put_word(r, word(r));
		put(r, ": ");
		show_const(r, true);
	}
	put(r, " }");
}

/* A value of a type, or of one of an enum's variants. */
static void show_value(struct rust *r)
{
	show_path(r, true);
	if (eat(r, 'S')) {
		show_fields(r);
	} else if (eat(r, 'T')) {
		put_char(r, '(');
		show_consts(r);
		put_char(r, ')');
	} else if (!eat(r, 'U')) {
		fail(r);
	}
}

static void show_made(struct rust *r, char tag)
{
	if (tag == 'e') {
		put_char(r, '*');
		show_string(r);
	} else if (tag == 'R' && eat(r, 'e')) {
		show_string(r);
	} else if (tag == 'R' || tag == 'Q') {
		put(r, tag == 'Q' ? "&mut " : "&");
		show_const(r, true);
	} else if (tag == 'A') {
		put_char(r, '[');
		show_consts(r);
		put_char(r, ']');
	} else if (tag == 'T') {
		put_char(r, '(');
		put(r, show_consts(r) == 1 ? ",)" : ")");
	} else {
		show_value(r);
	}
}

/* What is more than a literal is in braces, where it is an argument of its own. */
static void show_some_const(struct rust *r, bool inner)
{
	char tag = next(r);
	bool made = tag && strchr("eRQATV", tag);
	bool braces = made && !inner && !(tag == 'R' && peek(r) == 'e');

	if (braces)
		put_char(r, '{');
	if (made) {
		show_made(r, tag);
	} else if (tag == 'p') {
		put_char(r, '_');
	} else if (tag == 'B') {
		again(r, show_const, inner);
	} else if (tag == 'b') {
		struct word w = digits(r);

		put(r, value_of(w) ? "true" : "false");
	} else if (tag == 'c') {
		show_letter(r);
	} else if (tag && strchr("aslxni", tag)) {
		put(r, eat(r, 'n') ? "-" : "");
		show_integer(r);
	} else if (tag && strchr("htmyoj", tag)) {
		show_integer(r);
	} else {
		fail(r);
	}
	if (braces)
		put_char(r, '}');
}

static void show_const(struct rust *r, bool inner)
{
	if (enter(r))
		show_some_const(r, inner);
	leave(r);
}

/* ---- both manglings ---- */

static bool is_v0(const char *name, char *out, size_t room)
{
	struct rust r = {.in = name + 2, .out = out, .room = room};

	r.size = strcspn(r.in, ".$");
	show_path(&r, true);
	r.quiet = true;
	if (!r.over && r.at < r.size) /* the crate that it was made for */
		show_path(&r, false);
	out[r.length] = 0;
	return r.length && !r.wrong && (r.over || r.at == r.size);
}

/* "17h" and sixteen hexadecimal digits come last. */
static bool is_hash(const char *s, size_t n)
{
	return n == 17 && s[0] == 'h' && strspn(s + 1, "0123456789abcdef") >= 16;
}

/* "$u7e$": any other character of ASCII. */
static size_t put_numbered(struct rust *r, const char *s, size_t n)
{
	int high = n < 5 ? -1 : digit(s[2]), low = n < 5 ? -1 : digit(s[3]);

	if (high < 2 || high > 7 || low < 0 || low > 15 || memcmp(s, "$u", 2) != 0 || s[4] != '$')
		return 0;
	put_char(r, (char)(high << 4 | low));
	return 5;
}

/* What stands for the characters that a symbol may not have; returns how much of S that is. */
static size_t put_escape(struct rust *r, const char *s, size_t n)
{
	static const struct {
		const char *from, *to;
	} escapes[] = {{"..", "::"}, {"$LT$", "<"}, {"$GT$", ">"}, {"$LP$", "("}, {"$RP$", ")"},
		       {"$C$", ","}, {"$SP$", "@"}, {"$BP$", "*"}, {"$RF$", "&"}};
	size_t length = put_numbered(r, s, n);

	if (length)
		return length;
	for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
		length = strlen(escapes[i].from);
		if (length > n || memcmp(s, escapes[i].from, length) != 0)
			continue;
		put(r, escapes[i].to);
		return length;
	}
	put_char(r, *s);
	return 1;
}

static void put_part(struct rust *r, struct word w)
{
	/* A part that would begin with $ has _ before it. */
	size_t at = w.n > 1 && w.s[0] == '_' && w.s[1] == '$';

	while (at < w.n && !r->over)
		at += put_escape(r, w.s + at, w.n - at);
}

static bool is_legacy(const char *name, char *out, size_t room)
{
	struct rust r = {.in = name + 3, .size = strlen(name + 3), .out = out, .room = room};
	bool hashed = false;

	while (!r.wrong && !eat(&r, 'E')) {
		struct word w = counted(&r, 0);

		hashed = is_hash(w.s, w.n) && peek(&r) == 'E';
		if (hashed)
			continue;
		put(&r, r.length ? "::" : "");
		put_part(&r, w);
		r.over = r.wrong; /* what is read matters, even where there is no room */
	}
	out[r.length] = 0;
	return hashed && r.length && !r.wrong && (r.at == r.size || r.in[r.at] == '.');
}

bool pg_rust_name(const char *mangled, char *name, size_t size)
{
	if (!size)
		return false;
	if (!strncmp(mangled, "_R", 2))
		return is_v0(mangled, name, size);
	return !strncmp(mangled, "_ZN", 3) && is_legacy(mangled, name, size);
}
