/*
 * The hook of Python 3.12 and later: sys.monitoring (PEP 669).
 *
 * One tool, and one callback object per event with a vectorcall slot of its own, so that which event it
 * was is a constant in the code. Never the answer DISABLE: it silences later C calls at the same place.
 *
 * The default sequence is that of PyEval_SetProfile on the same Python: of CALL, C_RETURN and C_RAISE those
 * whose callable is a PyCFunction, or a method descriptor called on an instance of its type. 3.13 also
 * shows a bound method around a C function at its call; 3.12 only at its return. Calls of types are
 * EXTRA records. Everything else that these events tell (Python functions, which PY_START tells again,
 * objects with __call__, slot wrappers) is left out.
 *
 * Lines are those of sys.settrace() on the same Python: LINE, a JUMP back within a line, as in a loop on one
 * line, and for exceptions RAISE and STOP_ITERATION.
 */
#include "recorder/hook.h"

#if PY_VERSION_HEX >= 0x030c0000

#include "recorder/frame.h"

const enum mt_hook hook_id = MT_HOOK_MONITORING;
const char hook_coverage[] = "";
const char hook_lines_coverage[] = "";

static PyObject *missing;       /* sys.monitoring.MISSING, borrowed from the module for good */
static int tool = -1;
static int kept_tool = -1;      /* could not be given back, as there was no memory: still ours, for next time */
static long call_events, line_events;   /* bits of sys.monitoring.events, of `callbacks` */
static bool has_lines;

static inline uint32_t offset_of(PyObject *number)
{
	/* An exact int below 2^30, as no code is so long, and not negative: one digit. */
#if PY_VERSION_HEX < 0x030e0000
	return ((const PyLongObject *)number)->long_value.ob_digit[0];
#else
	return (uint32_t)PyUnstable_Long_CompactValue((const PyLongObject *)number);
#endif
}

static __attribute__((noinline)) PyObject *python_event_slowly(PyObject *const *args, unsigned kind_flags)
{
	struct session *const session = hook_session(kind_flags >> 5 == MT_KIND_CALL);
	if (session)
		hook_python(session, kind_flags, (PyCodeObject *)args[0], offset_of(args[1]));
	Py_RETURN_NONE;
}

/*
 * Nearly every event finds all that it needs: then the hook calls nothing, so that it has no register to save. Whatever
 * else there is to do another function does, from the beginning.
 */
static inline __attribute__((always_inline)) PyObject *python_event(PyObject *const *args, unsigned kind_flags)
{
	struct session *const session = fork_page->session;

	if (__builtin_expect(session && recording_thread.serial == session->serial, 1)) {
		const uint32_t code = code_ids_known_code(session, (PyCodeObject *)args[0]);
		if (__builtin_expect(code && session_event_quickly(session, kind_flags, recording_thread.who | code,
								   offset_of(args[1])), 1))
			Py_RETURN_NONE;
	}
	return python_event_slowly(args, kind_flags);
}

static PyObject *on_start(PyObject *Py_UNUSED(self), PyObject *const *args, size_t Py_UNUSED(nargsf),
			  PyObject *Py_UNUSED(names))
{
	return python_event(args, MT_KIND_CALL << 5);
}

static PyObject *on_resume(PyObject *Py_UNUSED(self), PyObject *const *args, size_t Py_UNUSED(nargsf),
			   PyObject *Py_UNUSED(names))
{
	return python_event(args, MT_KIND_CALL << 5 | MT_FLAG_SUSPEND);
}

static PyObject *on_throw(PyObject *Py_UNUSED(self), PyObject *const *args, size_t Py_UNUSED(nargsf),
			  PyObject *Py_UNUSED(names))
{
	return python_event(args, MT_KIND_CALL << 5 | MT_FLAG_EXCEPTION);
}

static PyObject *on_return(PyObject *Py_UNUSED(self), PyObject *const *args, size_t Py_UNUSED(nargsf),
			   PyObject *Py_UNUSED(names))
{
	return python_event(args, MT_KIND_RETURN << 5);
}

static PyObject *on_yield(PyObject *Py_UNUSED(self), PyObject *const *args, size_t Py_UNUSED(nargsf),
			  PyObject *Py_UNUSED(names))
{
	return python_event(args, MT_KIND_RETURN << 5 | MT_FLAG_SUSPEND);
}

