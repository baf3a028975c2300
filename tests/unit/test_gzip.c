/*
 * gzip: what zlib reads back is what was written, and nothing of time or place is in it.
 */
#include <string.h>
#include <zlib.h>

#include "analyzer/gzip.h"
#include "tests/unit/suite.h"

static unsigned char packed[1 << 20], text[1 << 19], back[1 << 19];

static size_t pack(size_t size, size_t part)
{
	struct out *out = out_open_memory();
	struct gzip *gzip = gzip_new(out);
	size_t packed_size;
	ck_assert_ptr_nonnull(gzip);
	for (size_t at = 0; at < size; at += part)
		gzip_write(gzip, text + at, size - at < part ? size - at : part);
	ck_assert(gzip_close(gzip));
	const char *bytes = out_taken(out, &packed_size);
	ck_assert_uint_le(packed_size, sizeof(packed));
	memcpy(packed, bytes, packed_size);
	out_abandon(out);
	return packed_size;
}

static size_t unpack(size_t size)
{
	z_stream stream = { .next_in = packed, .avail_in = (unsigned)size, .next_out = back, .avail_out = sizeof(back) };
	ck_assert_int_eq(inflateInit2(&stream, 15 + 16), Z_OK);
	ck_assert_int_eq(inflate(&stream, Z_FINISH), Z_STREAM_END);
	const size_t total = stream.total_out;
	inflateEnd(&stream);
	return total;
}

static const struct {
	size_t size, part;
} cases[] = { { 0, 1 }, { 1, 1 }, { 1000, 7 }, { sizeof(text) - 1, 65536 }, { sizeof(text) - 1, sizeof(text) } };

START_TEST(it_is_read_back)
{
	uint32_t random = 1;
	for (size_t i = 0; i < sizeof(text); i++) {
		random = random * 1664525 + 1013904223;
		text[i] = (unsigned char)(random >> 24);
	}
	const size_t size = pack(cases[_i].size, cases[_i].part);
	ck_assert_uint_eq(unpack(size), cases[_i].size);
	ck_assert_int_eq(memcmp(text, back, cases[_i].size), 0);
	ck_assert_mem_eq(packed, "\x1f\x8b\x08\x00\x00\x00\x00\x00", 8);        /* no flags, no time */
}
END_TEST

START_TEST(nothing_to_close_is_a_failure)
{
	ck_assert(!gzip_close(NULL));
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("gzip");
	tcase_add_loop_test(tcase, it_is_read_back, 0, COUNT(cases));
	tcase_add_test(tcase, nothing_to_close_is_a_failure);
	return suite_run("gzip", tcase);
}
