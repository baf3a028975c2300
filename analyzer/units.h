/*
 * Sizes, numbers and times as people write and read them.
 */
#ifndef UNITS_H
#define UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * "4096", "4K", "4KiB", "1.5M", "2GB": K M G T are powers of 1024 with or without "iB" or "B".
 * false if it is not one or does not fit.
 */
bool units_parse_size(const char *text, uint64_t *bytes_out);

/* "100ns", "50us", "1.5ms", "2s": a unit is needed, fractions of a ns are cut. false if it is not one or does not fit. */
bool units_parse_duration(const char *text, uint64_t *ns_out);

/* "9.1 MiB", "512 B" into `room`; a sign is kept. Returns `room`. */
const char *units_format_size(int64_t bytes, char *room, size_t room_size);

/* "1.2 s", "350 ms", "2 h 05 min". Returns `room`. */
const char *units_format_duration(uint64_t time_ns, char *room, size_t room_size);

#endif
