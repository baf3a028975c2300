/*
 * A disk that fails on demand, to be preloaded: the calls by which a recording reaches its files, with the
 * N-th call of a kind replaced by an error, a short transfer or a delay.
 *
 *     FAULTS="pwritev:ENOSPC:3:1 ftruncate:EIO:1:0"      call:what:first:count; count 0: from then on
 *
 * `anonymous` is mmap of memory of one's own, and only the extension's: the interpreter's goes on.
 *
 * `what`: an errno's number, "short" (10 bytes are written), "slow" (100 ms), "full" (fstatvfs: nothing is free).
 * Calls are counted per kind, and only those that the extension makes: a program under test uses none of
 * them on its own files (mmap: shared mappings of a descriptor alone). FAULT_COUNTS names a file that gets
 * "call count" lines at exit.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

enum call { PWRITEV, FTRUNCATE, FALLOCATE, MMAP, ANONYMOUS, MADVISE, FSTATVFS, CALL_COUNT };
static const char *const call_names[CALL_COUNT] = {
	"pwritev", "ftruncate", "fallocate", "mmap", "anonymous", "madvise", "fstatvfs",
};
enum { NOTHING = 0, SHORT = -1, SLOW = -2, FULL = -3 };

static atomic_uint counts[CALL_COUNT];

/* An errno, one of the above, or NOTHING, for this call. Read from the environment at each call: no start-up. */
static int fault(enum call call)
{
	const unsigned number = ++counts[call];
	const size_t length = strlen(call_names[call]);
	const char *at = getenv("FAULTS");

	for (; at && *at; at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL) {
		char what[16];
		unsigned first, count;
		if (strncmp(at, call_names[call], length) != 0 || at[length] != ':' ||
		    sscanf(at + length, ":%15[^:]:%u:%u", what, &first, &count) != 3)
			continue;
		if (number < first || (count && number >= first + count))
			continue;
		return strcmp(what, "short") == 0 ? SHORT : strcmp(what, "slow") == 0 ? SLOW :
		       strcmp(what, "full") == 0 ? FULL : atoi(what);
	}
	return NOTHING;
}

__attribute__((destructor)) static void tell_counts(void)
{
	const char *const path = getenv("FAULT_COUNTS");
	FILE *const file = path ? fopen(path, "w") : NULL;

	for (int i = 0; file && i < CALL_COUNT; i++)
		fprintf(file, "%s %u\n", call_names[i], (unsigned)counts[i]);
	if (file)
		fclose(file);
}

/* Give the call to the C library. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
	const int what = fault(PWRITEV);

	if (what > 0) {
		errno = what;
		return -1;
	}
	if (what == SHORT) {
		const struct iovec part = { parts[0].iov_base, parts[0].iov_len < 10 ? parts[0].iov_len : 10 };
		return REAL(pwritev)(fd, &part, 1, offset);
	}
	if (what == SLOW)
		usleep(100000);
	return REAL(pwritev)(fd, parts, count, offset);
}

int ftruncate(int fd, off_t size)
{
	const int what = fault(FTRUNCATE);

	if (what > 0) {
		errno = what;
		return -1;
	}
	return REAL(ftruncate)(fd, size);
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
	const int what = fault(FALLOCATE);

	if (what > 0) {
		errno = what;
		return -1;
	}
	return REAL(fallocate)(fd, mode, offset, size);
}

/* Does the code at `address` belong to the extension? */
static bool is_ours(const void *address)
{
	Dl_info info;
	return dladdr(address, &info) && info.dli_fname && strstr(info.dli_fname, "cPyMemTrace");
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	int what = NOTHING;

	if (flags & MAP_SHARED && fd >= 0 && protection & PROT_WRITE)
		what = fault(MMAP);
	else if (flags & MAP_ANONYMOUS && is_ours(__builtin_return_address(0)))
		what = fault(ANONYMOUS);

	if (what > 0) {
		errno = what;
		return MAP_FAILED;
	}
	return REAL(mmap)(address, size, protection, flags, fd, offset);
}

int madvise(void *memory, size_t size, int advice)
{
	const int what = advice == 23 ? fault(MADVISE) : NOTHING;       /* MADV_POPULATE_WRITE */

	if (what > 0) {
		errno = what;
		return -1;
	}
	return REAL(madvise)(memory, size, advice);
}

int fstatvfs(int fd, struct statvfs *status)
{
	const int result = REAL(fstatvfs)(fd, status);

	if (fault(FSTATVFS) == FULL)
		status->f_bavail = status->f_bfree = 0;
	return result;
}
