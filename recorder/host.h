/*
 * What a trace's header says about the machine and the process, as far as no Python is needed for it:
 * host, kernel, boot, processor, working directory, memory limit, UTC offset, the process's age.
 */
#ifndef HOST_H
#define HOST_H

#include "format/header.h"

/* Append the TLVs to `out`; what cannot be found out is left out. */
void host_describe(struct mt_out *out);

/*
 * Append the TLVs of `tlvs` (encoded) to `out`, as far as there is room: the small ones whole, then the
 * large ones, texts cut to what is left. A TLV that is not text is left out rather than cut.
 */
void host_append(struct mt_out *out, const uint8_t *tlvs, size_t size);

/*
 * The lowest limit on this process's memory among its control group and those above it, in bytes.
 * `root` is "" but in tests: the directory that /proc and /sys are looked for in. 0: none.
 */
uint64_t host_memory_limit(const char *root);

#endif
