/*
 * Protocol Buffers: the examples of its encoding specification, and what goes beyond them.
 */
#include <string.h>

#include "analyzer/protobuf.h"
#include "tests/unit/suite.h"

static void same(const struct protobuf *message, const char *bytes, size_t size)
{
	ck_assert(!message->failed);
	ck_assert_uint_eq(message->size, size);
	ck_assert_mem_eq(message->bytes, bytes, size);
}

START_TEST(fields_are_the_specifications_examples)
{
	struct protobuf inner = { 0 }, outer = { 0 };
	protobuf_uint(&inner, 1, 150);
	same(&inner, "\x08\x96\x01", 3);
	protobuf_message(&outer, 3, &inner);
	same(&outer, "\x1a\x03\x08\x96\x01", 5);
	protobuf_clear(&outer);
	protobuf_string(&outer, 2, "testing");
	same(&outer, "\x12\x07testing", 9);
	protobuf_release(&inner);
	protobuf_release(&outer);
	ck_assert_ptr_null(outer.bytes);
}
END_TEST

START_TEST(numbers_of_all_sizes_fit)
{
	struct protobuf message = { 0 };
	protobuf_varint(&message, 0);
	protobuf_varint(&message, 127);
	protobuf_varint(&message, 128);
	protobuf_varint(&message, UINT64_MAX);
	same(&message, "\x00\x7f\x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 14);
	protobuf_clear(&message);
	protobuf_int(&message, 16, -2);
	same(&message, "\x80\x01\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12);
	protobuf_release(&message);
}
END_TEST

START_TEST(a_message_grows)
{
	static char text[100000];
	struct protobuf message = { 0 };
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 10; i++)
		protobuf_bytes(&message, 1, text, sizeof(text));
	ck_assert(!message.failed);
	ck_assert_uint_eq(message.size, 10 * (sizeof(text) + 1 + 3));
	protobuf_bytes(&message, 1, NULL, 0);
	ck_assert_int_eq(message.bytes[message.size - 1], 0);
	protobuf_release(&message);
}
END_TEST

START_TEST(failure_is_passed_on)
{
	struct protobuf inner = { .failed = true }, outer = { 0 };
	protobuf_uint(&inner, 1, 1);
	ck_assert_uint_eq(inner.size, 0);
	protobuf_message(&outer, 1, &inner);
	ck_assert(outer.failed);
	protobuf_release(&outer);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("protobuf");
	tcase_add_test(tcase, fields_are_the_specifications_examples);
	tcase_add_test(tcase, numbers_of_all_sizes_fit);
	tcase_add_test(tcase, a_message_grows);
	tcase_add_test(tcase, failure_is_passed_on);
	return suite_run("protobuf", tcase);
}