/*
 * Where a frame was left by an exception. The event's own offset is that of the re-raise at the end of
 * a `finally` or `with`, which has no line; the frame knows the last instruction that it really ran.
 * The frame object exists already: it is in the traceback.
 */
static uint32_t unwind_offset(PyObject *code, uint32_t offset)
{
	PyFrameObject *const frame = PyEval_GetFrame();
	if (!frame) {
		PyErr_Clear();
		return offset;
	}
	return (PyObject *)frame_code(frame) == code ? frame_offset(frame) : offset;
}

static PyObject *on_unwind(PyObject *Py_UNUSED(self), PyObject *const *args, size_t Py_UNUSED(nargsf),
			   PyObject *Py_UNUSED(names))
{
	struct session *const session = hook_session(false);
	if (session)
		hook_python(session, MT_KIND_RETURN << 5 | MT_FLAG_EXCEPTION, (PyCodeObject *)args[0],
			    unwind_offset(args[0], offset_of(args[1])));
	Py_RETURN_NONE;
}

static PyObject *on_line(PyObject *Py_UNUSED(self), PyObject *const *args, size_t Py_UNUSED(nargsf),
			 PyObject *Py_UNUSED(names))
{
	/* args: code, line number */
	return python_event(args, MT_KIND_LINE << 5);
}

/* args: code, offset of the jump, offset of where it goes. To another line: that one's LINE comes. */
static PyObject *on_jump(PyObject *Py_UNUSED(self), PyObject *const *args, size_t Py_UNUSED(nargsf),
			 PyObject *Py_UNUSED(names))
{
	PyCodeObject *const code = (PyCodeObject *)args[0];
	const uint32_t from = offset_of(args[1]), to = offset_of(args[2]);

	if (to >= from)
		Py_RETURN_NONE;
	const int line = PyCode_Addr2Line(code, (int)to);
	struct session *const session = line == PyCode_Addr2Line(code, (int)from) ? hook_session(false) : NULL;
	if (session)
		hook_python(session, MT_KIND_LINE << 5, code, (uint32_t)line);
	Py_RETURN_NONE;
}

static PyObject *on_raise(PyObject *Py_UNUSED(self), PyObject *const *args, size_t Py_UNUSED(nargsf),
			  PyObject *Py_UNUSED(names))
{
	return python_event(args, MT_KIND_EXCEPTION << 5);
}

/* args: code, offset, callable, first argument or MISSING */
static __attribute__((noinline)) PyObject *c_event_slowly(PyObject *const *args, unsigned kind)
{
	struct session *const session = hook_session(false);
	PyObject *callable = args[2];
	unsigned kind_flags = kind << 5;
	uint32_t thread, callee;

	if (!session)
		Py_RETURN_NONE;
#if PY_VERSION_HEX >= 0x030d0000
	if (kind == MT_KIND_C_CALL && Py_IS_TYPE(callable, &PyMethod_Type))
		callable = PyMethod_GET_FUNCTION(callable);
#endif
	/* What is common comes first, and what takes a look through base classes last. */
	if (Py_IS_TYPE(callable, &PyCFunction_Type)) {
		if (!recording_thread_index(session, &thread))
			Py_RETURN_NONE;
		callee = code_ids_of_cfunction(session, callable);
	} else if (Py_IS_TYPE(callable, &PyMethodDescr_Type)) {
		PyTypeObject *const owner = PyDescr_TYPE(callable);
		if (args[3] == missing || !PyObject_TypeCheck(args[3], owner))
			Py_RETURN_NONE;
		if (!recording_thread_index(session, &thread))
			Py_RETURN_NONE;
		callee = code_ids_of_method(session, ((PyMethodDescrObject *)callable)->d_method,
					    (PyObject *)owner, NULL);
	} else if (PyType_Check(callable)) {
		if (!recording_thread_index(session, &thread))
			Py_RETURN_NONE;
		kind_flags |= MT_FLAG_EXTRA;
		callee = code_ids_of_type(session, (PyTypeObject *)callable);
	} else if (PyCFunction_Check(callable)) {
		if (!recording_thread_index(session, &thread))
			Py_RETURN_NONE;
		callee = code_ids_of_cfunction(session, callable);
	} else {
		Py_RETURN_NONE;
	}
	const uint32_t code = code_ids_of_code(session, (PyCodeObject *)args[0]);
	if (__builtin_expect(code && callee, 1))
		session_event(session, kind_flags, thread, code, callee, offset_of(args[1]));
	else
		session_lose(session, MT_LOST_DEFINITIONS_FULL, kind_flags);
	Py_RETURN_NONE;
}

