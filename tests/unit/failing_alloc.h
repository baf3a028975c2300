/*
 * Allocation that fails at the N-th call, for programs of one source file that are linked with
 *
 *     -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc
 *
 *     for (failing_alloc_from(1); (status = work()) != MT_OK; failing_alloc_from(++n))
 *             ck_assert_int_eq(status, MT_ERR_NO_MEMORY);
 *
 * Only calls in our own code are caught; shared libraries keep theirs.
 */
#ifndef FAILING_ALLOC_H
#define FAILING_ALLOC_H

#include <stddef.h>

/* Calls until allocation fails; it then goes on failing, but for failing_alloc_once(). 0: never. */
static _Thread_local unsigned failing_alloc_countdown;
static _Thread_local unsigned failing_alloc_failed;
static int failing_alloc_is_once;

static inline void failing_alloc_from(unsigned call)
{
	failing_alloc_countdown = call;
	failing_alloc_failed = 0;
	failing_alloc_is_once = 0;
}

static inline void failing_alloc_once(unsigned call)
{
	failing_alloc_from(call);
	failing_alloc_is_once = 1;
}

static inline int failing_alloc_now(void)
{
	if (failing_alloc_countdown > 1) {
		failing_alloc_countdown--;
		return 0;
	}
	const int fails = failing_alloc_countdown != 0;
	failing_alloc_failed += failing_alloc_countdown;
	if (failing_alloc_is_once)
		failing_alloc_countdown = 0;
	return fails;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_malloc(size_t size)
{
	return failing_alloc_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return failing_alloc_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return failing_alloc_now() ? NULL : __real_realloc(memory, size);
}

#endif
