#include "recorder/code_ids.h"

#include <sys/mman.h>
#include <unistd.h>

#include "recorder/interpreters.h"
#include "recorder/line_table.h"

#if PY_VERSION_HEX < 0x030c0000
#define PyUnstable_Code_GetExtra _PyCode_GetExtra
#define PyUnstable_Code_SetExtra _PyCode_SetExtra
#define PyUnstable_Eval_RequestCodeExtraIndex _PyEval_RequestCodeExtraIndex
#endif

_Static_assert(sizeof(void *) >= 8, "serial number and id share one pointer");

#define NAME_MAX_SIZE MT_STRING_MAX
#define LINES_MAX_SIZE (96 * 1024)      /* leaves room beside it in the arena */

#define NO_SLOT PY_SSIZE_T_MAX

static Py_ssize_t extra_index = -1;
Py_ssize_t code_ids_slot = NO_SLOT;
struct code_ids_call code_ids_latest_call;

/* A code object that has an id ends. */
static void forget_call(void *Py_UNUSED(slot))
{
	code_ids_latest_call.code = NULL;
}

/*
 * Room for one name and one line table; mapped once and kept, never on the program's heap or stack. Few need
 * more than the first page of each: what a long one has touched is given back at once.
 */
static struct scratch {
	uint8_t name[NAME_MAX_SIZE];
	uint8_t lines[LINES_MAX_SIZE];
} *scratch;

/* Is what struct code_ids_extra says true of this interpreter? */
static bool layout_is_known(void)
{
	void *const mark = &code_ids_slot;
	PyCodeObject *const probe = PyCode_NewEmpty("pymemtrace", "probe", 1);
	bool known = false;

	if (probe && PyUnstable_Code_SetExtra((PyObject *)probe, extra_index, mark) == 0) {
		const struct code_ids_extra *const extra = probe->co_extra;
		known = extra && extra->size > extra_index && extra->size < 1 << 16 &&
			extra->slots[extra_index] == (uintptr_t)mark;
	}
	PyErr_Clear();
	Py_XDECREF(probe);
	return known;
}

int code_ids_init(void)
{
	if (extra_index >= 0)
		return 0;
	if (!scratch) {
		void *pages = mmap(NULL, sizeof(*scratch), PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (pages == MAP_FAILED) {
			PyErr_SetFromErrno(PyExc_OSError);
			return -1;
		}
		madvise(pages, sizeof(*scratch), MADV_NOHUGEPAGE);
		scratch = pages;
		scratch->name[0] = scratch->lines[0] = 0;
		rss_footprint_add(CODE_IDS_PAGES);
	}
	extra_index = PyUnstable_Eval_RequestCodeExtraIndex(forget_call);
	if (extra_index < 0) {
		PyErr_SetString(PyExc_RuntimeError, "pymemtrace: no co_extra slot is free");
		return -1;
	}
	/* On a Python that is newer than what we have tried, only by the function that is documented. */
	if (PY_VERSION_HEX < 0x030e0000 && layout_is_known())
		code_ids_slot = extra_index;
	return 0;
}

/* Give back what the use of `size` bytes of `room` has touched behind its first page. */
static void give_back(uint8_t *room, size_t room_size, size_t size)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (size > page)
		madvise(room + page, room_size - page, MADV_DONTNEED);
}

/*
 * Bytes of a str: UTF-8, with the bytes that the file system decoder smuggled in as U+DC80..U+DCFF
 * put back (surrogateescape) and other surrogates as they are (surrogatepass). Done by hand because
 * PyUnicode_AsUTF8() fails on such names and keeps its copy on the program's heap.
 */
struct text {
	const uint8_t *bytes;
	size_t size;
	bool truncated;
};

