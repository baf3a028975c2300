/*
 * The test traces, by the promise of their names: good- reads without a complaint, bad- is told as
 * damage, unsupported- as too new. tests/traces/README.md says what each of them proves.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sample.h"
#include "tests/unit/suite.h"

static const char *directory(void)
{
	static char path[4096];
	const char *top = getenv("TOP_SRCDIR");
	snprintf(path, sizeof(path), "%s/tests/traces", top ? top : ".");
	return path;
}

/*
 * Join the tail beside a trace, if there is one; what is wrong with it counts as damage. One with
 * another uuid belongs elsewhere, and is none.
 */
static void join_tail(const char *path, struct sample_reading *reading)
{
	char tail[4096 + 300];
	struct mt_source *source;
	struct mt_tail_image image;
	struct mt_tail_join join;
	const struct mt_header header = sample_header();
	snprintf(tail, sizeof(tail), "%s.tail", path);
	if (mt_source_file(&source, tail) != MT_OK)
		return;
	if (mt_tail_image_read(source, &image) != MT_OK) {
		reading->damages++;
		mt_source_close(source);
		return;
	}
	const bool is_ours = memcmp(image.uuid, header.uuid, sizeof(header.uuid)) == 0;
	const enum mt_status status = mt_tail_join(&header, &reading->chain, &image, &join);
	ck_assert_int_eq(status, is_ours ? MT_OK : MT_ERR_CORRUPT);
	if (is_ours) {
		reading->damages += join.torn != 0;
		ck_assert_uint_eq(join.overwritten, 0);
		ck_assert_uint_eq(reading->n_records + join.count + join.torn, image.committed);
		for (size_t i = 0; i < join.count; i++) {
			const struct mt_record want = sample_record(reading->n_records + i);
			ck_assert_uint_eq(join.records[i].w0, want.w0);
			ck_assert_uint_eq(join.records[i].w1, want.w1);
			ck_assert_uint_eq(join.records[i].w2, want.w2);
		}
	}
	mt_tail_image_release(&image);
	mt_source_close(source);
}

static bool is_good(const struct sample_reading *reading)
{
	return reading->status == MT_OK && reading->failed == MT_OK && !reading->damages &&
	       !reading->too_new;
}

static bool is_bad(const struct sample_reading *reading)
{
	return (reading->status != MT_OK && reading->status != MT_ERR_TOO_NEW) ||
	       (reading->failed == MT_OK && reading->damages);
}

static bool is_unsupported(const struct sample_reading *reading)
{
	return reading->status == MT_ERR_TOO_NEW || (reading->too_new && !reading->damages);
}

static const struct {
	const char *prefix;
	bool (*holds)(const struct sample_reading *reading);
} promises[] = {
	{ "good-", is_good },
	{ "bad-", is_bad },
	{ "unsupported-", is_unsupported },
};

START_TEST(traces_keep_the_promise_of_their_names)
{
	const size_t length = strlen(promises[_i].prefix);
	unsigned count = 0;
	DIR *const traces = opendir(directory());
	ck_assert_ptr_nonnull(traces);
	for (const struct dirent *entry; (entry = readdir(traces));) {
		const char *const suffix = strrchr(entry->d_name, '.');
		char path[4096 + 256];
		struct mt_source *source;
		struct sample_reading reading;
		if (strncmp(entry->d_name, promises[_i].prefix, length) != 0 || !suffix ||
		    strcmp(suffix, ".mtrace") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory(), entry->d_name);
		ck_assert_int_eq(mt_source_file(&source, path), MT_OK);
		sample_read(source, &reading);
		if (reading.status == MT_OK)
			join_tail(path, &reading);
		if (!promises[_i].holds(&reading))
			ck_abort_msg("%s: status %d and %d, %u damaged, %u too new", entry->d_name,
				     (int)reading.status, (int)reading.failed, reading.damages,
				     reading.too_new);
		sample_reading_release(&reading);
		mt_source_close(source);
		count++;
	}
	closedir(traces);
	ck_assert_uint_ge(count, 5);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("traces");
	tcase_add_loop_test(tcase, traces_keep_the_promise_of_their_names, 0, COUNT(promises));
	return suite_run("traces", tcase);
}
