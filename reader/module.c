/*
 * pymemtrace._reader as Python sees it: open(), Trace, Event, TraceError. `import pymemtrace` does not load it.
 *
 * The global interpreter lock is released while a block is read. A stream that was given to another library has
 * nothing to do with Python: that library calls it from whatever thread it likes.
 */
#include <Python.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/words.h"
#include "reader/arrow.h"

PyMODINIT_FUNC PyInit__reader(void);

/* Python 3.9 has them under no name. */
static PyObject *hold(PyObject *object)
{
	Py_XINCREF(object);
	return object;
}

struct state {
	PyTypeObject *trace_type, *iterator_type, *event_type;
	PyObject *error_type;
};

/*
 * Errors
 */

static void raise_trace_error(const struct state *state, PyObject *path, const struct rows_error *error)
{
	PyObject *text = PyUnicode_FromFormat("%R: %s", path, error->text);
	PyObject *raised = text ? PyObject_CallOneArg(state->error_type, text) : NULL;
	PyObject *offset = error->offset == UINT64_MAX ? hold(Py_None) : PyLong_FromUnsignedLongLong(error->offset);
	if (raised && offset && PyObject_SetAttrString(raised, "path", path) == 0 &&
	    PyObject_SetAttrString(raised, "offset", offset) == 0)
		PyErr_SetObject(state->error_type, raised);
	Py_XDECREF(text);
	Py_XDECREF(raised);
	Py_XDECREF(offset);
}

static void raise_error(const struct state *state, PyObject *path, const struct rows_error *error)
{
	if (error->error) {
		errno = error->error;
		PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
	} else if (error->status == EXIT_LIMIT) {
		PyErr_Format(PyExc_MemoryError, "%R: %s", path, error->text);
	} else {
		raise_trace_error(state, path, error);
	}
}

static PyObject *no_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
	(void)args;
	(void)names;
	return PyErr_Format(PyExc_TypeError, "cannot create '%.100s' instances", type->tp_name);
}

/*
 * Events
 */

struct iterator {
	PyObject_HEAD
	PyObject *path;
	struct rows *rows;              /* NULL: at its end */
	const struct rows_row *next;
	size_t left;
	bool busy;                      /* a thread is at work on `rows` without the lock */
	PyObject **texts[ROWS_TEXT_COUNT];      /* made when they are first needed */
};

static void iterator_close(struct iterator *self)
{
	for (unsigned i = 0; i < ROWS_TEXT_COUNT && self->rows; i++) {
		const uint32_t count = dictionary_count(rows_dictionary(self->rows, i));
		for (uint32_t k = 0; k < count && self->texts[i]; k++)
			Py_XDECREF(self->texts[i][k]);
		PyMem_Free(self->texts[i]);
		self->texts[i] = NULL;
	}
	rows_close(self->rows);
	self->rows = NULL;
	self->left = 0;
}

static void iterator_dealloc(PyObject *object)
{
	PyTypeObject *const type = Py_TYPE(object);
	struct iterator *const self = (struct iterator *)object;
	iterator_close(self);
	Py_XDECREF(self->path);
	type->tp_free(object);
	Py_DECREF(type);
}

/* A new reference. */
static PyObject *iterator_text(struct iterator *self, enum rows_text column, uint32_t number)
{
	if (number == ROWS_NO_TEXT)
		return hold(Py_None);
	const struct dictionary *dictionary = rows_dictionary(self->rows, column);
	if (!self->texts[column])
		self->texts[column] = PyMem_Calloc(dictionary_count(dictionary), sizeof(PyObject *));
	if (!self->texts[column])
		return PyErr_NoMemory();
	PyObject **kept = &self->texts[column][number];
	if (!*kept) {
		size_t size = 0;
		const char *text = dictionary_text(dictionary, number, &size);
		*kept = PyUnicode_DecodeUTF8(text, (Py_ssize_t)size, NULL);
	}
	return hold(*kept);
}

