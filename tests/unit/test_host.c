#include "recorder/host.h"

#include <sys/stat.h>
#include <time.h>

#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

static uint8_t room[MT_FILE_HEADER_MAX];

/* The TLVs in `out` as a header has them. */
static struct mt_header header_over(const struct mt_out *out)
{
	return (struct mt_header){ .tlvs = out->start, .tlvs_size = mt_out_size(out) };
}

START_TEST(the_machine_is_described)
{
	struct mt_out out = mt_out_over(room, sizeof(room));
	struct mt_tlv_view view;
	char directory[4096], host[256];
	const time_t now = time(NULL);
	struct tm local;

	host_describe(&out);
	ck_assert(!out.failed);
	const struct mt_header header = header_over(&out);
	ck_assert(mt_header_tlv(&header, MT_TLV_CWD, &view));
	ck_assert_ptr_nonnull(getcwd(directory, sizeof(directory)));
	ck_assert_uint_eq(view.size, strlen(directory));
	ck_assert_mem_eq(view.data, directory, view.size);
	ck_assert_int_eq(gethostname(host, sizeof(host)), 0);
	ck_assert(mt_header_tlv(&header, MT_TLV_HOST, &view));
	ck_assert_uint_eq(view.size, strlen(host));
	ck_assert(mt_header_tlv(&header, MT_TLV_WRITER, &view));
	ck_assert_int_eq(memcmp(view.data, "mtdump ", 7), 0);
	ck_assert(mt_header_tlv(&header, MT_TLV_UTC_OFFSET, &view));
	localtime_r(&now, &local);
	ck_assert_int_eq((int32_t)mt_load_u32(view.data), local.tm_gmtoff);
	ck_assert(mt_header_tlv(&header, MT_TLV_BOOT_ID, &view));
	ck_assert_uint_eq(view.size, 36);
	ck_assert_uint_gt(mt_header_tlv_u64(&header, MT_TLV_PROCESS_START, 0), 0);
}
END_TEST

