/*
 * pymemtrace.cPyMemTrace as Python sees it: Profile, a few functions, the end of the interpreter.
 *
 * Only start() and __enter__() raise, before the first event. Everything else that can go wrong is counted in
 * the trace, never raised into the program that is being watched.
 */
#include <Python.h>
#include <errno.h>
#include <structmember.h>
#include <unistd.h>

#include "recorder/fork.h"
#include "recorder/hook.h"
#include "recorder/recording.h"
#include "recorder/summary.h"

PyMODINIT_FUNC PyInit_cPyMemTrace(void);

/*
 * Profile
 */

struct profile {
	PyObject_HEAD
	long long d_rss_trigger;        /* bytes; negative: a page */
	PyObject *message;              /* str or NULL */
	PyObject *filepath;             /* bytes or NULL: a default name */
	PyObject *pending;              /* list of messages written before the start, or NULL */
	char *path;                     /* of the latest trace; NULL: never started */
	unsigned uses;                  /* recordings made so far */
	struct recording_slot slot;
};

static bool profile_is_open(const struct profile *self)
{
	return self->slot.owner != NULL;
}

#define MAX_SIZE_MIN (256 * 1024)       /* the header, the end and something between */

static int parse_tick(long tick)
{
	if (tick == 1 || tick == 10 || tick == 100 || tick == 1000)
		return (int)tick;
	PyErr_SetString(PyExc_ValueError, "tick must be 1, 10, 100 or 1000 (nanoseconds)");
	return -1;
}

static int parse_rss_source(const char *name)
{
	if (rss_is_source(name))
		return 0;
	PyErr_Format(PyExc_ValueError, "no RSS source is called '%s'", name);
	return -1;
}

/* None: 0, which stands for the bound of the file system. */
static int parse_max_size(PyObject *value, uint64_t *size_out)
{
	*size_out = 0;
	if (value == Py_None)
		return 0;
	if (!PyLong_Check(value)) {
		PyErr_Format(PyExc_TypeError, "max_size must be an int or None, not '%.100s'", Py_TYPE(value)->tp_name);
		return -1;
	}
	const long long size = PyLong_AsLongLong(value);
	if (size == -1 && PyErr_Occurred())
		return -1;
	if (size < MAX_SIZE_MIN) {
		PyErr_Format(PyExc_ValueError, "max_size must be at least %d (bytes)", MAX_SIZE_MIN);
		return -1;
	}
	*size_out = (uint64_t)size;
	return 0;
}

static int profile_init(PyObject *object, PyObject *args, PyObject *names)
{
	static const char *const keywords[] = { "d_rss_trigger", "message", "filepath", "rss", "tick",
						"children", "max_size", NULL };
	struct profile *const self = (struct profile *)object;
	long long trigger = -1;
	PyObject *message = Py_None, *filepath = Py_None, *filepath_bytes = NULL;
	const char *rss = "auto";
	long tick = 10;
	int children = 1;
	PyObject *max_size = Py_None;
	uint64_t size_max;

	if (!PyArg_ParseTupleAndKeywords(args, names, "|LOO$slpO:Profile", (char **)(uintptr_t)keywords, &trigger, &message,
					 &filepath, &rss, &tick, &children, &max_size))
		return -1;
	if (profile_is_open(self)) {
		PyErr_SetString(PyExc_RuntimeError, "this Profile is recording");
		return -1;
	}
	if (message != Py_None && !PyUnicode_Check(message)) {
		PyErr_SetString(PyExc_TypeError, "message must be a str or None");
		return -1;
	}
	if (filepath != Py_None && !PyUnicode_FSConverter(filepath, &filepath_bytes))
		return -1;
	if (parse_tick(tick) < 0 || parse_rss_source(rss) < 0 || parse_max_size(max_size, &size_max) < 0) {
		Py_XDECREF(filepath_bytes);
		return -1;
	}
	self->d_rss_trigger = trigger;
	Py_INCREF(message);
	Py_XSETREF(self->message, message);
	Py_XSETREF(self->filepath, filepath_bytes);
	self->slot.tick_ns = (uint32_t)tick;
	self->slot.no_children = !children;
	self->slot.size_max = size_max;
	snprintf(self->slot.rss_source, sizeof(self->slot.rss_source), "%s", rss);
	return 0;
}