static PyObject *new_text(const char *bytes, size_t size)
{
	char *room = PyMem_Malloc(DICTIONARY_TEXT_MAX(size) + 1);
	if (!room)
		return PyErr_NoMemory();
	PyObject *text = PyUnicode_DecodeUTF8(room, (Py_ssize_t)dictionary_put_text(bytes, size, room), NULL);
	PyMem_Free(room);
	return text;
}

/* Signed as in Arrow's columns, so that both say the same of what only a damaged trace can have. */
static PyObject *new_number(const struct rows_row *row, unsigned has, int64_t value)
{
	return has && !(row->has & has) ? hold(Py_None) : PyLong_FromLongLong(value);
}

static PyObject *new_event(struct iterator *self, const struct state *state, const struct rows_row *row)
{
	PyObject *const event = PyStructSequence_New(state->event_type);
	if (!event)
		return NULL;
	const bool has_rss = row->has & ROWS_HAS_RSS;
	PyObject *const items[ARROW_COLUMN_COUNT] = {
		new_number(row, 0, row->pid),
		iterator_text(self, ROWS_LABEL, row->text[ROWS_LABEL]),
		new_number(row, ROWS_HAS_EVENT, (int64_t)row->event),
		new_number(row, ROWS_HAS_EXTRA, (int64_t)row->extra),
		new_number(row, ROWS_HAS_RSS, (int64_t)row->time_ns),
		new_number(row, ROWS_HAS_RSS, (int64_t)row->rss_bytes),
		new_number(row, ROWS_HAS_DRSS, row->drss_bytes),
		has_rss ? PyBool_FromLong(row->rss_read) : hold(Py_None),
		new_number(row, ROWS_HAS_THREAD, row->thread),
		iterator_text(self, ROWS_THREAD_NAME, row->text[ROWS_THREAD_NAME]),
		iterator_text(self, ROWS_KIND, row->text[ROWS_KIND]),
		iterator_text(self, ROWS_FILE, row->text[ROWS_FILE]),
		new_number(row, ROWS_HAS_LINE, row->line),
		iterator_text(self, ROWS_FUNCTION, row->text[ROWS_FUNCTION]),
		iterator_text(self, ROWS_QUALNAME, row->text[ROWS_QUALNAME]),
		row->has & ROWS_HAS_MESSAGE ? new_text(row->message, row->message_size) : hold(Py_None),
		new_number(row, ROWS_HAS_LOST, (int64_t)row->lost),
	};
	bool whole = true;
	for (unsigned i = 0; i < ARROW_COLUMN_COUNT; i++) {
		whole = whole && items[i];
		PyStructSequence_SetItem(event, (Py_ssize_t)i, items[i]);       /* takes the reference */
	}
	if (whole)
		return event;
	Py_DECREF(event);
	return NULL;
}

static PyObject *iterator_next(PyObject *object)
{
	struct iterator *const self = (struct iterator *)object;
	const struct state *const state = PyType_GetModuleState(Py_TYPE(object));
	if (self->busy) {
		PyErr_SetString(PyExc_ValueError, "another thread is reading from this iterator");
		return NULL;
	}
	if (!self->rows)
		return NULL;
	if (!self->left) {
		struct rows_error error;
		enum rows_result result;
		self->busy = true;
		Py_BEGIN_ALLOW_THREADS
		result = rows_next(self->rows, &self->next, &self->left, &error);
		Py_END_ALLOW_THREADS
		self->busy = false;
		if (result != ROWS_SOME)
			iterator_close(self);
		if (result == ROWS_FAILED)
			raise_error(state, self->path, &error);
		if (result != ROWS_SOME)
			return NULL;
	}
	PyObject *event = new_event(self, state, self->next);
	self->next++;
	self->left--;
	return event;
}

static PyType_Slot iterator_slots[] = {
	{ Py_tp_new, no_new },
	{ Py_tp_dealloc, iterator_dealloc },
	{ Py_tp_iter, PyObject_SelfIter },
	{ Py_tp_iternext, iterator_next },
	{ 0, NULL },
};

static PyType_Spec iterator_spec = {
	.name = "pymemtrace._reader.EventIterator", .basicsize = sizeof(struct iterator), .flags = Py_TPFLAGS_DEFAULT,
	.slots = iterator_slots,
};