static void put_file(const char *path, const char *content)
{
	char at[512];

	snprintf(at, sizeof(at), "%s", path);
	for (char *slash = at; (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
		*slash = '\0';
		mkdir(at, 0700);
	}
	FILE *file = fopen(at, "w");
	ck_assert_ptr_nonnull(file);
	fputs(content, file);
	fclose(file);
}

static const struct {
	const char *groups;
	const char *files[3][2];
	uint64_t limit;
} limit_cases[] = {
	{ "0::/\n", { { "/sys/fs/cgroup/memory.max", "max\n" } }, 0 },
	{ "0::/a/b\n", { { "/sys/fs/cgroup/a/b/memory.max", "1000000\n" } }, 1000000 },
	{ "0::/a/b\n", { { "/sys/fs/cgroup/a/b/memory.max", "max\n" }, { "/sys/fs/cgroup/a/memory.max", "5000\n" },
			 { "/sys/fs/cgroup/memory.max", "9000\n" } }, 5000 },
	/* In a container the group's path is the host's, and what is mounted is the group itself. */
	{ "0::/not/mounted\n", { { "/sys/fs/cgroup/memory.max", "7000\n" } }, 7000 },
	{ "5:cpu:/x\n4:memory:/a\n0::/\n",
	  { { "/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "300\n" },
	    { "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n" } }, 300 },
	{ "4:memory:/a\n", { { "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n" } }, 0 },
	{ "rubbish\n\n:\n::\n1:memory\n", { { "/sys/fs/cgroup/memory.max", "7000\n" } }, 0 },
	{ "", { { NULL } }, 0 },
};

START_TEST(the_lowest_memory_limit_counts)
{
	char root[64], path[512];

	scratch_path("");
	snprintf(root, sizeof(root), "%s", scratch_dir);
	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	put_file(path, limit_cases[_i].groups);
	for (int i = 0; i < 3 && limit_cases[_i].files[i][0]; i++) {
		snprintf(path, sizeof(path), "%s%s", root, limit_cases[_i].files[i][0]);
		put_file(path, limit_cases[_i].files[i][1]);
	}
	const uint64_t limit = host_memory_limit(root);
	snprintf(path, sizeof(path), "rm -rf '%s'", root);
	ck_assert_int_eq(system(path), 0);
	ck_assert_uint_eq(limit, limit_cases[_i].limit);
}
END_TEST

START_TEST(small_tlvs_go_first_and_texts_are_cut_to_what_is_left)
{
	static uint8_t tlvs[200000], text[60000];
	struct mt_out in = mt_out_over(tlvs, sizeof(tlvs));
	struct mt_tlv_view view;

	memset(text, 'a', sizeof(text));
	mt_tlv_put(&in, MT_TLV_ARGV, text, 40000);
	mt_tlv_put(&in, MT_TLV_PARENT, text, 32);
	mt_tlv_put(&in, MT_TLV_COVERAGE, text, 40001);
	mt_tlv_put(&in, MT_TLV_MESSAGE, text, 0);
	for (size_t size = 0; size < 81000; size += 997) {
		static uint8_t small[81000];
		struct mt_out out = mt_out_over(small, size);
		host_append(&out, tlvs, mt_out_size(&in));
		ck_assert(!out.failed);
		const struct mt_header header = header_over(&out);
		ck_assert_int_eq(mt_header_tlv(&header, MT_TLV_PARENT, &view), size >= 40);
		if (size >= 60) {
			ck_assert(mt_header_tlv(&header, MT_TLV_MESSAGE, &view));
			ck_assert(mt_header_tlv(&header, MT_TLV_ARGV, &view));
			/* As much as fits, and all that fits. */
			ck_assert(view.size == 40000 || view.size + 48 + 8 + 3 >= size - 8);
		}
		if (size >= 80100) {
			ck_assert(mt_header_tlv(&header, MT_TLV_COVERAGE, &view));
			ck_assert_uint_eq(view.size, 40001);
		}
	}
}
END_TEST

START_TEST(a_text_is_cut_between_characters)
{
	static uint8_t tlvs[4096];
	uint8_t text[2000];
	struct mt_out in = mt_out_over(tlvs, sizeof(tlvs));
	struct mt_tlv_view view;

	for (size_t i = 0; i < sizeof(text); i += 4)
		memcpy(text + i, "\xF0\x9F\x90\x8D", 4);
	mt_tlv_put(&in, MT_TLV_MESSAGE, text + 2, sizeof(text) - 2);
	for (size_t size = 16; size < 300; size++) {
		static uint8_t small[300];
		struct mt_out out = mt_out_over(small, size);
		host_append(&out, tlvs, mt_out_size(&in));
		const struct mt_header header = header_over(&out);
		ck_assert(mt_header_tlv(&header, MT_TLV_MESSAGE, &view));
		ck_assert_uint_eq(view.size % 4, 2);    /* the text begins in the middle of one */
	}
}
END_TEST

START_TEST(a_list_that_is_cut_short_is_taken_as_far_as_it_goes)
{
	static uint8_t tlvs[256], small[256];
	struct mt_out in = mt_out_over(tlvs, sizeof(tlvs));

	mt_tlv_put(&in, MT_TLV_MESSAGE, "hello", 5);
	mt_tlv_put(&in, MT_TLV_COVERAGE, "world", 5);
	for (size_t size = 0; size < mt_out_size(&in); size++) {
		struct mt_out out = mt_out_over(small, sizeof(small));
		host_append(&out, tlvs, size);
		ck_assert_uint_eq(mt_out_size(&out), size < 16 ? 0 : 16);
	}
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("host");

	tcase_add_test(tcase, the_machine_is_described);
	tcase_add_loop_test(tcase, the_lowest_memory_limit_counts, 0, COUNT(limit_cases));
	tcase_add_test(tcase, small_tlvs_go_first_and_texts_are_cut_to_what_is_left);
	tcase_add_test(tcase, a_text_is_cut_between_characters);
	tcase_add_test(tcase, a_list_that_is_cut_short_is_taken_as_far_as_it_goes);
	return suite_run("host", tcase);
}
