/*
 * reader/arrow.c: who owns what. The interface lets a consumer move any part out of its parent and drop the rest;
 * under AddressSanitizer a part that is freed twice, too early or never is found. What the columns hold is
 * compared by tests/python/test_reader.py.
 */
#include "reader/arrow.h"

#include "tests/unit/sample.h"
#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

enum { RECORDS = 50, FUNCTION = 13, MESSAGE = 15 };

static void open_stream(struct arrow_form form, struct ArrowArrayStream *stream)
{
	struct sample sample;
	struct rows_error error;
	sample_init(&sample, NULL);
	ck_assert_int_eq(sample_write(&sample.writer, 2, RECORDS, true), MT_OK);
	const char *path = scratch_path("arrow.mtrace");
	FILE *file = fopen(path, "wb");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(sample.memory.data, 1, sample.memory.sink.size, file), sample.memory.sink.size);
	fclose(file);
	sample_release(&sample);
	struct rows *rows = rows_open(path, false, &error);
	ck_assert_ptr_nonnull(rows);
	ck_assert_int_eq(arrow_stream(rows, path, form, stream), 0);
}

START_TEST(a_stream_ends_with_a_released_array)
{
	struct ArrowArrayStream stream;
	struct ArrowArray array;
	open_stream((struct arrow_form){ 0 }, &stream);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(stream.get_next(&stream, &array), 0);
		ck_assert_int_gt(array.length, RECORDS / 2);
		ck_assert_int_eq(array.n_children, ARROW_COLUMN_COUNT);
		array.release(&array);
		ck_assert_ptr_null(array.release);
	}
	ck_assert_int_eq(stream.get_next(&stream, &array), 0);
	ck_assert_ptr_null(array.release);
	stream.release(&stream);
	ck_assert_ptr_null(stream.release);
}
END_TEST

START_TEST(a_moved_column_outlives_everything)
{
	struct ArrowArrayStream stream;
	struct ArrowArray array;
	open_stream((struct arrow_form){ 0 }, &stream);
	ck_assert_int_eq(stream.get_next(&stream, &array), 0);
	struct ArrowArray moved = *array.children[FUNCTION];
	array.children[FUNCTION]->release = NULL;
	array.release(&array);
	stream.release(&stream);

	const int32_t *indices = moved.buffers[1];
	const struct ArrowArray *dictionary = moved.dictionary;
	const int32_t *offsets = dictionary->buffers[1];
	ck_assert_int_lt(indices[0], dictionary->length);
	ck_assert_int_gt(offsets[dictionary->length], 0);
	ck_assert_int_ne(((const char *)dictionary->buffers[2])[offsets[indices[0]]], '\0');
	moved.release(&moved);
}
END_TEST

START_TEST(a_moved_field_outlives_its_schema)
{
	struct ArrowSchema schema;
	ck_assert_int_eq(arrow_schema((struct arrow_form){ 0 }, &schema), 0);
	struct ArrowSchema moved = *schema.children[FUNCTION];
	schema.children[FUNCTION]->release = NULL;
	schema.release(&schema);
	ck_assert_ptr_null(schema.release);
	ck_assert_str_eq(moved.name, "function");
	ck_assert_str_eq(moved.format, "i");
	ck_assert_str_eq(moved.dictionary->format, "u");
	moved.release(&moved);
}
END_TEST

START_TEST(texts_can_be_had_without_dictionaries)
{
	struct ArrowArrayStream stream;
	struct ArrowSchema schema;
	struct ArrowArray array;
	struct arrow_form form = { 0 };
	ck_assert_int_eq(arrow_schema((struct arrow_form){ .plain = UINT32_MAX }, &schema), 0);
	ck_assert_str_eq(schema.children[FUNCTION]->format, "u");
	ck_assert_ptr_null(schema.children[FUNCTION]->dictionary);
	ck_assert(arrow_form_for(&schema, &form));
	ck_assert_uint_ne(form.plain, 0);
	ck_assert(!(form.plain >> MESSAGE & 1));
	schema.release(&schema);

	open_stream(form, &stream);
	ck_assert_int_eq(stream.get_schema(&stream, &schema), 0);
	ck_assert_str_eq(schema.children[FUNCTION]->format, "u");
	schema.release(&schema);
	ck_assert_int_eq(stream.get_next(&stream, &array), 0);
	ck_assert_ptr_null(array.children[FUNCTION]->dictionary);
	ck_assert_int_eq(array.children[FUNCTION]->n_buffers, 3);
	const int32_t *offsets = array.children[FUNCTION]->buffers[1];
	ck_assert_int_gt(offsets[array.length], array.length);
	array.release(&array);
	stream.release(&stream);
}
END_TEST

START_TEST(a_schema_of_something_else_is_refused)
{
	struct ArrowSchema schema;
	struct arrow_form form;
	ck_assert_int_eq(arrow_schema((struct arrow_form){ 0 }, &schema), 0);
	ck_assert(arrow_form_for(&schema, &form));
	ck_assert_uint_eq(form.plain, 0);
	const char *name = schema.children[2]->name;
	schema.children[2]->name = "another";
	ck_assert(!arrow_form_for(&schema, &form));
	schema.children[2]->name = name;
	schema.n_children--;
	ck_assert(!arrow_form_for(&schema, &form));
	schema.n_children++;
	schema.format = "l";
	ck_assert(!arrow_form_for(&schema, &form));
	schema.release(&schema);
	ck_assert(!arrow_form_for(&schema, &form));
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("arrow");
	tcase_add_test(tcase, a_stream_ends_with_a_released_array);
	tcase_add_test(tcase, a_moved_column_outlives_everything);
	tcase_add_test(tcase, a_moved_field_outlives_its_schema);
	tcase_add_test(tcase, texts_can_be_had_without_dictionaries);
	tcase_add_test(tcase, a_schema_of_something_else_is_refused);
	return suite_run("arrow", tcase);
}