/*
 * Trace
 */

struct trace {
	PyObject_HEAD
	PyObject *path;                 /* as str */
	PyObject *path_bytes;
	PyObject *header, *notes;
	bool skip_damage;
	bool closed;
	struct rows *rows;              /* opened, and not yet read by anybody; or NULL */
};

static struct rows *open_rows(const struct state *state, const struct trace *self)
{
	const char *const path = PyBytes_AS_STRING(self->path_bytes);
	const bool skip_damage = self->skip_damage;
	struct rows_error error;
	struct rows *rows;
	Py_BEGIN_ALLOW_THREADS
	rows = rows_open(path, skip_damage, &error);
	Py_END_ALLOW_THREADS
	if (!rows)
		raise_error(state, self->path, &error);
	return rows;
}

static bool check_open(const struct trace *self)
{
	if (self->closed)
		PyErr_SetString(PyExc_ValueError, "this trace is closed");
	return !self->closed;
}

/* The rows from the first on, for one reader. */
static struct rows *take_rows(struct trace *self)
{
	if (!check_open(self))
		return NULL;
	struct rows *rows = self->rows;
	self->rows = NULL;
	return rows ? rows : open_rows(PyType_GetModuleState(Py_TYPE(self)), self);
}

static void trace_dealloc(PyObject *object)
{
	PyTypeObject *const type = Py_TYPE(object);
	struct trace *const self = (struct trace *)object;
	rows_close(self->rows);
	Py_XDECREF(self->path);
	Py_XDECREF(self->path_bytes);
	Py_XDECREF(self->header);
	Py_XDECREF(self->notes);
	type->tp_free(object);
	Py_DECREF(type);
}

static PyObject *trace_iter(PyObject *object)
{
	struct trace *const self = (struct trace *)object;
	const struct state *const state = PyType_GetModuleState(Py_TYPE(object));
	struct rows *rows = take_rows(self);
	if (!rows)
		return NULL;
	struct iterator *const iterator = PyObject_New(struct iterator, state->iterator_type);
	if (!iterator) {
		rows_close(rows);
		return NULL;
	}
	iterator->path = hold(self->path);
	iterator->rows = rows;
	iterator->next = NULL;
	iterator->left = 0;
	iterator->busy = false;
	memset(iterator->texts, 0, sizeof(iterator->texts));
	return (PyObject *)iterator;
}

/* {column: (text, ...)}, in order. */
static PyObject *trace_names(PyObject *object, void *closure)
{
	static const struct {
		const char *name;
		enum rows_text text;
	} columns[] = {
		{ "file", ROWS_FILE }, { "function", ROWS_FUNCTION }, { "qualname", ROWS_QUALNAME },
		{ "thread_name", ROWS_THREAD_NAME },
	};
	struct trace *const self = (struct trace *)object;
	struct rows *rows = take_rows(self);
	PyObject *names = rows ? PyDict_New() : NULL;
	(void)closure;
	for (size_t i = 0; names && i < sizeof(columns) / sizeof(columns[0]); i++) {
		const struct dictionary *dictionary = rows_dictionary(rows, columns[i].text);
		PyObject *texts = PyTuple_New(dictionary_count(dictionary));
		for (uint32_t k = 0; texts && k < dictionary_count(dictionary); k++) {
			size_t size = 0;
			const char *text = dictionary_text(dictionary, k, &size);
			PyObject *item = PyUnicode_DecodeUTF8(text, (Py_ssize_t)size, NULL);
			if (item)
				PyTuple_SET_ITEM(texts, k, item);
			else
				Py_CLEAR(texts);
		}
		if (!texts || PyDict_SetItemString(names, columns[i].name, texts) < 0)
			Py_CLEAR(names);
		Py_XDECREF(texts);
	}
	/* Nobody has read of it yet. Another thread may have opened it meanwhile. */
	if (self->rows || self->closed)
		rows_close(rows);
	else
		self->rows = rows;
	return names;
}

/*
 * Arrow
 */

