/* SPDX-License-Identifier: MIT */
/* run [N] <SEEDS: a fuzz target without libFuzzer. Gives it each seed (a line of hexadecimal
 * digits), then N changes of them, always the same ones. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS = 1000, SIZE = 2000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct seed {
	size_t size;
	uint8_t data[SIZE];
} seeds[SEEDS];
static unsigned count;

static uint32_t chance(uint32_t below)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % below;
}

static void read_seeds(void)
{
	static char line[2 * SIZE + 2];

	while (count < SEEDS && fgets(line, sizeof line, stdin)) {
		struct seed *s = &seeds[count++];
		unsigned byte;

		for (s->size = 0; sscanf(line + 2 * s->size, "%2x", &byte) == 1; s->size++)
			s->data[s->size] = (uint8_t)byte;
	}
}

/* Another seed's end, bytes of chance, or the largest and smallest. */
static void change(struct seed *s)
{
	static const uint8_t odd[] = {0, 1, '"', '\\', '\n', 0x1b, 0x7f, 0xff};
	const struct seed *other = &seeds[chance(count)];
	size_t at = chance((uint32_t)s->size + 1);

	if (chance(3) == 0 && other->size > at) {
		memcpy(s->data + at, other->data + at, other->size - at);
		s->size = other->size;
	}
	for (unsigned n = chance(40); n && s->size; n--)
		s->data[chance((uint32_t)s->size)] =
			n & 1 ? odd[chance(sizeof odd)] : (uint8_t)chance(256);
	if (chance(4) == 0 && s->size + 300 < SIZE)
		for (unsigned n = chance(300); n; n--)
			s->data[s->size++] = (uint8_t)chance(256);
}

int main(int argc, char **argv)
{
	static struct seed s;
	long changes = argc > 1 ? atol(argv[1]) : 0;

	read_seeds();
	for (unsigned i = 0; i < count; i++)
		LLVMFuzzerTestOneInput(seeds[i].data, seeds[i].size);
	for (long i = 0; count && i < changes; i++) {
		s = seeds[chance(count)];
		change(&s);
		LLVMFuzzerTestOneInput(s.data, s.size);
	}
	printf("%u seeds, %ld changes\n", count, changes);
	return count == 0;
}