static void free_slot_strings(struct recording_slot *slot)
{
	PyMem_RawFree(slot->base_path);
	PyMem_RawFree(slot->directory);
	PyMem_RawFree(slot->tlvs);
	slot->base_path = slot->directory = NULL;
	slot->tlvs = NULL;
	slot->tlvs_size = 0;
}

static void profile_dealloc(PyObject *object)
{
	struct profile *const self = (struct profile *)object;

	free_slot_strings(&self->slot);         /* not open: an open one is referred to */
	PyMem_RawFree(self->path);
	Py_XDECREF(self->message);
	Py_XDECREF(self->filepath);
	Py_XDECREF(self->pending);
	Py_TYPE(object)->tp_free(object);
}

/*
 * What the header says of the program. Each text is cut to a few KiB: the header has 64 KiB in all.
 */

#define TLV_TEXT_MAX 8192
#define TLVS_ROOM (6 * (TLV_TEXT_MAX + 16))

static void put_text(struct mt_out *out, enum mt_tlv type, const char *text, size_t size)
{
	mt_tlv_put(out, type, text, size > TLV_TEXT_MAX ? TLV_TEXT_MAX : size);
}

/* File system bytes of a str (surrogates and all); nothing is put for anything else. */
static void put_str(struct mt_out *out, enum mt_tlv type, PyObject *str)
{
	PyObject *bytes = NULL;

	if (str && PyUnicode_Check(str))
		bytes = PyUnicode_AsEncodedString(str, "utf-8", "surrogateescape");
	if (!bytes && str && PyUnicode_Check(str)) {
		PyErr_Clear();
		bytes = PyUnicode_AsEncodedString(str, "utf-8", "surrogatepass");
	}
	if (bytes)
		put_text(out, type, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
	PyErr_Clear();
	Py_XDECREF(bytes);
}

/* An attribute of sys; NULL and no exception if it is not there. PySys_GetObject() would print without memory. */
static PyObject *sys_attribute(const char *name)
{
	PyObject *const sys = PyImport_ImportModule("sys");
	PyObject *const found = sys ? PyObject_GetAttrString(sys, name) : NULL;

	PyErr_Clear();
	Py_XDECREF(sys);
	return found;
}

static void put_argv_list(struct mt_out *out, PyObject *argv)
{
	char text[TLV_TEXT_MAX];
	size_t size = 0;

	for (Py_ssize_t i = 0; i < PyList_GET_SIZE(argv); i++) {
		PyObject *const item = PyList_GET_ITEM(argv, i);
		PyObject *const bytes = PyUnicode_Check(item)
			? PyUnicode_AsEncodedString(item, "utf-8", "surrogateescape") : NULL;
		PyErr_Clear();
		const size_t length = bytes ? (size_t)PyBytes_GET_SIZE(bytes) : 0;
		if (size + length + 1 > sizeof(text)) {
			Py_XDECREF(bytes);
			break;
		}
		if (i > 0)
			text[size++] = '\0';    /* between two, not after the last */
		if (bytes)
			memcpy(text + size, PyBytes_AS_STRING(bytes), length);
		size += length;
		Py_XDECREF(bytes);
	}
	mt_tlv_put(out, MT_TLV_ARGV, text, size);
}

static void put_argv(struct mt_out *out)
{
	PyObject *const argv = sys_attribute("argv");

	if (argv && PyList_Check(argv))
		put_argv_list(out, argv);
	Py_XDECREF(argv);
}

static void put_coverage(struct mt_out *out, bool lines)
{
	char text[1024];
	const char *const more = lines ? hook_lines_coverage : "";
	const int length = snprintf(text, sizeof(text), "%s%s%s", hook_coverage, hook_coverage[0] && more[0] ? "; " : "",
				    more);

	if (length > 0)
		put_text(out, MT_TLV_COVERAGE, text, (size_t)length);
}

static int encode_tlvs(struct profile *self)
{
	uint8_t *const room = PyMem_RawMalloc(TLVS_ROOM);
	if (!room) {
		PyErr_NoMemory();
		return -1;
	}
	struct mt_out out = mt_out_over(room, TLVS_ROOM);
	put_argv(&out);
	PyObject *const executable = sys_attribute("executable");
	put_str(&out, MT_TLV_EXECUTABLE, executable);
	Py_XDECREF(executable);
	put_text(&out, MT_TLV_PYTHON_VERSION, Py_GetVersion(), strlen(Py_GetVersion()));
	if (self->message && self->message != Py_None)
		put_str(&out, MT_TLV_MESSAGE, self->message);
	put_coverage(&out, self->slot.lines);
	self->slot.tlvs = room;
	self->slot.tlvs_size = mt_out_size(&out);
	return 0;
}

/*
 * Starting
 */

static char *raw_copy(const char *text)
{
	const size_t size = strlen(text) + 1;
	char *const copy = PyMem_RawMalloc(size);
	if (copy)
		memcpy(copy, text, size);
	else
		PyErr_NoMemory();
	return copy;
}

/* `text` made absolute, so that a chdir() of the program does no harm. */
static char *absolute_path(const char *text)
{
	char directory[4096];

	if (text[0] == '/')
		return raw_copy(text);
	if (!getcwd(directory, sizeof(directory))) {
		PyErr_SetFromErrnoWithFilename(PyExc_OSError, ".");
		return NULL;
	}
	const size_t size = strlen(directory) + strlen(text) + 2;
	char *const path = PyMem_RawMalloc(size);
	if (path)
		snprintf(path, size, "%s/%s", directory, text);
	else
		PyErr_NoMemory();
	return path;
}

/* The name for attempt 0, 1, ...: a default name, or what was given with "_N" before its suffix. */
static void numbered_path(const struct profile *self, unsigned attempt, char *room, size_t size)
{
	const char *const base = self->slot.base_path;

	if (self->slot.directory) {
		recording_default_path(self->slot.directory, attempt, room, size);
	} else if (attempt == 0) {
		snprintf(room, size, "%s", base);
	} else {
		const char *const slash = strrchr(base, '/');
		const char *dot = strrchr(base, '.');
		if (!dot || dot <= slash + 1)
			dot = base + strlen(base);
		snprintf(room, size, "%.*s_%u%s", (int)(dot - base), base, attempt, dot);
	}
}

static int set_paths(struct profile *self)
{
	if (self->filepath)
		self->slot.base_path = absolute_path(PyBytes_AS_STRING(self->filepath));
	else
		self->slot.directory = absolute_path("");
	if (self->slot.directory) {
		const size_t length = strlen(self->slot.directory);
		if (length > 1)
			self->slot.directory[length - 1] = '\0';        /* the slash at the end */
	}
	return self->slot.base_path || self->slot.directory ? 0 : -1;
}

/*
 * Open the first free name. A given name that exists is an error the first time; used again, the Profile
 * numbers its own files.
 */
static int open_free_name(struct profile *self, bool synthetic)
{
	char path[4096];
	const bool may_number = self->slot.directory || self->uses > 0;

	for (unsigned attempt = 0; attempt < 10000; attempt++) {
		numbered_path(self, attempt, path, sizeof(path));
		if (recording_open(&self->slot, path, (PyObject *)self, synthetic) == 0) {
			PyMem_RawFree(self->path);
			self->path = raw_copy(path);
			PyErr_Clear();
			return 0;
		}
		if (!may_number || !PyErr_ExceptionMatches(PyExc_FileExistsError))
			return -1;
		PyErr_Clear();
	}
	PyErr_SetString(PyExc_FileExistsError, "every numbered name for the trace is taken");
	return -1;
}

static void put_message(struct session *session, PyObject *text)
{
	uint32_t thread;

	if (!recording_thread_index(session, &thread))
		thread = MT_THREAD_UNKNOWN;
	const uint32_t id = code_ids_of_str(session, text);
	if (id)
		session_meta(session, MT_META_MESSAGE, thread, id, 0);
}

static void put_pending_messages(struct profile *self)
{
	for (Py_ssize_t i = 0; self->pending && i < PyList_GET_SIZE(self->pending); i++)
		put_message(self->slot.session, PyList_GET_ITEM(self->pending, i));
	Py_CLEAR(self->pending);
}

static int profile_open(struct profile *self, bool synthetic)
{
	const long page_size = sysconf(_SC_PAGESIZE);

	if (profile_is_open(self)) {
		PyErr_SetString(PyExc_RuntimeError, "this Profile is recording already");
		return -1;
	}
	free_slot_strings(&self->slot);
	self->slot.default_min_drss_bytes =
		(uint64_t)(self->d_rss_trigger < 0 ? page_size : self->d_rss_trigger);
	if (set_paths(self) < 0 || encode_tlvs(self) < 0)
		return -1;
	if (open_free_name(self, synthetic) < 0)
		return -1;
	if (!self->slot.base_path && self->path)
		self->slot.base_path = raw_copy(self->path);
	PyErr_Clear();
	self->uses++;
	put_pending_messages(self);
	return 0;
}

static PyObject *profile_start(PyObject *object, PyObject *Py_UNUSED(none))
{
	if (profile_open((struct profile *)object, true) < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *profile_stop(PyObject *object, PyObject *Py_UNUSED(none))
{
	recording_close(&((struct profile *)object)->slot, MT_END_STOP);
	Py_RETURN_NONE;
}

static PyObject *profile_enter(PyObject *object, PyObject *Py_UNUSED(none))
{
	if (profile_open((struct profile *)object, true) < 0)
		return NULL;
	Py_INCREF(object);
	return object;
}

static PyObject *profile_exit(PyObject *object, PyObject *Py_UNUSED(args))
{
	recording_close(&((struct profile *)object)->slot, MT_END_STOP);
	Py_RETURN_FALSE;
}

static PyObject *profile_path(PyObject *object, void *Py_UNUSED(closure))
{
	const struct profile *const self = (const struct profile *)object;
	/* In a fork's child it is the child's own trace. */
	const char *const path = self->slot.session ? self->slot.session->path : self->path;

	if (!path)
		Py_RETURN_NONE;
	return PyUnicode_DecodeFSDefault(path);
}

static PyObject *profile_log_file_path(PyObject *object, PyObject *Py_UNUSED(none))
{
	return profile_path(object, NULL);
}

static PyObject *profile_write_message(PyObject *object, PyObject *text)
{
	struct profile *const self = (struct profile *)object;

	if (!PyUnicode_Check(text)) {
		PyErr_Format(PyExc_TypeError, "a message is a str, not '%.100s'", Py_TYPE(text)->tp_name);
		return NULL;
	}
	if (self->slot.session) {
		put_message(self->slot.session, text);
	} else {
		/* Kept for the next start. */
		if (!self->pending)
			self->pending = PyList_New(0);
		if (!self->pending || PyList_Append(self->pending, text) < 0)
			PyErr_Clear();
	}
	Py_RETURN_NONE;
}

static PyMethodDef profile_methods[] = {
	{ "start", profile_start, METH_NOARGS,
	  "start($self)\n--\n\n"
	  "Begin to record every call and return of every thread.\n\n"
	  "Raises RuntimeError if this Profile is recording already and OSError if the trace cannot be made:\n"
	  "FileExistsError if a filepath was given and exists. An active recording is suspended." },
	{ "stop", profile_stop, METH_NOARGS,
	  "stop($self)\n--\n\n"
	  "End the recording and write out what is left of it. Does nothing if it is not open; never raises.\n"
	  "The latest recording that is still open is resumed." },
	{ "__enter__", profile_enter, METH_NOARGS, "__enter__($self)\n--\n\nAs start(); gives the Profile." },
	{ "__exit__", profile_exit, METH_VARARGS, "__exit__($self, exc_type=None, exc_value=None, traceback=None, /)\n--\n\nAs stop(); gives False." },
	{ "log_file_path", profile_log_file_path, METH_NOARGS,
	  "log_file_path($self)\n--\n\nThe same as the member path." },
	{ "write_message_to_log", profile_write_message, METH_O,
	  "write_message_to_log($self, text, /)\n--\n\n"
	  "Put a note into the trace, between the events. Before the start it is kept for the start." },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef profile_getset[] = {
	{ "path", profile_path, NULL,
	  "Absolute path of the trace, a str; None before the first start.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyTypeObject profile_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "pymemtrace.cPyMemTrace.Profile",
	.tp_basicsize = sizeof(struct profile),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.tp_doc = "Profile(d_rss_trigger=-1, message=None, filepath=None, *, rss='auto', tick=10, children=True, max_size=None)\n"
		  "--\n\n"
		  "A recording of every Python and C call and return with the process's RSS, in all threads.\n\n"
		  "d_rss_trigger  bytes; what mtdump shows unless told otherwise: steps of at least this much.\n"
		  "               Negative: a page. 0: everything. Nothing is left out of the recording.\n"
		  "message        a note kept in the trace's header\n"
		  "filepath       of the trace; it must not exist. Without one:\n"
		  "               YYMMDD_HHMMSS_PID.mtrace in the current directory\n"
		  "rss            where RSS comes from: 'auto', or 'exact' to ask the kernel at every event, 'gap', 'faults',\n"
		  "               'map' or 'map:FILE' (pinned by mtdump-rss-map)\n"
		  "tick           resolution of the clock in ns: 1, 10, 100 or 1000\n"
		  "children       whether the children of a fork record a trace of their own\n"
		  "max_size       bytes; recording ends when the trace would become larger. Without it, when less than\n"
		  "               5 % of the file system is free",
	.tp_new = PyType_GenericNew,
	.tp_init = profile_init,
	.tp_dealloc = profile_dealloc,
	.tp_methods = profile_methods,
	.tp_getset = profile_getset,
};

/*
 * Trace: a Profile with lines
 */

static PyObject *trace_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
	PyObject *const object = PyType_GenericNew(type, args, names);

	if (object)
		((struct profile *)object)->slot.lines = true;
	return object;
}

static PyTypeObject trace_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "pymemtrace.cPyMemTrace.Trace",
	.tp_basicsize = sizeof(struct profile),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.tp_doc = "Trace(d_rss_trigger=-1, message=None, filepath=None, *, rss='auto', tick=10, children=True, max_size=None)\n"
		  "--\n\n"
		  "A Profile that records line by line: each line that is reached and each exception that passes, too.\n\n"
		  "The arguments are those of Profile. 'mtdump --lines' shows what was recorded; what belongs to which line is\n"
		  "told by 'mtdump top --by=line'.",
	.tp_base = &profile_type,
	.tp_new = trace_new,
};

/*
 * Module functions
 */

static PyObject *module_rss(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
	return PyLong_FromUnsignedLongLong((unsigned long long)rss_kernel_pages() *
					   (unsigned long long)sysconf(_SC_PAGESIZE));
}

static PyObject *module_rss_peak(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
	return PyLong_FromUnsignedLongLong(rss_kernel_peak_bytes());
}

static PyObject *module_depth(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
	return PyLong_FromUnsignedLong(recording_depth());
}

static PyObject *module_close_all(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
	recording_close_all(MT_END_EXIT);
	Py_RETURN_NONE;
}

static PyObject *module_unmute(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
	recording_mute(false);
	Py_RETURN_NONE;
}

/* Have `name` of this module called at exit. What is registered last is called first. */
static int call_at_exit(PyObject *module, const char *name)
{
	PyObject *const atexit = PyImport_ImportModule("atexit");
	PyObject *const function = PyObject_GetAttrString(module, name);
	PyObject *const result =
		atexit && function ? PyObject_CallMethod(atexit, "register", "O", function) : NULL;

	Py_XDECREF(atexit);
	Py_XDECREF(function);
	Py_XDECREF(result);
	return result ? 0 : -1;
}

/* The code that called a function of this module: a new reference, or NULL. */
static PyCodeObject *calling_code(void)
{
	PyFrameObject *const frame = PyEval_GetFrame();

	return frame ? PyFrame_GetCode(frame) : NULL;
}

/*
 * _call(profile, function, *arguments): record a call from its first event to its last. Who called it is not in the
 * trace, which is for tools that call somebody else's code through many frames of their own.
 */
static PyObject *module_call(PyObject *Py_UNUSED(module), PyObject *args)
{
	if (PyTuple_GET_SIZE(args) < 2 || !PyObject_TypeCheck(PyTuple_GET_ITEM(args, 0), &profile_type)) {
		PyErr_SetString(PyExc_TypeError, "_call() takes a Profile, a function and its arguments");
		return NULL;
	}
	struct profile *const profile = (struct profile *)PyTuple_GET_ITEM(args, 0);
	PyObject *const arguments = PyTuple_GetSlice(args, 2, PyTuple_GET_SIZE(args));
	if (!arguments)
		return NULL;

	PyCodeObject *const outer = recording_set_runner(calling_code());
	const bool open = profile_open(profile, true) == 0;
	PyObject *const result = open ? PyObject_Call(PyTuple_GET_ITEM(args, 1), arguments, NULL) : NULL;
	/* An outer recording goes on with its own live frames. */
	Py_XDECREF(recording_set_runner(outer));
	if (open) {
		PyObject *type, *value, *traceback;
		PyErr_Fetch(&type, &value, &traceback);
		recording_close(&profile->slot, MT_END_STOP);
		PyErr_Restore(type, value, traceback);
	}
	Py_DECREF(arguments);
	return result;
}

/*
 * _run(code, globals, profile). The program's `<module>` is event 0. When it has returned, what its thread
 * does is the runner's business until the atexit functions begin, which are the program's again.
 */
static PyObject *module_run(PyObject *module, PyObject *args)
{
	PyObject *code, *globals;
	struct profile *profile;

	if (!PyArg_ParseTuple(args, "O!O!O!:_run", &PyCode_Type, &code, &PyDict_Type, &globals,
			      &profile_type, &profile))
		return NULL;
	Py_XDECREF(recording_set_runner(calling_code()));
	if (profile_open(profile, false) < 0)
		return NULL;
	PyObject *const result = PyEval_EvalCode(code, globals, globals);
	recording_mute(true);

	PyObject *type, *value, *traceback;
	PyErr_Fetch(&type, &value, &traceback);
	if (call_at_exit(module, "_unmute") < 0)
		PyErr_Clear();
	PyErr_Restore(type, value, traceback);
	return result;
}

/*
 * _print_error(exception): as the interpreter does when nobody has caught it. A sys.excepthook of the program
 * is the program's, so what it calls is recorded; it may also end the process.
 */
static PyObject *module_print_error(PyObject *Py_UNUSED(module), PyObject *error)
{
	if (!PyExceptionInstance_Check(error)) {
		PyErr_SetString(PyExc_TypeError, "_print_error() takes an exception");
		return NULL;
	}
	const bool muted = recording_thread.muted;
	recording_mute(false);
	Py_INCREF(error);
	Py_INCREF(PyExceptionInstance_Class(error));
	PyErr_Restore(PyExceptionInstance_Class(error), error, PyException_GetTraceback(error));
	PyErr_PrintEx(1);
	recording_mute(muted);
	Py_RETURN_NONE;
}

static PyObject *module_finish(PyObject *Py_UNUSED(module), PyObject *object)
{
	if (!PyObject_TypeCheck(object, &profile_type)) {
		PyErr_SetString(PyExc_TypeError, "_finish() takes a Profile");
		return NULL;
	}
	recording_close(&((struct profile *)object)->slot, MT_END_EXIT);
	Py_RETURN_NONE;
}

static PyObject *module_summary(PyObject *Py_UNUSED(module), PyObject *path)
{
	PyObject *bytes;
	struct summary summary;

	if (!PyUnicode_FSConverter(path, &bytes))
		return NULL;
	const bool found = summary_read(PyBytes_AS_STRING(bytes), &summary);
	Py_DECREF(bytes);
	if (!found)
		Py_RETURN_NONE;
	PyObject *const function = PyUnicode_DecodeUTF8(summary.peak_function,
							(Py_ssize_t)strlen(summary.peak_function),
							"backslashreplace");
	PyObject *const file = PyUnicode_DecodeUTF8(summary.peak_file, (Py_ssize_t)strlen(summary.peak_file),
						    "backslashreplace");
	if (!function || !file) {
		Py_XDECREF(function);
		Py_XDECREF(file);
		return NULL;
	}
	return Py_BuildValue("{sK sK sK sK sK sK sN sN si}",
			     "events", (unsigned long long)summary.events,
			     "records", (unsigned long long)summary.records,
			     "lost", (unsigned long long)summary.lost,
			     "bytes", (unsigned long long)summary.bytes,
			     "peak_rss_bytes", (unsigned long long)summary.peak_rss_bytes,
			     "peak_event", (unsigned long long)summary.peak_event,
			     "peak_function", function,
			     "peak_file", file,
			     "peak_line", (int)summary.peak_line);
}

static PyMethodDef module_methods[] = {
	{ "rss", module_rss, METH_NOARGS,
	  "rss()\n--\n\nResident set size of this process in bytes, as the kernel says." },
	{ "rss_peak", module_rss_peak, METH_NOARGS,
	  "rss_peak()\n--\n\nHighest resident set size of this process so far in bytes, as the kernel says." },
	{ "profile_wrapper_depth", module_depth, METH_NOARGS,
	  "profile_wrapper_depth()\n--\n\nHow many recordings are open; the latest entered is the active one." },
	{ "_call", module_call, METH_VARARGS, NULL },
	{ "_run", module_run, METH_VARARGS, NULL },
	{ "_print_error", module_print_error, METH_O, NULL },
	{ "_finish", module_finish, METH_O, NULL },
	{ "_summary", module_summary, METH_O, NULL },
	{ "_close_all", module_close_all, METH_NOARGS, NULL },
	{ "_unmute", module_unmute, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static int module_exec(PyObject *module)
{
	if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
		PyErr_SetString(PyExc_ImportError, "pymemtrace records the main interpreter only");
		return -1;
	}
	clock_prepare();
	if (PyType_Ready(&profile_type) < 0)
		return -1;
	Py_INCREF(&profile_type);
	if (PyModule_AddObject(module, "Profile", (PyObject *)&profile_type) < 0) {
		Py_DECREF(&profile_type);
		return -1;
	}
	if (PyType_Ready(&trace_type) < 0)
		return -1;
	Py_INCREF(&trace_type);
	if (PyModule_AddObject(module, "Trace", (PyObject *)&trace_type) < 0) {
		Py_DECREF(&trace_type);
		return -1;
	}
	if (PyModule_AddStringConstant(module, "__version__", PACKAGE_VERSION) < 0)
		return -1;
	return call_at_exit(module, "_close_all");
}

static PyModuleDef_Slot module_slots[] = {
	{ Py_mod_exec, (void *)module_exec },
#ifdef Py_mod_multiple_interpreters
	{ Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED },
#endif
	{ 0, NULL },
};

static struct PyModuleDef module_def = {
	PyModuleDef_HEAD_INIT,
	.m_name = "cPyMemTrace",
	.m_doc = "Records every Python and C call and return with the process's resident set size.\n\n"
		 "    with cPyMemTrace.Profile():\n"
		 "        ...\n\n"
		 "writes a trace; the program mtdump reads it.",
	.m_size = 0,
	.m_methods = module_methods,
	.m_slots = module_slots,
};

/*
 * A free-threaded interpreter is refused here rather than in module_exec(): before that runs, the interpreter
 * has switched its lock on for good, and warned of it, for a module that it will not get.
 */
PyMODINIT_FUNC PyInit_cPyMemTrace(void)
{
#ifdef Py_GIL_DISABLED
	PyErr_SetString(PyExc_ImportError,
			"pymemtrace does not support free-threaded Python: its events are ordered by the GIL; "
			"use the ordinary build of this version");
	return NULL;
#else
	return PyModuleDef_Init(&module_def);
#endif
}