static void drop_stream(PyObject *capsule)
{
	struct ArrowArrayStream *stream = PyCapsule_GetPointer(capsule, "arrow_array_stream");
	if (stream->release)
		stream->release(stream);
	free(stream);
}

static void drop_schema(PyObject *capsule)
{
	struct ArrowSchema *schema = PyCapsule_GetPointer(capsule, "arrow_schema");
	if (schema->release)
		schema->release(schema);
	free(schema);
}

static PyObject *trace_arrow_c_schema(PyObject *object, PyObject *unused)
{
	struct ArrowSchema *schema = malloc(sizeof(*schema));
	(void)object;
	(void)unused;
	if (!schema || arrow_schema((struct arrow_form){ 0 }, schema) != 0) {
		free(schema);
		return PyErr_NoMemory();
	}
	return PyCapsule_New(schema, "arrow_schema", drop_schema);
}

/* What `capsule` asks for, or the form of our own choice for None. */
static bool parse_form(PyObject *capsule, struct arrow_form *form_out)
{
	*form_out = (struct arrow_form){ 0 };
	if (capsule == Py_None)
		return true;
	const struct ArrowSchema *wanted = PyCapsule_GetPointer(capsule, "arrow_schema");
	if (!wanted)
		return false;
	if (arrow_form_for(wanted, form_out))
		return true;
	PyErr_SetString(PyExc_ValueError, "the requested schema does not have the columns of a trace");
	return false;
}

static PyObject *trace_arrow_c_stream(PyObject *object, PyObject *args, PyObject *keywords)
{
	static const char *const names[] = { "requested_schema", NULL };
	struct trace *const self = (struct trace *)object;
	PyObject *requested = Py_None;
	struct arrow_form form;
	if (!PyArg_ParseTupleAndKeywords(args, keywords, "|O:__arrow_c_stream__", (char **)(uintptr_t)names, &requested) ||
	    !parse_form(requested, &form))
		return NULL;
	struct rows *rows = take_rows(self);
	if (!rows)
		return NULL;
	struct ArrowArrayStream *stream = malloc(sizeof(*stream));
	if (!stream) {
		rows_close(rows);
		return PyErr_NoMemory();
	}
	if (arrow_stream(rows, PyBytes_AS_STRING(self->path_bytes), form, stream) != 0) {
		free(stream);
		return PyErr_NoMemory();
	}
	PyObject *capsule = PyCapsule_New(stream, "arrow_array_stream", drop_stream);
	if (!capsule) {
		stream->release(stream);
		free(stream);
	}
	return capsule;
}

/*
 * What the trace says of itself
 */

/* Takes the reference of `value`, which may be NULL with an exception set. */
static bool put(PyObject *dict, const char *key, PyObject *value)
{
	const bool done = value && PyDict_SetItemString(dict, key, value) == 0;
	Py_XDECREF(value);
	return done;
}

static PyObject *new_header_text(const void *bytes, size_t size)
{
	return PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)size, "surrogateescape");
}

static bool put_text(PyObject *dict, const char *key, const struct mt_header *header, enum mt_tlv type)
{
	struct mt_tlv_view view;
	return put(dict, key, mt_header_tlv(header, type, &view) ? new_header_text(view.data, view.size) : hold(Py_None));
}

static bool put_number(PyObject *dict, const char *key, const struct mt_header *header, enum mt_tlv type)
{
	struct mt_tlv_view view;
	const bool found = mt_header_tlv(header, type, &view) && view.size >= 8;
	return put(dict, key, found ? PyLong_FromUnsignedLongLong(mt_load_u64(view.data)) : hold(Py_None));
}

static bool put_word(PyObject *dict, const char *key, const char *words)
{
	return put(dict, key, PyUnicode_FromString(words_identifier(words)));
}

