/*
 * The least that any recorder can cost: the recorder's own events, with callbacks that do nothing.
 *
 * start() and stop() install and remove them. sys.monitoring with vectorcall objects from 3.12 on,
 * PyEval_SetProfile before: what recorder/hook_*.c use. start(True) installs callbacks that read the clock
 * and store a record of 24 bytes, and nothing else: what no recorder of every event can do without, on
 * this processor. For bench_recorder.py; not installed.
 */
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

PyMODINIT_FUNC PyInit_emptyhook(void);

enum { RECORDS = 1 << 16 };     /* as much memory as the recorder's ring goes through before it meets a line again */

static struct { uint64_t w[3]; } records[RECORDS];
static size_t next;

static inline uint64_t read_clock(void)
{
#if defined(__x86_64__)
	return __rdtsc();
#else
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
#endif
}

static inline void store(const void *code)
{
	uint64_t *const w = records[next++ % RECORDS].w;
	w[0] = read_clock();
	w[1] = (uintptr_t)code;
	w[2] = 0;
}

#if PY_VERSION_HEX >= 0x030c0000

#define TOOL 3

static PyObject *nothing(PyObject *Py_UNUSED(self), PyObject *const *Py_UNUSED(args),
			 size_t Py_UNUSED(nargsf), PyObject *Py_UNUSED(names))
{
	Py_RETURN_NONE;
}

static PyObject *least(PyObject *Py_UNUSED(self), PyObject *const *args,
		       size_t Py_UNUSED(nargsf), PyObject *Py_UNUSED(names))
{
	store(args[0]);
	Py_RETURN_NONE;
}

struct callback {
	PyObject_HEAD
	vectorcallfunc vectorcall;
};

static PyTypeObject callback_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "emptyhook.Callback",
	.tp_basicsize = sizeof(struct callback),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
	.tp_vectorcall_offset = offsetof(struct callback, vectorcall),
	.tp_call = PyVectorcall_Call,
};

static const char *const events[] = { "PY_START", "PY_RESUME", "PY_THROW", "PY_RETURN", "PY_YIELD",
				      "PY_UNWIND", "CALL", "C_RETURN", "C_RAISE" };

static int call(PyObject *monitoring, const char *name, const char *format, long number, PyObject *object)
{
	PyObject *const result = object ? PyObject_CallMethod(monitoring, name, format, TOOL, number, object)
					: PyObject_CallMethod(monitoring, name, format, TOOL, number);
	Py_XDECREF(result);
	return result ? 0 : -1;
}

static PyObject *start(PyObject *Py_UNUSED(self), PyObject *args)
{
	int is_least = 0;
	if (!PyArg_ParseTuple(args, "|p", &is_least))
		return NULL;
	PyObject *const monitoring = PySys_GetObject("monitoring");
	PyObject *const names = PyObject_GetAttrString(monitoring, "events");
	long all = 0;

	if (!names || PyType_Ready(&callback_type) < 0)
		return NULL;
	PyObject *const taken = PyObject_CallMethod(monitoring, "use_tool_id", "is", TOOL, "emptyhook");
	if (!taken)
		return NULL;
	Py_DECREF(taken);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		PyObject *const number = PyObject_GetAttrString(names, events[i]);
		struct callback *const callback = PyObject_New(struct callback, &callback_type);
		callback->vectorcall = is_least ? least : nothing;
		const long event = PyLong_AsLong(number);
		Py_DECREF(number);
		if (call(monitoring, "register_callback", "ilO", event, (PyObject *)callback) < 0)
			return NULL;
		Py_DECREF(callback);
		all |= event;
	}
	Py_DECREF(names);
	if (call(monitoring, "set_events", "il", all, NULL) < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *stop(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(none))
{
	PyObject *const monitoring = PySys_GetObject("monitoring");

	if (call(monitoring, "set_events", "il", 0, NULL) < 0)
		return NULL;
	return PyObject_CallMethod(monitoring, "free_tool_id", "i", TOOL);
}

#else

static int nothing(PyObject *object, PyFrameObject *frame, int what, PyObject *argument)
{
	(void)object;
	(void)frame;
	(void)what;
	(void)argument;
	return 0;
}

static int least(PyObject *object, PyFrameObject *frame, int what, PyObject *argument)
{
	(void)object;
	(void)what;
	(void)argument;
	store(frame);
	return 0;
}

static PyObject *start(PyObject *Py_UNUSED(self), PyObject *args)
{
	int is_least = 0;
	if (!PyArg_ParseTuple(args, "|p", &is_least))
		return NULL;
	PyEval_SetProfile(is_least ? least : nothing, NULL);
	Py_RETURN_NONE;
}

static PyObject *stop(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(none))
{
	PyEval_SetProfile(NULL, NULL);
	Py_RETURN_NONE;
}

#endif

static PyMethodDef methods[] = {
	{ "start", start, METH_VARARGS,
	  "start(least=False)\n--\n\nCall a function at every event from now on: an empty one, or the least recorder." },
	{ "stop", stop, METH_NOARGS, "stop()\n--\n\nNo longer." },
	{ NULL, NULL, 0, NULL },
};

static struct PyModuleDef module = { PyModuleDef_HEAD_INIT, .m_name = "emptyhook", .m_size = -1,
				     .m_methods = methods };

PyMODINIT_FUNC PyInit_emptyhook(void)
{
	return PyModule_Create(&module);
}
