/*
 * What fuzz targets share: the two entry points, and a check that stays in every build.
 *
 * A target reads any bytes and must neither crash, nor loop, nor break a promise of the headers.
 * libFuzzer drives it (--enable-fuzzing), or replay.c does with the files that it is given.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libFuzzer's own mutator; replay.c has none and never asks for it. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* Optional in a target. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

#define FUZZ_CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

#endif