static PyObject *new_argv(const struct mt_header *header)
{
	struct mt_tlv_view view;
	if (!mt_header_tlv(header, MT_TLV_ARGV, &view))
		return hold(Py_None);
	PyObject *argv = PyList_New(0);
	const char *const end = (const char *)view.data + view.size;
	for (const char *at = (const char *)view.data; argv && at < end;) {
		const char *nul = memchr(at, '\0', (size_t)(end - at));
		PyObject *word = new_header_text(at, (size_t)((nul ? nul : end) - at));
		if (!word || PyList_Append(argv, word) < 0)
			Py_CLEAR(argv);
		Py_XDECREF(word);
		at = nul ? nul + 1 : end;
	}
	return argv;
}

static PyObject *new_uuid(const struct mt_header *header)
{
	char text[2 * MT_UUID_SIZE + 5];
	char *at = text;
	for (int i = 0; i < MT_UUID_SIZE; i++)
		at += snprintf(at, 4, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", header->uuid[i]);
	return PyUnicode_FromString(text);
}

/* The same names as in `mtdump info --json`. */
static PyObject *new_header(const struct stream *stream)
{
	const struct mt_header *header = stream_header(stream);
	const struct stream_totals *totals = stream_totals(stream);
	PyObject *dict = PyDict_New();
	if (dict &&
	    put(dict, "format", PyUnicode_FromFormat("%u.%u", (unsigned)header->version_major,
						     (unsigned)header->version_minor)) &&
	    put(dict, "uuid", new_uuid(header)) &&
	    put(dict, "start_wall_ns", PyLong_FromUnsignedLongLong(header->start_wall_ns)) &&
	    put_text(dict, "message", header, MT_TLV_MESSAGE) &&
	    put(dict, "pid", PyLong_FromUnsignedLong(header->pid)) &&
	    put(dict, "ppid", PyLong_FromUnsignedLong(header->ppid)) &&
	    put(dict, "argv", new_argv(header)) &&
	    put_text(dict, "executable", header, MT_TLV_EXECUTABLE) &&
	    put_text(dict, "cwd", header, MT_TLV_CWD) &&
	    put_text(dict, "python", header, MT_TLV_PYTHON_VERSION) &&
	    put_text(dict, "host", header, MT_TLV_HOST) &&
	    put_text(dict, "kernel", header, MT_TLV_KERNEL) &&
	    put_text(dict, "boot_id", header, MT_TLV_BOOT_ID) &&
	    put_text(dict, "cpu_model", header, MT_TLV_CPU_MODEL) &&
	    put_text(dict, "writer", header, MT_TLV_WRITER) &&
	    put_word(dict, "hook", words_hook(header->hook)) &&
	    put_word(dict, "clock", words_clock(header->clock_id)) &&
	    put_word(dict, "rss_source", words_rss_source(header->rss_source)) &&
	    put_text(dict, "rss_refused", header, MT_TLV_RSS_REFUSED) &&
	    put_number(dict, "memory_limit_bytes", header, MT_TLV_MEMORY_LIMIT) &&
	    put_number(dict, "age_at_start_ns", header, MT_TLV_PROCESS_START) &&
	    put_number(dict, "footprint_bytes", header, MT_TLV_FOOTPRINT) &&
	    put(dict, "tick_ns", PyFloat_FromDouble((double)header->tick_num / header->tick_den)) &&
	    put(dict, "page_size", PyLong_FromUnsignedLong(header->page_size)) &&
	    put(dict, "default_min_drss_bytes", PyLong_FromUnsignedLongLong(header->default_min_drss_bytes)) &&
	    put(dict, "file_bytes", PyLong_FromUnsignedLongLong(totals->file_bytes)) &&
	    put(dict, "events", PyLong_FromUnsignedLongLong(totals->events)) &&
	    put(dict, "records", PyLong_FromUnsignedLongLong(totals->records)) &&
	    put(dict, "lost", PyLong_FromUnsignedLongLong(totals->lost_total)) &&
	    put(dict, "closed", PyBool_FromLong(totals->closed)))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

static PyObject *new_notes(const struct rows *rows)
{
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && rows_note(rows, i); i++) {
		PyObject *note = PyUnicode_FromString(rows_note(rows, i));
		if (!note || PyList_Append(list, note) < 0)
			Py_CLEAR(list);
		Py_XDECREF(note);
	}
	PyObject *notes = list ? PyList_AsTuple(list) : NULL;
	Py_XDECREF(list);
	return notes;
}

static PyObject *trace_get(PyObject *object, void *closure)
{
	return hold(*(PyObject **)((char *)object + (size_t)closure));
}

static PyObject *trace_repr(PyObject *object)
{
	return PyUnicode_FromFormat("<pymemtrace.Trace %R>", ((struct trace *)object)->path);
}

static PyObject *trace_close(PyObject *object, PyObject *unused)
{
	struct trace *const self = (struct trace *)object;
	(void)unused;
	rows_close(self->rows);
	self->rows = NULL;
	self->closed = true;
	Py_RETURN_NONE;
}

static PyObject *trace_enter(PyObject *object, PyObject *unused)
{
	(void)unused;
	return check_open((struct trace *)object) ? hold(object) : NULL;
}

static PyObject *trace_exit(PyObject *object, PyObject *args)
{
	(void)args;
	return trace_close(object, NULL);
}

static PyGetSetDef trace_getset[] = {
	{ "path", trace_get, NULL, "the path that it was opened by", (void *)offsetof(struct trace, path) },
	{ "header", trace_get, NULL, "what the trace says of itself, by the names of `mtdump info --json`",
	  (void *)offsetof(struct trace, header) },
	{ "notes", trace_get, NULL, "what is to be known about how whole it is", (void *)offsetof(struct trace, notes) },
	{ "names", trace_names, NULL, "all files, functions and threads: {column: (text, ...)}", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyMethodDef trace_methods[] = {
	{ "close", trace_close, METH_NOARGS, "Close it. Iterators and streams that it gave go on." },
	{ "__enter__", trace_enter, METH_NOARGS, NULL },
	{ "__exit__", trace_exit, METH_VARARGS, NULL },
	{ "__arrow_c_schema__", trace_arrow_c_schema, METH_NOARGS, "The schema of __arrow_c_stream__()." },
	{ "__arrow_c_stream__", (PyCFunction)(uintptr_t)trace_arrow_c_stream, METH_VARARGS | METH_KEYWORDS,
	  "A new stream of all rows, as a PyCapsule of the Arrow C stream interface." },
	{ NULL, NULL, 0, NULL },
};

static PyType_Slot trace_slots[] = {
	{ Py_tp_new, no_new },
	{ Py_tp_dealloc, trace_dealloc },
	{ Py_tp_iter, trace_iter },
	{ Py_tp_repr, trace_repr },
	{ Py_tp_getset, trace_getset },
	{ Py_tp_methods, trace_methods },
	{ Py_tp_doc, (void *)(uintptr_t)"A trace to read: an iterable of its events, and a table for whatever reads Arrow." },
	{ 0, NULL },
};

static PyType_Spec trace_spec = {
	.name = "pymemtrace._reader.Trace", .basicsize = sizeof(struct trace), .flags = Py_TPFLAGS_DEFAULT,
	.slots = trace_slots,
};

/*
 * Module
 */

static int parse_on_damage(const char *word, bool *skip_out)
{
	*skip_out = strcmp(word, "skip") == 0;
	if (*skip_out || strcmp(word, "raise") == 0)
		return 0;
	PyErr_SetString(PyExc_ValueError, "on_damage must be 'raise' or 'skip'");
	return -1;
}

static PyObject *reader_open(PyObject *module, PyObject *args, PyObject *keywords)
{
	static const char *const names[] = { "path", "on_damage", NULL };
	const struct state *const state = PyModule_GetState(module);
	const char *on_damage = "raise";
	PyObject *path = NULL;
	bool skip_damage = false;
	if (!PyArg_ParseTupleAndKeywords(args, keywords, "O&|$s:open", (char **)(uintptr_t)names, PyUnicode_FSConverter,
					 &path, &on_damage))
		return NULL;
	struct trace *const self = parse_on_damage(on_damage, &skip_damage) == 0
				   ? PyObject_New(struct trace, state->trace_type) : NULL;
	if (!self) {
		Py_DECREF(path);
		return NULL;
	}
	self->path = PyUnicode_DecodeFSDefaultAndSize(PyBytes_AS_STRING(path), PyBytes_GET_SIZE(path));
	self->path_bytes = path;
	self->header = self->notes = NULL;
	self->skip_damage = skip_damage;
	self->closed = false;
	self->rows = NULL;
	if (self->path)
		self->rows = open_rows(state, self);
	if (self->rows) {
		self->header = new_header(rows_stream(self->rows));
		self->notes = self->header ? new_notes(self->rows) : NULL;
	}
	if (self->notes)
		return (PyObject *)self;
	Py_DECREF(self);
	return NULL;
}

static PyMethodDef reader_methods[] = {
	{ "open", (PyCFunction)(uintptr_t)reader_open, METH_VARARGS | METH_KEYWORDS,
	  "open(path, *, on_damage='raise')\n--\n\nOpen a trace to read it." },
	{ NULL, NULL, 0, NULL },
};

static PyTypeObject *new_event_type(void)
{
	PyStructSequence_Field fields[ARROW_COLUMN_COUNT + 1] = { { NULL, NULL } };
	for (unsigned i = 0; i < ARROW_COLUMN_COUNT; i++)
		fields[i].name = arrow_column_names[i];
	PyStructSequence_Desc description = {
		.name = "pymemtrace.Event", .doc = "One row of a trace: an event, a message or a loss.",
		.fields = fields, .n_in_sequence = ARROW_COLUMN_COUNT,
	};
	return PyStructSequence_NewType(&description);
}

static PyObject *new_error_type(void)
{
	PyObject *defaults = Py_BuildValue("{s:O,s:O}", "path", Py_None, "offset", Py_None);
	PyObject *type = defaults ? PyErr_NewExceptionWithDoc("pymemtrace.TraceError",
		"A file is no trace, or a damaged one. `path` says which, `offset` where, in bytes, or None.",
		NULL, defaults) : NULL;
	Py_XDECREF(defaults);
	return type;
}

static int add_object(PyObject *module, const char *name, PyObject *object)
{
	Py_XINCREF(object);
	if (object && PyModule_AddObject(module, name, object) == 0)
		return 0;
	Py_XDECREF(object);
	return -1;
}

static int reader_exec(PyObject *module)
{
	struct state *const state = PyModule_GetState(module);
	state->trace_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &trace_spec, NULL);
	state->iterator_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &iterator_spec, NULL);
	state->event_type = new_event_type();
	state->error_type = new_error_type();
	if (add_object(module, "Trace", (PyObject *)state->trace_type) < 0 || !state->iterator_type ||
	    add_object(module, "Event", (PyObject *)state->event_type) < 0 ||
	    add_object(module, "TraceError", state->error_type) < 0)
		return -1;
	return 0;
}

static int reader_traverse(PyObject *module, visitproc visit, void *arg)
{
	const struct state *const state = PyModule_GetState(module);
	Py_VISIT(state->trace_type);
	Py_VISIT(state->iterator_type);
	Py_VISIT(state->event_type);
	Py_VISIT(state->error_type);
	return 0;
}

static int reader_clear(PyObject *module)
{
	struct state *const state = PyModule_GetState(module);
	Py_CLEAR(state->trace_type);
	Py_CLEAR(state->iterator_type);
	Py_CLEAR(state->event_type);
	Py_CLEAR(state->error_type);
	return 0;
}

static void reader_free(void *module)
{
	reader_clear(module);
}

static PyModuleDef_Slot reader_slots[] = {
	{ Py_mod_exec, reader_exec },
	{ 0, NULL },
};

static struct PyModuleDef reader_module = {
	PyModuleDef_HEAD_INIT,
	.m_name = "pymemtrace._reader",
	.m_doc = "Traces as Python objects and as Arrow streams.",
	.m_size = sizeof(struct state),
	.m_methods = reader_methods,
	.m_slots = reader_slots,
	.m_traverse = reader_traverse,
	.m_clear = reader_clear,
	.m_free = reader_free,
};

PyMODINIT_FUNC PyInit__reader(void)
{
	return PyModuleDef_Init(&reader_module);
}
