/* SPDX-License-Identifier: MIT */
/* peer=: addresses, networks and the globs of paths, read and printed. */
#include "rules/rule_peer.h"

#include "base/ip.h"
#include "rules/rule_words.h"

#include <sys/socket.h>

/* ---- reading ---- */

/* a.b.c.d; a leading zero is refused, since some would read an octal number. */
static bool take_ip4(struct pg_rest *r, uint8_t *ip)
{
	for (int i = 0; i < 4; i++) {
		uint64_t v;
		const char *digits;

		if (i && !pg_take(r, "."))
			return false;
		digits = r->s;
		if (!pg_take_number(r, &v) || v > 255 || (*digits == '0' && r->s > digits + 1))
			return false;
		ip[i] = (uint8_t)v;
	}
	return true;
}

/* One group of an IPv6 address at IP, or the a.b.c.d that ends one. Returns the bytes, 0: neither.
 */
static unsigned take_group(struct pg_rest *r, uint8_t *ip, unsigned room)
{
	struct pg_rest dotted = *r;
	uint64_t v;

	if (room >= 4 && take_ip4(&dotted, ip)) {
		*r = dotted;
		return 4;
	}
	if (room < 2 || !pg_take_hex(r, 4, &v))
		return 0;
	ip[0] = (uint8_t)(v >> 8);
	ip[1] = (uint8_t)v;
	return 2;
}

/* What stands behind "::", at GAP in the N bytes of IP, belongs to the end. */
static void spread(uint8_t ip[16], unsigned gap, unsigned n)
{
	unsigned behind = n - gap;

	for (unsigned i = 1; i <= behind; i++)
		ip[16 - i] = ip[n - i];
	for (unsigned i = gap; i < 16 - behind; i++)
		ip[i] = 0;
}

static bool take_ip6(struct pg_rest *r, uint8_t ip[16])
{
	unsigned n = 0, got;
	int gap = pg_take(r, "::") ? 0 : -1;

	while ((got = take_group(r, ip + n, 16 - n))) {
		n += got;
		if (got == 4)
			break;
		if (gap < 0 && pg_take(r, "::"))
			gap = (int)n;
		else if (n == 16 || !pg_take(r, ":"))
			break;
	}
	if (gap < 0)
		return n == 16;
	if (n == 16 || r->s[-1] == ':')
		return n < 16 && gap == (int)n;
	spread(ip, (unsigned)gap, n);
	return true;
}

static void clear_host(uint8_t ip[16], unsigned bits)
{
	for (unsigned i = bits / 8; i < 16; i++)
		ip[i] = (uint8_t)(ip[i] & (i == bits / 8 ? 0xff00 >> bits % 8 : 0));
}

/* An IP address, a network, [v6], or the glob of a path. */
static bool one_peer(struct pg_parse *p, const struct pg_field_row *f, struct pg_word w, unsigned n)
{
	struct pg_net *net = &p->out->net[p->nets++];
	struct pg_rest r = pg_rest_of(p, w);
	uint64_t bits;
	bool ok, v6 = pg_take(&r, "[");

	(void)f, (void)n;
	pg_add_word(p, &p->rule->peer, w);
	__builtin_memset(net, 0, sizeof *net);
	if (!v6 && (*r.s == '/' || *r.s == '@' || *r.s == '*')) {
		net->family = AF_UNIX;
		return true;
	}
	net->family = v6 ? AF_INET6 : AF_INET;
	bits = v6 ? 128 : 32;
	ok = v6 ? take_ip6(&r, net->ip) && pg_take(&r, "]") : take_ip4(&r, net->ip);
	if (ok && pg_take(&r, "/"))
		ok = pg_take_number(&r, &bits) && bits <= (v6 ? 128 : 32);
	if (!ok || !pg_rest_done(&r))
		return pg_parse_fail_near(
			p, w,
			"not an address (10.0.0.9, 10.0.0.0/8, [::1], [fd00::]/8) "
			"or the glob of a path (/run/*):",
			pg_word_is(p, w, "localhost") ? "127.0.0.1" : NULL);
	net->bits = (uint8_t)bits;
	clear_host(net->ip, net->bits);
	return true;
}

bool pg_read_peer(struct pg_parse *p, const struct pg_field_row *f, struct pg_word v)
{
	p->rule->net = (uint16_t)p->nets;
	return pg_each_word(p, f, v, one_peer);
}

/* ---- printing ---- */

void pg_print_peer(struct pg_text *t, const struct pg_value *v)
{
	if (v->rule->peer.negate)
		pg_put_char(t, '!');
	for (unsigned i = 0; i < v->rule->peer.n; i++) {
		const struct pg_net *net = &v->set->net[v->rule->net + i];
		struct pg_word w = v->set->word[v->rule->peer.at + i];
		unsigned whole = net->family == AF_INET ? 32 : 128;

		if (i)
			pg_put_char(t, ',');
		if (net->family == AF_UNIX) {
			pg_put_bytes(t, v->set->text + w.at, w.len);
			continue;
		}
		if (net->family == AF_INET) {
			pg_put_ip4(t, net->ip);
		} else {
			pg_put_char(t, '[');
			pg_put_ip6(t, net->ip);
			pg_put_char(t, ']');
		}
		if (net->bits == whole)
			continue;
		pg_put_char(t, '/');
		pg_put_u64(t, net->bits);
	}
}
