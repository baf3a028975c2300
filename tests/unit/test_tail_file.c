/*
 * The tail beside a trace, and who is told to be at work on it.
 */
#include "analyzer/tail_file.h"
#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>

enum { CAPACITY = 64, ARENA = 4096, SIZE = MT_TAIL_PAGE_SIZE + ARENA + CAPACITY * MT_RECORD_SIZE };

static void make_tail(const char *path, uint64_t committed)
{
	const struct mt_tail_spec spec = {
		.capacity = CAPACITY, .arena_size = ARENA, .owner_pid = 1, .tick_num = 10, .tick_den = 1,
	};
	const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, SIZE), 0);
	struct mt_tail_page *page = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	mt_tail_page_init(page, &spec);
	atomic_store(&page->committed, committed);
	munmap(page, SIZE);
	close(fd);
}

START_TEST(names)
{
	char *name = tail_file_name("dir/app.mtrace");
	ck_assert_str_eq(name, "dir/app.mtrace.tail");
	free(name);
}
END_TEST

START_TEST(what_is_beside_a_trace)
{
	struct mt_tail_image image = { 0 };
	enum mt_status status;
	ck_assert(!tail_file_read(scratch_path("none"), &image, &status));
	ck_assert_int_eq(status, MT_OK);

	close(scratch_file("text.tail", "no tail"));
	ck_assert(!tail_file_read(scratch_path("text"), &image, &status));
	ck_assert_int_eq(status, MT_ERR_NOT_TRACE);

	make_tail(scratch_path("a.tail"), 5);
	ck_assert(tail_file_read(scratch_path("a"), &image, &status));
	ck_assert_int_eq(status, MT_OK);
	ck_assert_uint_eq(image.committed, 5);
	mt_tail_image_release(&image);
}
END_TEST

START_TEST(a_lock_is_life)
{
	char path[256];
	snprintf(path, sizeof(path), "%s", scratch_path(_i ? "b.tail" : "b"));
	make_tail(scratch_path("b.tail"), 5);
	close(scratch_file("b", "trace"));
	ck_assert(!tail_file_is_live(scratch_path("b")));
	const int fd = open(path, O_RDWR);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	ck_assert(tail_file_is_live(scratch_path("b")));

	/* A mapping keeps it when the descriptor is closed, as by a program that closes all it has. */
	void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	close(fd);
	ck_assert(tail_file_is_live(scratch_path("b")));
	munmap(map, 4096);
	ck_assert(!tail_file_is_live(scratch_path("b")));
}
END_TEST

START_TEST(nothing_is_not_live)
{
	ck_assert(!tail_file_is_live(scratch_path("none")));
	ck_assert(!tail_file_is_live(""));
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("tail_file");
	tcase_add_test(tcase, names);
	tcase_add_test(tcase, what_is_beside_a_trace);
	tcase_add_loop_test(tcase, a_lock_is_life, 0, 2);
	tcase_add_test(tcase, nothing_is_not_live);
	return suite_run("tail_file", tcase);
}