static size_t put_code_point(uint8_t *at, Py_UCS4 c)
{
	if (c >= 0xDC80 && c <= 0xDCFF) {
		at[0] = (uint8_t)(c - 0xDC00);
		return 1;
	}
	if (c < 0x80) {
		at[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		at[0] = (uint8_t)(0xC0 | c >> 6);
		at[1] = (uint8_t)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		at[0] = (uint8_t)(0xE0 | c >> 12);
		at[1] = (uint8_t)(0x80 | (c >> 6 & 63));
		at[2] = (uint8_t)(0x80 | (c & 63));
		return 3;
	}
	at[0] = (uint8_t)(0xF0 | c >> 18);
	at[1] = (uint8_t)(0x80 | (c >> 12 & 63));
	at[2] = (uint8_t)(0x80 | (c >> 6 & 63));
	at[3] = (uint8_t)(0x80 | (c & 63));
	return 4;
}

static struct text text_of_str(PyObject *str)
{
	struct text text = { .bytes = scratch->name };

	if (!str || !PyUnicode_Check(str))
		return text;
#if PY_VERSION_HEX < 0x030c0000
	if (!PyUnicode_IS_READY(str))
		return text;            /* making it ready would allocate; names always are */
#endif
	const Py_ssize_t length = PyUnicode_GET_LENGTH(str);
	if (PyUnicode_IS_ASCII(str)) {
		text.bytes = PyUnicode_DATA(str);
		text.truncated = length > NAME_MAX_SIZE;
		text.size = text.truncated ? NAME_MAX_SIZE : (size_t)length;
		return text;
	}
	for (Py_ssize_t i = 0; i < length; i++) {
		if (text.size + 4 > NAME_MAX_SIZE) {
			text.truncated = true;
			break;
		}
		text.size += put_code_point(scratch->name + text.size, PyUnicode_READ_CHAR(str, i));
	}
	return text;
}

static struct text text_of_chars(const char *chars)
{
	const size_t size = chars ? strnlen(chars, NAME_MAX_SIZE + 1) : 0;
	return (struct text){
		.bytes = (const uint8_t *)chars,
		.size = size > NAME_MAX_SIZE ? NAME_MAX_SIZE : size,
		.truncated = size > NAME_MAX_SIZE,
	};
}

static uint32_t intern(struct session *session, struct text text)
{
	const uint64_t hash = strings_hash(text.bytes, text.size);
	uint32_t id = strings_find(session->strings, hash, text.size);

	if (!id) {
		id = session_define_string(session, text.bytes, text.size, text.truncated);
		if (id && id != MT_ID_UNKNOWN)
			strings_put(session->strings, hash, text.size, id);
	}
	if (text.bytes == scratch->name)
		give_back(scratch->name, sizeof(scratch->name), text.size);
	return id;
}

uint32_t code_ids_of_str(struct session *session, PyObject *str)
{
	return intern(session, text_of_str(str));
}

/*
 * Code objects
 */

#if PY_VERSION_HEX >= 0x030b0000
#define LINE_TABLE_KIND LINE_TABLE_LOCATIONS
#elif PY_VERSION_HEX >= 0x030a0000
#define LINE_TABLE_KIND LINE_TABLE_PAIRS
#else
#define LINE_TABLE_KIND LINE_TABLE_LNOTAB
#endif

static PyObject *raw_line_table(PyCodeObject *code)
{
#if PY_VERSION_HEX >= 0x030a0000
	return code->co_linetable;
#else
	return code->co_lnotab;
#endif
}

static uint32_t code_size(PyCodeObject *code)
{
#if PY_VERSION_HEX >= 0x030b0000
	return (uint32_t)((size_t)Py_SIZE(code) * 2);
#else
	return (uint32_t)PyBytes_GET_SIZE(code->co_code);
#endif
}

static uint32_t define_code(struct session *session, PyCodeObject *code)
{
	const uint32_t filename = intern(session, text_of_str(code->co_filename));
	const uint32_t name = filename ? intern(session, text_of_str(code->co_name)) : 0;
	uint32_t qualname = 0;
	if (!filename || !name)
		return 0;
#if PY_VERSION_HEX >= 0x030b0000
	qualname = intern(session, text_of_str(code->co_qualname));
	if (!qualname)
		return 0;
#endif
	PyObject *const raw = raw_line_table(code);
	struct mt_out lines = mt_out_over(scratch->lines, sizeof(scratch->lines));
	bool whole = true;
	if (raw && PyBytes_Check(raw))
		whole = line_table_convert(LINE_TABLE_KIND, PyBytes_AS_STRING(raw),
					   (size_t)PyBytes_GET_SIZE(raw),
					   (uint32_t)code->co_firstlineno, code_size(code), &lines);
	const uint32_t id = session_define_code(session, filename, name, qualname,
						(uint32_t)code->co_firstlineno, (uint32_t)code->co_flags,
						code_size(code), lines.start, mt_out_size(&lines), !whole);
	give_back(scratch->lines, sizeof(scratch->lines), mt_out_size(&lines));
	return id;
}

uint32_t code_ids_find_code(struct session *session, PyCodeObject *code)
{
	void *extra = NULL;

	PyUnstable_Code_GetExtra((PyObject *)code, extra_index, &extra);
	if ((uintptr_t)extra >> CODE_IDS_BITS == session->serial)
		return (uint32_t)((uintptr_t)extra & MT_ID_UNKNOWN);

	interpreters_look(session);
	const uint32_t id = define_code(session, code);
	if (!id)
		return 0;
	extra = (void *)((uintptr_t)session->serial << CODE_IDS_BITS | id);
	if (PyUnstable_Code_SetExtra((PyObject *)code, extra_index, extra) < 0)
		PyErr_Clear();          /* no memory: it will be defined again at the next sight */
	return id;
}

/*
 * C functions and types
 */

static const char *owner_of(PyObject *self_or_type)
{
	if (!self_or_type)
		return "";
	return PyType_Check(self_or_type) ? ((PyTypeObject *)self_or_type)->tp_name
					  : Py_TYPE(self_or_type)->tp_name;
}

uint32_t code_ids_find_method(struct session *session, const PyMethodDef *method, PyObject *self_or_type,
			      PyObject *module)
{
	interpreters_look(session);
	const struct text owner = module && PyUnicode_Check(module)
					  ? text_of_str(module)
					  : text_of_chars(owner_of(self_or_type));
	const uint32_t owner_id = intern(session, owner);
	const uint32_t name_id = owner_id ? intern(session, text_of_chars(method->ml_name)) : 0;
	const uint32_t id = name_id ? session_define_cfunc(session, owner_id, name_id, false) : 0;
	if (id)
		id_table_put(&session->cfuncs, (uint64_t)(uintptr_t)method,
			     (uint64_t)(uintptr_t)method->ml_name, id);
	return id;
}

uint32_t code_ids_find_type(struct session *session, PyTypeObject *type)
{
	/*
	 * A type of the program's dies, and its address comes back. A version tag is given once, but taken away
	 * when the type is changed: then its name tells.
	 */
	const bool is_static = !(type->tp_flags & Py_TPFLAGS_HEAPTYPE);
	const uint32_t tag = is_static ? 0 : (uint32_t)type->tp_version_tag;
	const uint64_t key = (uint64_t)(uintptr_t)type;
	struct id_entry *const known = id_table_find(&session->cfuncs, key);
	if (known && tag && known->tag == tag)
		return known->id;

	const struct text name = text_of_chars(type->tp_name);
	const uint64_t check = is_static ? (uint64_t)(uintptr_t)type->tp_name
					 : strings_hash(name.bytes, name.size);
	if (known && known->check == check) {
		known->tag = tag;
		return known->id;
	}

	/* A static type's name has its module in it: "collections.OrderedDict". */
	const uint8_t *dot = name.bytes ? memrchr(name.bytes, '.', name.size) : NULL;
	struct text owner = { 0 }, last = name;
	if (dot) {
		owner = (struct text){ .bytes = name.bytes, .size = (size_t)(dot - name.bytes) };
		last.bytes = dot + 1;
		last.size = (size_t)(name.bytes + name.size - last.bytes);
	}
	const uint32_t owner_id = intern(session, owner);
	const uint32_t name_id = owner_id ? intern(session, last) : 0;
	const uint32_t id = name_id ? session_define_cfunc(session, owner_id, name_id, true) : 0;
	if (id)
		id_table_put(&session->cfuncs, key, check, id);
	return id;
}
