/*
 * A file in the place of another: all of it or nothing, and never over what has changed.
 */
#include "analyzer/replacement.h"
#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

#include <fcntl.h>
#include <string.h>

static char path[256], other[256];

static void make(const char *content)
{
	snprintf(path, sizeof(path), "%s", scratch_path("trace"));
	snprintf(other, sizeof(other), "%s", scratch_path("other"));
	unlink(other);
	close(scratch_file("trace", content));
	chmod(path, 0640);
}

static void check_content(const char *file, const char *content)
{
	char text[64] = "";
	const int fd = open(file, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	ck_assert_str_eq(text, content);
}

/* Files of other names that were left behind. */
static void check_nothing_left(void)
{
	DIR *directory = opendir(scratch_dir);
	ck_assert_ptr_nonnull(directory);
	for (const struct dirent *entry; (entry = readdir(directory));)
		ck_assert_msg(strncmp(entry->d_name, ".mtdump", 7) != 0, "%s", entry->d_name);
	closedir(directory);
}

static void write_new(struct replacement *replacement)
{
	ck_assert(replacement_begin(replacement));
	struct stat status;
	ck_assert_int_eq(fstat(replacement->fd, &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0600);
	ck_assert_int_eq(write(replacement->fd, "new", 3), 3);
	ck_assert(replacement_sync(replacement));
}

START_TEST(in_place)
{
	struct replacement replacement;
	struct stat status;
	make("old");
	ck_assert(replacement_check(&replacement, path, NULL));
	write_new(&replacement);
	check_content(path, "old");
	ck_assert(replacement_place(&replacement));
	replacement_release(&replacement);
	check_content(path, "new");
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0640);
	check_nothing_left();
}
END_TEST

START_TEST(beside)
{
	struct replacement replacement;
	make("old");
	ck_assert(replacement_check(&replacement, path, other));
	write_new(&replacement);
	ck_assert(replacement_place(&replacement));
	replacement_release(&replacement);
	check_content(path, "old");
	check_content(other, "new");
	/* It exists now. */
	ck_assert(!replacement_check(&replacement, path, other));
	unlink(other);
	check_nothing_left();
}
END_TEST

START_TEST(given_up)
{
	struct replacement replacement;
	make("old");
	ck_assert(replacement_check(&replacement, path, NULL));
	write_new(&replacement);
	replacement_release(&replacement);
	replacement_release(&replacement);
	check_content(path, "old");
	check_nothing_left();
}
END_TEST

START_TEST(what_changed_meanwhile_stays)
{
	struct replacement replacement;
	make("old");
	ck_assert(replacement_check(&replacement, path, _i ? other : NULL));
	write_new(&replacement);
	close(scratch_file(_i ? "other" : "trace", "changed"));
	ck_assert(!replacement_place(&replacement));
	replacement_release(&replacement);
	check_content(_i ? other : path, "changed");
	check_nothing_left();
}
END_TEST

START_TEST(links_are_not_followed)
{
	struct replacement replacement;
	make("old");
	ck_assert_int_eq(symlink("trace", other), 0);
	ck_assert(!replacement_check(&replacement, other, NULL));
	ck_assert(!replacement_check(&replacement, path, other));
	unlink(other);
	/* Not even one that leads nowhere. */
	ck_assert_int_eq(symlink("nowhere", other), 0);
	ck_assert(!replacement_check(&replacement, path, other));
	unlink(other);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("replacement");
	tcase_add_test(tcase, in_place);
	tcase_add_test(tcase, beside);
	tcase_add_test(tcase, given_up);
	tcase_add_loop_test(tcase, what_changed_meanwhile_stays, 0, 2);
	tcase_add_test(tcase, links_are_not_followed);
	return suite_run("replacement", tcase);
}