/* The method that is called, if it is for the default sequence and its kind is told at a glance; else NULL. */
static inline __attribute__((always_inline)) const PyMethodDef *quick_method(PyObject *const *args)
{
	if (__builtin_expect(Py_IS_TYPE(args[2], &PyCFunction_Type), 1))
		return ((PyCFunctionObject *)args[2])->m_ml;
	if (Py_IS_TYPE(args[2], &PyMethodDescr_Type) && args[3] != missing &&
	    Py_IS_TYPE(args[3], PyDescr_TYPE(args[2])))
		return ((PyMethodDescrObject *)args[2])->d_method;
	return NULL;
}

static inline __attribute__((always_inline)) PyObject *c_event(PyObject *const *args, unsigned kind)
{
	struct session *const session = fork_page->session;
	const PyMethodDef *const method = quick_method(args);

	if (__builtin_expect(session && method && recording_thread.serial == session->serial, 1)) {
		const uint64_t ids = code_ids_known_call(session, method, (PyCodeObject *)args[0]);
		if (__builtin_expect(ids && session_event_quickly(session, kind << 5, recording_thread.who | ids,
								  offset_of(args[1])), 1))
			Py_RETURN_NONE;
	}
	return c_event_slowly(args, kind);
}

static PyObject *on_call(PyObject *Py_UNUSED(self), PyObject *const *args, size_t Py_UNUSED(nargsf),
			 PyObject *Py_UNUSED(names))
{
	if (Py_IS_TYPE(args[2], &PyFunction_Type))
		Py_RETURN_NONE;         /* its PY_START comes next: the commonest case, so first */
	return c_event(args, MT_KIND_C_CALL);
}

static PyObject *on_c_return(PyObject *Py_UNUSED(self), PyObject *const *args, size_t Py_UNUSED(nargsf),
			     PyObject *Py_UNUSED(names))
{
	return c_event(args, MT_KIND_C_RETURN);
}

static PyObject *on_c_raise(PyObject *Py_UNUSED(self), PyObject *const *args, size_t Py_UNUSED(nargsf),
			    PyObject *Py_UNUSED(names))
{
	return c_event(args, MT_KIND_C_EXCEPTION);
}

/*
 * Callback objects
 */

struct callback {
	PyObject_HEAD
	vectorcallfunc vectorcall;
};

static PyTypeObject callback_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "pymemtrace.cPyMemTrace._Callback",
	.tp_basicsize = sizeof(struct callback),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
	.tp_vectorcall_offset = offsetof(struct callback, vectorcall),
	.tp_call = PyVectorcall_Call,
};

static const struct {
	const char *event;              /* name in sys.monitoring.events */
	vectorcallfunc function;
	bool is_line;                   /* only with hook_set_lines() */
} callbacks[] = {
	{ "PY_START", on_start, false },
	{ "PY_RESUME", on_resume, false },
	{ "PY_THROW", on_throw, false },
	{ "PY_RETURN", on_return, false },
	{ "PY_YIELD", on_yield, false },
	{ "PY_UNWIND", on_unwind, false },
	{ "CALL", on_call, false },
	{ "C_RETURN", on_c_return, false },
	{ "C_RAISE", on_c_raise, false },
	{ "LINE", on_line, true },
	{ "JUMP", on_jump, true },
	{ "RAISE", on_raise, true },
	{ "STOP_ITERATION", on_raise, true },
};
#define CALLBACK_COUNT (sizeof(callbacks) / sizeof(callbacks[0]))

/* Borrowed. Looked up once: PySys_GetObject() prints when there is no memory, and says that there is no such thing. */
static PyObject *monitoring_module(void)
{
	static PyObject *monitoring;
	PyObject *const sys = monitoring ? NULL : PyImport_ImportModule("sys");

	if (sys) {
		monitoring = PyObject_GetAttrString(sys, "monitoring");
		Py_DECREF(sys);
	}
	return monitoring;
}

