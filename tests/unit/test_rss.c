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
		if (!rss.refused[0])
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
	{ RSS_NO_GAP, UINT64_MAX, 1000, 0, UINT64_MAX / 4, false },     /* no gap: however long */
	{ RSS_NO_GAP, UINT64_MAX, 1000, 0, 999, true }, /* but time has gone back */
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

/*
 * The map, with memory of ours in the place of the kernel's
 */

struct fake {
	struct rss_map_slot *slots;
	uint32_t own;                   /* index of the slot that is to be found */
	bool other_moves, batched;
	unsigned calls;
};

static void grow_fake(void *arg, unsigned count)
{
	struct fake *const fake = arg;

	fake->slots[fake->own].pages[RSS_MAP_ANON_PAGES] += fake->batched ? count / 16 * 16 : count;
	/* Somebody else moves too, and once by as much. */
	if (fake->other_moves)
		fake->slots[77].pages[RSS_MAP_ANON_PAGES] += fake->calls++ == 0 ? count : 17;
}

static struct rss_map_slot *new_slots(void)
{
	struct rss_map_slot *const slots = calloc(RSS_MAP_SLOTS, sizeof(*slots));

	ck_assert_ptr_nonnull(slots);
	slots[77] = (struct rss_map_slot){ .mm_id = 1, .pages = { 5, 6, 7, 8 } };
	slots[5000] = (struct rss_map_slot){ .mm_id = 2, .pages = { 50, 60, 70, 80 } };
	return slots;
}

static const struct {
	uint32_t own;
	bool other_moves, batched, found;
} find_cases[] = {
	{ 5000, false, false, true },
	{ 5000, true, false, true },
	{ 0, false, false, false },     /* no slot has its pages: mm_id 0 */
	{ 5000, false, true, false },   /* a kernel that tells only every so many pages */
};

START_TEST(a_process_finds_its_own_slot_or_none)
{
	static uint32_t before[RSS_MAP_SLOTS];
	struct fake fake = { new_slots(), find_cases[_i].own, find_cases[_i].other_moves, find_cases[_i].batched, 0 };
	const volatile struct rss_map_slot *const slot = rss_map_find(fake.slots, before, grow_fake, &fake);

	ck_assert_ptr_eq((const void *)(uintptr_t)slot, find_cases[_i].found ? &fake.slots[fake.own] : NULL);
	free(fake.slots);
}
END_TEST

/* A recording with `slot`, whose sum is what the kernel says now. */
static void start_on(struct rss *rss, struct rss_map_slot *slot)
{
	*rss = (struct rss){ .source = &rss_map, .fd = -1, .gap_ns = 500, .gap_raw = RSS_NO_GAP };
	ck_assert(rss_statm_start(rss));
	*slot = (struct rss_map_slot){ .mm_id = 9, .pages = { rss_kernel_pages(), 0, 1000, 0 } };
	rss_map_watch(rss, slot);
	rss->max_age_raw = rss->max_age_ns;
}

START_TEST(what_a_slot_says_is_taken_at_once_and_swap_is_not_in_it)
{
	struct rss_map_slot slot;
	struct rss rss;

	start_on(&rss, &slot);
	slot.pages[RSS_MAP_FILE_PAGES] = 100;
	ck_assert(rss_due(&rss, 5, 5));
	ck_assert(rss.source->update(&rss));
	ck_assert_uint_eq(rss_pages(&rss), 100);
	rss.asked_raw = 5;
	ck_assert(!rss_due(&rss, 5, 5));
	/* No gap makes it ask, but its age. */
	ck_assert(!rss_due(&rss, 5, 5 + RSS_MAP_CHECK_NS - 1));
	ck_assert(rss_due(&rss, 5, 5 + RSS_MAP_CHECK_NS));
	slot.pages[RSS_MAP_ANON_PAGES] = 10;
	slot.pages[RSS_MAP_SHMEM_PAGES] = 1;
	ck_assert(rss_due(&rss, 5, 6));
	ck_assert(rss.source->update(&rss));
	ck_assert_uint_eq(rss_pages(&rss), 111);
	ck_assert_uint_eq(rss.unasked_flag, MT_FLAG_RSS_READ);
	rss_stop(&rss);
}
END_TEST

START_TEST(a_slot_that_is_off_is_put_right_by_statm_where_that_is_exact)
{
	struct rss_map_slot slot;
	struct rss rss;

	start_on(&rss, &slot);
	slot.pages[RSS_MAP_FILE_PAGES] = 3;
	ck_assert(rss.source->update(&rss));
	rss.statm_exact = false;
	ck_assert(rss.source->update(&rss));
	ck_assert_uint_eq(rss_pages(&rss), 3);
	rss.statm_exact = true;
	ck_assert(rss.source->update(&rss));
	ck_assert_uint_gt(rss_pages(&rss), 10);
	ck_assert(rss.map != NULL);
	rss_stop(&rss);
}
END_TEST

