/*
 * analyzer/json.c: shape, escapes, and that any bytes make a document.
 */
#include "analyzer/json.h"

#include "tests/unit/capture.h"
#include "tests/unit/suite.h"

/* What one string member looks like. */
static const char *string_text(struct capture *capture, const void *bytes, size_t size)
{
	struct json json;
	capture_begin(capture, STDOUT_FILENO);
	struct out *out = out_open(NULL);
	json_init(&json, out);
	json_bytes(&json, NULL, bytes, size);
	ck_assert(out_close(out));
	return capture_end(capture);
}

START_TEST(a_document_has_its_shape)
{
	struct capture capture;
	struct json json;
	capture_begin(&capture, STDOUT_FILENO);
	struct out *out = out_open(NULL);
	json_init(&json, out);
	for (int i = 0; i < 2; i++) {
		json_object_begin(&json, NULL);
		json_string(&json, "a", "b");
		json_string(&json, "none", NULL);
		json_array_begin(&json, "list");
		json_uint(&json, NULL, UINT64_MAX);
		json_int(&json, NULL, INT64_MIN);
		json_object_begin(&json, NULL);
		json_object_end(&json);
		json_array_begin(&json, NULL);
		json_array_end(&json);
		json_array_end(&json);
		json_bool(&json, "yes", true);
		json_bool(&json, "no", false);
		json_milli(&json, "ratio", 1005);
		json_object_end(&json);
	}
	ck_assert(out_close(out));
	static const char *const document =
		"{\n"
		"  \"a\": \"b\",\n"
		"  \"none\": null,\n"
		"  \"list\": [\n"
		"    18446744073709551615,\n"
		"    -9223372036854775808,\n"
		"    {},\n"
		"    []\n"
		"  ],\n"
		"  \"yes\": true,\n"
		"  \"no\": false,\n"
		"  \"ratio\": 1.005\n"
		"}\n";
	char expected[1024];
	snprintf(expected, sizeof(expected), "%s%s", document, document);
	ck_assert_str_eq(capture_end(&capture), expected);
}
END_TEST

#define BYTES(text) text, sizeof(text) - 1

static const struct {
	const char *bytes;
	size_t size;
	const char *text;
} strings[] = {
	{ BYTES(""), "\"\"\n" },
	{ BYTES("plain /<>&'"), "\"plain /<>&'\"\n" },
	{ BYTES("q\" b\\"), "\"q\\\" b\\\\\"\n" },
	{ BYTES("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"\n" },
	{ BYTES("\0\x01\x1b\x7f"), "\"\\u0000\\u0001\\u001b\\u007f\"\n" },
	{ BYTES("\xc3\xa9"), "\"\\u00e9\"\n" },
	{ BYTES("\xe2\x80\xa8\xe2\x80\xae"), "\"\\u2028\\u202e\"\n" },
	{ BYTES("\xf0\x9f\x90\x8d"), "\"\\ud83d\\udc0d\"\n" },
	{ BYTES("\xf4\x8f\xbf\xbf"), "\"\\udbff\\udfff\"\n" },
	/* not UTF-8: alone, cut, overlong, surrogate, too high */
	{ BYTES("\x80"), "\"\\udc80\"\n" },
	{ BYTES("\xff" "a"), "\"\\udcffa\"\n" },
	{ BYTES("\xc3"), "\"\\udcc3\"\n" },
	{ BYTES("\xe2\x80"), "\"\\udce2\\udc80\"\n" },
	{ BYTES("\xc3" "a"), "\"\\udcc3a\"\n" },
	{ BYTES("\xc0\x80"), "\"\\udcc0\\udc80\"\n" },
	{ BYTES("\xe0\x80\x80"), "\"\\udce0\\udc80\\udc80\"\n" },
	{ BYTES("\xf0\x80\x80\x80"), "\"\\udcf0\\udc80\\udc80\\udc80\"\n" },
	{ BYTES("\xed\xa0\x80"), "\"\\udced\\udca0\\udc80\"\n" },
	{ BYTES("\xf4\x90\x80\x80"), "\"\\udcf4\\udc90\\udc80\\udc80\"\n" },
	{ BYTES("\xf5\x80\x80\x80"), "\"\\udcf5\\udc80\\udc80\\udc80\"\n" },
};

START_TEST(strings_are_escaped)
{
	struct capture capture;
	ck_assert_str_eq(string_text(&capture, strings[_i].bytes, strings[_i].size), strings[_i].text);
}
END_TEST

START_TEST(any_two_bytes_give_printable_ascii)
{
	char bytes[3 * 256];
	struct capture capture;
	for (int i = 0; i < 256; i++) {
		bytes[3 * i] = (char)_i;
		bytes[3 * i + 1] = (char)i;
		bytes[3 * i + 2] = 'x';
	}
	const char *at = string_text(&capture, bytes, sizeof(bytes));
	for (; *at && *at != '\n'; at++)
		ck_assert_int_ge(*at, 0x20);
	ck_assert_str_eq(at, "\n");
}
END_TEST

START_TEST(no_string_leaves_a_script_element)
{
	struct capture capture;
	struct json json;
	capture_begin(&capture, STDOUT_FILENO);
	struct out *out = out_open(NULL);
	json_init(&json, out);
	json.compact = json.in_html = true;
	json_object_begin(&json, NULL);
	json_string(&json, "</k>", "</script><!--&");
	json_object_end(&json);
	ck_assert(out_close(out));
	ck_assert_str_eq(capture_end(&capture), "{\"\\u003c/k\\u003e\": \"\\u003c/script\\u003e\\u003c!--\\u0026\"}\n");
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("json");
	tcase_add_test(tcase, a_document_has_its_shape);
	tcase_add_loop_test(tcase, strings_are_escaped, 0, COUNT(strings));
	tcase_add_loop_test(tcase, any_two_bytes_give_printable_ascii, 0, 256);
	tcase_add_test(tcase, no_string_leaves_a_script_element);
	return suite_run("json", tcase);
}
