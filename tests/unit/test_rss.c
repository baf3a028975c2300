#include "recorder/rss.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

#include "recorder/clock.h"
#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static volatile uint8_t *map_pages(size_t count)
{
	uint8_t *pages = mmap(NULL, count * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(pages, MAP_FAILED);
	madvise(pages, count * page_size(), MADV_NOHUGEPAGE);
	return pages;
}

static void touch(volatile uint8_t *pages, size_t count)
{
	for (size_t i = 0; i < count; i++)
		pages[i * page_size()] = 1;
}

static const struct {
	const char *text;
	bool good;
	uint32_t pages;
} statm_texts[] = {
	{ "5000 1234 300 1 0 400 0\n", true, 1234 },
	{ "0 0 0 0 0 0 0\n", true, 0 },
	{ "99999999999 99999999999 1 1 1 1 1\n", true, UINT32_MAX },
	{ "", false, 0 },
	{ "\n", false, 0 },
	{ "5000 1234 300 1 0 400\n", false, 0 },
	{ "5000 1234 300 1 0 400 0", false, 0 },
	{ "5000 1234 300 1 0 400 0 7\n", false, 0 },
	{ "5000 1234 300 1 0 400 0\n1\n", false, 0 },
	{ "5000  1234 300 1 0 400 0\n", false, 0 },
	{ " 5000 1234 300 1 0 400 0\n", false, 0 },
	{ "5000 -1234 300 1 0 400 0\n", false, 0 },
	{ "5000 12a4 300 1 0 400 0\n", false, 0 },
	{ "127.0.0.1 localhost\n", false, 0 },
	{ "1 2 3 4 5 6 7                                                                                "
	  "                                        \n", false, 0 },
};

START_TEST(only_what_looks_like_statm_all_through_is_believed)
{
	const int fd = scratch_file("statm", statm_texts[_i].text);
	uint32_t pages = 77;

	errno = EXDEV;
	ck_assert_int_eq(rss_statm_read(fd, &pages), statm_texts[_i].good);
	ck_assert_uint_eq(pages, statm_texts[_i].good ? statm_texts[_i].pages : 77);
	ck_assert_int_eq(errno, EXDEV);
	close(fd);
}
END_TEST

START_TEST(a_descriptor_that_cannot_be_read_gives_no_figure)
{
	int pipe_fds[2];
	uint32_t pages = 77;

	errno = EXDEV;
	ck_assert(!rss_statm_read(-1, &pages));
	ck_assert_int_eq(pipe(pipe_fds), 0);
	errno = EXDEV;
	ck_assert(!rss_statm_read(pipe_fds[0], &pages));
	ck_assert_int_eq(errno, EXDEV);
	ck_assert_uint_eq(pages, 77);
}
END_TEST

START_TEST(sources_have_names_and_auto_takes_the_first_that_is_worth_it)
{
	struct rss rss;

	ck_assert(!rss_start(&rss, "no such source"));
	ck_assert_ptr_null(rss.source);
	rss_stop(&rss);
	ck_assert(rss_start(&rss, "auto"));
	ck_assert(!rss.source->worth || rss.source->worth(&rss));
	ck_assert_str_ne(rss.source->name, "exact");
	rss_stop(&rss);
	for (size_t i = 0; rss_sources[i]; i++) {
		if (!rss_start(&rss, rss_sources[i]->name)) {
			ck_assert_str_ne(rss_sources[i]->name, "exact");
			continue;
		}
		ck_assert_str_eq(rss.source->name, rss_sources[i]->name);
		ck_assert_uint_eq(rss_pages(&rss), 0);
		rss_stop(&rss);
	}
}
END_TEST

START_TEST(growth_and_release_are_seen_to_the_page)
{
	const size_t count = 1000;
	struct rss rss;
	volatile uint8_t *pages = map_pages(count);

	if (scratch_emulated() || SCRATCH_SANITIZED) {
		printf("NOT RUN: RSS to the page, which is also an emulator's or a sanitizer's here\n");
		return;
	}
	ck_assert(rss_start(&rss, "exact"));
	ck_assert_uint_eq(rss.gap_ns, 0);
	ck_assert(rss.source->update(&rss));
	const uint32_t before = rss_pages(&rss);
	touch(pages, count);
	ck_assert(rss.source->update(&rss));
	const uint32_t with = rss_pages(&rss);
	munmap((void *)pages, count * page_size());
	ck_assert(rss.source->update(&rss));
	const uint32_t after = rss_pages(&rss);

	/* A sanitizer's runtime grows at times of its own; kernels before 6.12 are off by some pages. */
	const uint32_t slack = 64 + 2 * rss.granularity_pages;
	ck_assert_uint_ge(with + slack, before + count);
	ck_assert_uint_le(with, before + count + slack);
	ck_assert_uint_le(after, before + slack);
	ck_assert_uint_ge(rss.peak_pages, with);
	ck_assert_uint_eq(rss.reads, 3);
	ck_assert_uint_eq(rss.failed_reads, 0);
	rss_stop(&rss);
}
END_TEST

START_TEST(the_footprint_is_taken_off_but_never_more_than_there_is)
{
	struct rss rss = { .fd = -1 };

	rss_footprint_pages = 30;
	rss_take(&rss, 100);
	ck_assert_uint_eq(rss_pages(&rss), 70);
	rss_take(&rss, 20);
	ck_assert_uint_eq(rss_pages(&rss), 0);
	ck_assert_uint_eq(rss.peak_pages, 70);
	rss_footprint_add(-100);
	ck_assert_uint_eq(rss_footprint_pages, 0);
	rss_footprint_add(50);
	rss_footprint_add(-20);
	ck_assert_uint_eq(rss_footprint_pages, 30);
}
END_TEST

START_TEST(a_measured_footprint_must_be_possible)
{
	ck_assert_int_eq(rss_plausible(1000, 1000), 1000);
	ck_assert_int_eq(rss_plausible(1100, 1000), 1100);
	ck_assert_int_eq(rss_plausible(999, 1000), 1000);
	ck_assert_int_eq(rss_plausible(-5, 1000), 1000);
	ck_assert_int_eq(rss_plausible(100000, 1000), 1000);
}
END_TEST

START_TEST(a_closed_statm_is_opened_again)
{
	struct rss rss;

	ck_assert(rss_start(&rss, "exact"));
	close(rss.fd);
	errno = EXDEV;
	ck_assert(rss.source->update(&rss));
	ck_assert_int_eq(errno, EXDEV);
	ck_assert_uint_eq(rss.failed_reads, 1);
	ck_assert_uint_gt(rss.peak_pages, 0);
	rss_stop(&rss);
}
END_TEST

START_TEST(a_reused_descriptor_is_the_programs_and_its_content_no_figure)
{
	struct rss rss;
	char text[8];

	ck_assert(rss_start(&rss, "exact"));
	ck_assert(rss.source->update(&rss));
	const int number = rss.fd;
	const int file = scratch_file("users", "1 2 3\n");
	ck_assert_int_eq(dup2(file, number), number);
	ck_assert(rss.source->update(&rss));
	ck_assert_int_ne(rss.fd, number);
	ck_assert_uint_gt(rss_pages(&rss), 3);
	rss_stop(&rss);
	/* Still open, still at its own place in the file. */
	ck_assert_int_eq(lseek(number, 0, SEEK_CUR), 6);
	ck_assert_int_eq(pread(number, text, sizeof(text), 0), 6);
}
END_TEST

START_TEST(without_an_answer_the_last_figure_stays)
{
	struct rss rss;

	ck_assert(rss_start(&rss, "exact"));
	ck_assert(rss.source->update(&rss));
	const uint32_t last = rss_pages(&rss);
	/* No descriptor can be opened any more: the failure lasts. */
	for (int i = 0; i < 100; i++) {
		close(rss.fd);
		rss.fd = -1;
		rss.failed_in_row = 2;          /* the next is the third: not a power of two */
		ck_assert(!rss.source->update(&rss));
		ck_assert_uint_eq(rss_pages(&rss), last);
	}
	ck_assert_uint_eq(rss.failed_reads, 100);
	rss.failed_in_row = 3;
	ck_assert(rss.source->update(&rss));
	rss_stop(&rss);
}
END_TEST

START_TEST(the_kernels_own_figures_are_given_whole)
{
	rss_footprint_pages = 1000000;
	const uint64_t pages = rss_kernel_pages();
	ck_assert_uint_gt(pages, 0);
	/* The peak is kept in counters that lag behind by some pages. */
	ck_assert_uint_ge(rss_kernel_peak_bytes() + 1024 * page_size(), pages * page_size());
	rss_footprint_pages = 0;
}
END_TEST

static const struct {
	uint64_t gap_raw, max_age_raw, last_raw, asked_raw, raw;
	bool due;
} due_cases[] = {
	{ 0, UINT64_MAX, 1000, 1000, 1000, true },      /* exact: always */
	{ 500, UINT64_MAX, 1000, 1000, 1499, false },
	{ 500, UINT64_MAX, 1000, 1000, 1500, true },
	{ 500, UINT64_MAX, 1000, 0, 1400, false },      /* no age: however old */
	{ 500, 10000, 19000, 10000, 19400, false },
	{ 500, 10000, 19900, 10000, 20000, true },      /* the age */
	{ 500, 10000, 0, 10000, 19000, true },          /* the gap */
};

START_TEST(a_gap_or_an_age_makes_a_question_due)
{
	const struct rss rss = {
		.gap_raw = due_cases[_i].gap_raw,
		.max_age_raw = due_cases[_i].max_age_raw,
		.asked_raw = due_cases[_i].asked_raw,
	};

	ck_assert_int_eq(rss_due(&rss, due_cases[_i].last_raw, due_cases[_i].raw), due_cases[_i].due);
}
END_TEST

/* Ways to change RSS by one page, each followed by an event. */
enum change { CHANGE_TOUCH, CHANGE_DROP, CHANGE_KERNEL_TOUCH, CHANGE_FILE, CHANGE_COUNT };

/* Asserts nothing: Check itself touches memory when it does. */
static bool change_page(enum change change, volatile uint8_t *page, int file)
{
	if (change == CHANGE_TOUCH)
		*page = 1;
	else if (change == CHANGE_DROP)
		return madvise((void *)(uintptr_t)page, page_size(), MADV_DONTNEED) == 0;
	else if (change == CHANGE_KERNEL_TOUCH)
		return pread(file, (void *)(uintptr_t)page, 16, 0) == 16;
	else
		(void)*page;
	return true;
}

START_TEST(no_figure_behind_a_gap_is_stale)
{
	enum { PAGES = 2000 };
	const enum change change = (enum change)(_i % CHANGE_COUNT);
	const char *const source = _i < CHANGE_COUNT ? "gap" : "faults";
	struct rss rss;
	uint64_t last_raw = 0, stale = 0, failed = 0;

	if (scratch_emulated() || SCRATCH_SANITIZED || !rss_start(&rss, source)) {
		printf("NOT RUN: no source \"%s\" on this machine, or an emulator or a sanitizer in its way\n",
		       source);
		return;
	}
	ck_assert_uint_ge(rss.gap_ns, 100);
	ck_assert_uint_le(rss.gap_ns, _i < CHANGE_COUNT ? 1000 : 10000);
	ck_assert_uint_gt(rss.max_age_ns, 0);
	rss.max_age_raw = UINT64_MAX;           /* what the gap alone does */
	const int file = scratch_file("pages", "");
	ck_assert_int_eq(ftruncate(file, PAGES * (off_t)page_size()), 0);
	const int own = open("/proc/self/statm", O_RDONLY);
	volatile uint8_t *pages = change == CHANGE_FILE
		? mmap(NULL, PAGES * page_size(), PROT_READ, MAP_SHARED, file, 0)
		: map_pages(PAGES);
	if (change == CHANGE_DROP)
		touch(pages, PAGES);
	for (size_t i = 0; i < PAGES; i++) {
		failed += !change_page(change, pages + i * page_size(), file);
		const uint64_t raw = clock_now_ns(CLOCK_MONOTONIC);
		if (rss_due(&rss, last_raw, raw))
			failed += !rss.source->update(&rss);
		uint32_t now = 0;
		rss_statm_read(own, &now);
		stale += now != rss_pages(&rss);
		last_raw = clock_now_ns(CLOCK_MONOTONIC);
	}
	ck_assert_uint_eq(failed, 0);
	/* An older kernel's counters, or a sanitizer's thread, may be off between two reads. */
	ck_assert_uint_le(stale, PAGES / 100);
	rss_stop(&rss);
}
END_TEST

static void *events_of_another_thread(void *argument)
{
	struct rss *const rss = argument;
	volatile uint8_t *const page = map_pages(1);
	const uint64_t last_raw = clock_now_ns(CLOCK_MONOTONIC);

	rss->asked_raw = last_raw;
	if (!rss_due(rss, last_raw, last_raw))
		return (void *)(uintptr_t)"its first event does not ask";
	rss->source->update(rss);
	if (rss->faults && rss_due(rss, last_raw, last_raw))
		return (void *)(uintptr_t)"asked, and asks again";
	*page = 1;
	if (rss->faults && !rss_due(rss, last_raw, last_raw))
		return (void *)(uintptr_t)"a fault is not seen";
	return NULL;
}

START_TEST(every_thread_counts_its_own_faults)
{
	struct rss rss;
	pthread_t thread;
	void *complaint = NULL;

	if (scratch_emulated() || !rss_start(&rss, "faults")) {
		printf("NOT RUN: perf_event_open() is refused\n");
		return;
	}
	/* More than there are counters for at once. */
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, events_of_another_thread, &rss), 0);
		pthread_join(thread, &complaint);
		ck_assert_msg(complaint == NULL, "%s", (const char *)complaint);
		ck_assert_uint_ne(rss.faults, 0);
	}
	struct rss inner;
	ck_assert(rss_start(&inner, "faults"));
	ck_assert_uint_eq(inner.faults, rss.faults);
	rss_stop(&inner);
	rss.source->update(&rss);
	const uint32_t generation = rss.faults;
	rss_stop(&rss);
	ck_assert(rss_start(&rss, "faults"));
	ck_assert_uint_ne(rss.faults, generation);
	rss_stop(&rss);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("rss");

	tcase_add_loop_test(tcase, only_what_looks_like_statm_all_through_is_believed, 0, COUNT(statm_texts));
	tcase_add_test(tcase, a_descriptor_that_cannot_be_read_gives_no_figure);
	tcase_add_test(tcase, sources_have_names_and_auto_takes_the_first_that_is_worth_it);
	tcase_add_test(tcase, growth_and_release_are_seen_to_the_page);
	tcase_add_test(tcase, the_footprint_is_taken_off_but_never_more_than_there_is);
	tcase_add_test(tcase, a_measured_footprint_must_be_possible);
	tcase_add_test(tcase, a_closed_statm_is_opened_again);
	tcase_add_test(tcase, a_reused_descriptor_is_the_programs_and_its_content_no_figure);
	tcase_add_test(tcase, without_an_answer_the_last_figure_stays);
	tcase_add_test(tcase, the_kernels_own_figures_are_given_whole);
	tcase_add_loop_test(tcase, a_gap_or_an_age_makes_a_question_due, 0, COUNT(due_cases));
	tcase_add_loop_test(tcase, no_figure_behind_a_gap_is_stale, 0, 2 * CHANGE_COUNT);
	tcase_add_test(tcase, every_thread_counts_its_own_faults);
	return suite_run("rss", tcase);
}