START_TEST(a_map_that_stands_while_statm_moves_is_left)
{
	enum { STEP = 300 };
	struct rss_map_slot slot;
	struct rss rss;
	volatile uint8_t *const pages = map_pages(4 * STEP);
	bool due;
	unsigned checks = 0;

	start_on(&rss, &slot);
	ck_assert(rss.source->update(&rss));
	/* Far more than kernels before 6.12 are off by. */
	while (rss.map && checks < 100) {
		touch(pages + checks % 4 * STEP * page_size(), STEP);
		if (checks % 4 == 3)
			madvise((void *)(uintptr_t)pages, 4 * STEP * page_size(), MADV_DONTNEED);
		ck_assert(rss.source->update(&rss));
		checks++;
	}
	ck_assert_uint_ge(checks, 4);
	ck_assert_uint_le(checks, 10);
	ck_assert_uint_eq(rss.unasked_flag, 0);
	/* On as "gap". */
	ck_assert_uint_eq(rss.gap_raw, 500);
	ck_assert_uint_eq(rss.max_age_raw, RSS_MAX_AGE_NS);
	slot.pages[RSS_MAP_ANON_PAGES]++;
	rss.asked_raw = 1000;
	due = rss_due(&rss, 1000, 1100);
	ck_assert(!due);
	due = rss_due(&rss, 1000, 1500);
	ck_assert(due);
	ck_assert(rss.source->update(&rss));
	rss_stop(&rss);
}
END_TEST

START_TEST(a_slot_that_has_become_anothers_is_left_at_once)
{
	struct rss_map_slot slot;
	struct rss rss;

	start_on(&rss, &slot);
	ck_assert(rss.source->update(&rss));
	slot = (struct rss_map_slot){ .mm_id = 10, .pages = { 1, 1, 1, 1 } };
	ck_assert(rss.source->update(&rss));
	ck_assert(rss.map == NULL);
	ck_assert_uint_gt(rss_pages(&rss), 3);
	rss_stop(&rss);
}
END_TEST

static const struct {
	const char *name;
	bool known;
} source_names[] = {
	{ "auto", true }, { "exact", true }, { "gap", true }, { "faults", true }, { "map", true },
	{ "map:/a", true }, { "map:", false }, { "gap:/a", false }, { "mapx", false }, { "ma", false }, { "", false },
	{ "auto:/a", false },
};

START_TEST(only_a_map_takes_a_file_in_its_name)
{
	ck_assert_int_eq(rss_is_source(source_names[_i].name), source_names[_i].known);
}
END_TEST

START_TEST(a_map_that_cannot_be_had_is_told_and_another_source_taken)
{
	struct rss rss;
	char name[RSS_NAME_MAX + 1];
	const int file = scratch_file("no_map", "not a map");

	ck_assert(rss_start(&rss, "map:/nowhere/rss"));
	ck_assert_str_ne(rss.source->name, "map");
	ck_assert_str_eq(rss.refused, "map: No such file or directory");
	rss_stop(&rss);
	snprintf(name, sizeof(name), "map:%s", scratch_path("no_map"));
	ck_assert(rss_start(&rss, name));
	ck_assert_str_ne(rss.source->name, "map");
	ck_assert_uint_eq(strncmp(rss.refused, "map: ", 5), 0);
	rss_stop(&rss);
	close(file);
	memset(name, 'x', sizeof(name));
	memcpy(name, "map:", 4);
	name[RSS_NAME_MAX] = '\0';
	ck_assert(!rss_is_source(name));
	ck_assert(rss_start(&rss, "gap"));
	ck_assert_str_eq(rss.refused, "");
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
	tcase_add_loop_test(tcase, a_process_finds_its_own_slot_or_none, 0, COUNT(find_cases));
	tcase_add_test(tcase, what_a_slot_says_is_taken_at_once_and_swap_is_not_in_it);
	tcase_add_test(tcase, a_slot_that_is_off_is_put_right_by_statm_where_that_is_exact);
	tcase_add_test(tcase, a_map_that_stands_while_statm_moves_is_left);
	tcase_add_test(tcase, a_slot_that_has_become_anothers_is_left_at_once);
	tcase_add_loop_test(tcase, only_a_map_takes_a_file_in_its_name, 0, COUNT(source_names));
	tcase_add_test(tcase, a_map_that_cannot_be_had_is_told_and_another_source_taken);
	return suite_run("rss", tcase);
}