/* Tool id 4, else 3: 2 is what cProfile takes, 0, 1 and 5 are spoken for. */
static int take_tool(PyObject *monitoring)
{
	static const int wanted[] = { 4, 3 };

	if (kept_tool >= 0) {
		const int kept = kept_tool;
		kept_tool = -1;
		return kept;
	}
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		PyObject *const result = PyObject_CallMethod(monitoring, "use_tool_id", "is", wanted[i],
							     "pymemtrace");
		if (result) {
			Py_DECREF(result);
			return wanted[i];
		}
		if (!PyErr_ExceptionMatches(PyExc_ValueError))
			return -1;
		PyErr_Clear();
	}
	PyErr_SetString(PyExc_RuntimeError,
			"pymemtrace: sys.monitoring tool ids 4 and 3 are both in use by other tools");
	return -1;
}

static int register_callback(PyObject *monitoring, long event, vectorcallfunc function)
{
	struct callback *const callback = PyObject_New(struct callback, &callback_type);
	if (!callback)
		return -1;
	callback->vectorcall = function;
	PyObject *const old = PyObject_CallMethod(monitoring, "register_callback", "ilO", tool, event,
						  callback);
	Py_DECREF(callback);
	Py_XDECREF(old);
	return old ? 0 : -1;
}

static int set_events(PyObject *monitoring, long events)
{
	PyObject *const result = PyObject_CallMethod(monitoring, "set_events", "il", tool, events);
	Py_XDECREF(result);
	return result ? 0 : -1;
}

static int register_all(PyObject *monitoring)
{
	PyObject *const names = PyObject_GetAttrString(monitoring, "events");

	call_events = line_events = 0;
	if (!names)
		return -1;
	for (size_t i = 0; i < CALLBACK_COUNT; i++) {
		PyObject *const number = PyObject_GetAttrString(names, callbacks[i].event);
		const long event = number ? PyLong_AsLong(number) : -1;
		Py_XDECREF(number);
		if (event < 0 || register_callback(monitoring, event, callbacks[i].function) < 0) {
			Py_DECREF(names);
			return -1;
		}
		if (callbacks[i].is_line)
			line_events |= event;
		else
			call_events |= event;
	}
	Py_DECREF(names);
	return 0;
}

int hook_install(void)
{
	PyObject *const monitoring = monitoring_module();

	if (tool >= 0)
		return 0;
	if (!monitoring || PyType_Ready(&callback_type) < 0)
		return -1;
	if (!missing) {
		missing = PyObject_GetAttrString(monitoring, "MISSING");
		if (!missing)
			return -1;
	}
	tool = take_tool(monitoring);
	if (tool < 0)
		return -1;
	if (register_all(monitoring) == 0 && set_events(monitoring, call_events) == 0)
		return 0;

	PyObject *type, *value, *traceback;
	PyErr_Fetch(&type, &value, &traceback);
	hook_uninstall();
	PyErr_Restore(type, value, traceback);
	return -1;
}

int hook_set_lines(bool lines)
{
	if (tool < 0 || lines == has_lines)
		return 0;
	PyObject *const monitoring = monitoring_module();
	if (!monitoring || set_events(monitoring, call_events | (lines ? line_events : 0)) < 0)
		return -1;
	has_lines = lines;
	return 0;
}

/* sys.monitoring gives each tool its own events: nobody takes ours. */
bool (*const hook_on_beat)(bool recorded) = NULL;

void hook_look(struct session *Py_UNUSED(session))
{
}

void hook_tell_losses(struct session *Py_UNUSED(session))
{
}

void hook_before_fork(void)
{
}

void hook_after_fork(void)
{
}

void hook_uninstall(void)
{
	PyObject *type, *value, *traceback;

	if (tool < 0)
		return;
	PyErr_Fetch(&type, &value, &traceback);
	PyObject *const monitoring = monitoring_module();
	if (monitoring) {
		PyObject *const names = PyObject_GetAttrString(monitoring, "events");
		set_events(monitoring, 0);
		PyErr_Clear();
		for (size_t i = 0; names && i < CALLBACK_COUNT; i++) {
			PyObject *const number = PyObject_GetAttrString(names, callbacks[i].event);
			PyObject *const old =
				number ? PyObject_CallMethod(monitoring, "register_callback", "iOO",
							     tool, number, Py_None)
				       : NULL;
			Py_XDECREF(old);
			Py_XDECREF(number);
			PyErr_Clear();
		}
		Py_XDECREF(names);
		PyObject *const freed = PyObject_CallMethod(monitoring, "free_tool_id", "i", tool);
		if (!freed)
			kept_tool = tool;
		Py_XDECREF(freed);
		PyErr_Clear();
	}
	tool = -1;
	has_lines = false;
	PyErr_Restore(type, value, traceback);
}

#endif
