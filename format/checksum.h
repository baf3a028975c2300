/*
 * CRC-32C (Castagnoli), the checksum of every uncompressed header (format.md §11).
 *
 * mt_crc32c(0, data, size) starts; feeding the result back in continues over the next range.
 */
#ifndef MT_CHECKSUM_H
#define MT_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint32_t mt_crc32c(uint32_t crc, const void *data, size_t size);

/* The same without the processor's own instruction; a test compares the two. */
uint32_t mt_crc32c_portable(uint32_t crc, const void *data, size_t size);

#endif
