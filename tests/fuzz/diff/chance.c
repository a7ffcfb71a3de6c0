/* SPDX-License-Identifier: MIT */
#include "diff.h"

#include <string.h>

static uint64_t state;
static bool off[CLASS_COUNT];

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

void chance_begin(uint64_t seed, uint64_t step)
{
	state = mix(mix(seed) + step);
}

unsigned below(unsigned n)
{
	state += 0x9e3779b97f4a7c15u;
	return (unsigned)((mix(state) >> 32) * n >> 32);
}

bool percent(unsigned p)
{
	return below(100) < p;
}

bool on(enum class c)
{
	return !off[c];
}

static int class_named(const char *name, size_t len)
{
	static const char *const names[] = {
#define X(word) #word,
		CLASSES(X)
#undef X
	};

	for (int c = 0; c < CLASS_COUNT; c++)
		if (strlen(names[c]) == len && !memcmp(names[c], name, len))
			return c;
	return -1;
}

bool classes_set(const char *names, bool only)
{
	if (only)
		memset(off, 1, sizeof off);
	while (*names) {
		size_t len = strcspn(names, ",");
		int c = class_named(names, len);

		if (c < 0)
			return false;
		off[c] = !only;
		names += len + (names[len] == ',');
	}
	return true;
}
