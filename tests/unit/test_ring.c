#include "recorder/ring.h"

#include <pthread.h>

#include "tests/unit/suite.h"

#define CAPACITY 64U

static struct mt_tail_page *make_page(void)
{
	const struct mt_tail_spec spec = {
		.capacity = CAPACITY, .arena_size = MT_TAIL_PAGE_SIZE, .tick_num = 10, .tick_den = 1,
	};
	struct mt_tail_page *page = aligned_alloc(MT_TAIL_PAGE_SIZE,
						  2 * MT_TAIL_PAGE_SIZE + MT_TAIL_PAGE_SIZE);

	mt_tail_page_init(page, &spec);
	return page;
}

static struct ring ring_over(struct mt_tail_page *page)
{
	return (struct ring){ .records = mt_tail_ring(page), .page = page, .mask = CAPACITY - 1 };
}

static struct mt_record record_of(uint64_t i)
{
	return (struct mt_record){ i, ~i, i * 0x9E3779B97F4A7C15U };
}

START_TEST(a_record_is_in_its_slot_when_it_is_committed)
{
	struct mt_tail_page *page = make_page();
	struct ring ring = ring_over(page);

	for (uint64_t i = 0; i < 3 * CAPACITY; i++) {
		ring_allow(&ring, 1);
		ck_assert(ring_has_room(&ring));
		ring_put(&ring, record_of(i));
		ck_assert_uint_eq(atomic_load(&page->committed), i + 1);
		ck_assert_uint_eq(mt_tail_ring(page)[i % CAPACITY].w0, record_of(i).w0);
		ck_assert_uint_eq(mt_tail_ring(page)[i % CAPACITY].w1, record_of(i).w1);
		ck_assert_uint_eq(mt_tail_ring(page)[i % CAPACITY].w2, record_of(i).w2);
		ck_assert(!ring_has_room(&ring));
	}
	free(page);
}
END_TEST

#define HANDED_OVER 500000U

/* Takes records out as the flusher does; gives the number of wrong ones. */
static void *take_all(void *argument)
{
	struct mt_tail_page *page = argument;
	uintptr_t wrong = 0;

	for (uint64_t taken = 0; taken < HANDED_OVER;) {
		const uint64_t committed = atomic_load_explicit(&page->committed, memory_order_acquire);
		for (; taken < committed; taken++) {
			const struct mt_record record = mt_tail_ring(page)[taken % CAPACITY];
			const struct mt_record right = record_of(taken);
			wrong += record.w0 != right.w0 || record.w1 != right.w1 || record.w2 != right.w2;
		}
		atomic_store_explicit(&page->flushed, taken, memory_order_release);
	}
	return (void *)wrong;
}

START_TEST(another_thread_sees_whole_records_in_order)
{
	struct mt_tail_page *page = make_page();
	struct ring ring = ring_over(page);
	pthread_t thread;
	void *wrong;

	ck_assert_int_eq(pthread_create(&thread, NULL, take_all, page), 0);
	for (uint64_t i = 0; i < HANDED_OVER; i++) {
		while (!ring_has_room(&ring))
			ring_allow(&ring, atomic_load_explicit(&page->flushed, memory_order_acquire) + CAPACITY - ring.head);
		ring_put(&ring, record_of(i));
	}
	pthread_join(thread, &wrong);
	ck_assert_ptr_null(wrong);
	free(page);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("ring");

	tcase_add_test(tcase, a_record_is_in_its_slot_when_it_is_committed);
	tcase_add_test(tcase, another_thread_sees_whole_records_in_order);
	return suite_run("ring", tcase);
}
