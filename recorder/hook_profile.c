/*
 * The hook of Python 3.9 to 3.11: PyEval_SetProfile on every thread state.
 *
 * The public call reaches only the calling thread; _PyEval_SetProfile(), exported by all three versions,
 * takes any. Threads that `threading` starts later install the hook themselves, through
 * threading.setprofile() and the function `bootstrap` below; those that _thread or foreign code starts are not
 * seen, which hook_coverage says in every trace.
 *
 * A program that sets a profile function of its own gets its way: it takes our place in that thread.
 */
#include "recorder/hook.h"

#if PY_VERSION_HEX < 0x030c0000

#include <opcode.h>

#include "recorder/frame.h"

const enum mt_hook hook_id = MT_HOOK_SETPROFILE;
const char hook_coverage[] =
	"calls of types are not recorded; threads started by _thread or by foreign code while recording "
	"are not recorded; nothing is recorded in a thread while it has a profile function of its own";

static inline bool can_suspend(const PyCodeObject *code)
{
	return code->co_flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR);
}

/* Is this CALL the resumption of a generator or coroutine that has run before? */
static inline bool is_resume(const PyCodeObject *code, uint32_t offset)
{
	if (!can_suspend(code) || offset == MT_LASTI_NONE)
		return false;
#if PY_VERSION_HEX >= 0x030b0000
	return offset > (uint32_t)code->_co_firsttraceable * 2;
#else
	return true;
#endif
}

/* Is this RETURN a yield or an await? */
static inline bool is_yield(PyCodeObject *code, uint32_t offset)
{
	if (!can_suspend(code) || offset == MT_LASTI_NONE)
		return false;
#if PY_VERSION_HEX >= 0x030b0000
	const uint8_t opcode = ((const uint8_t *)code->co_code_adaptive)[offset];
	return opcode == YIELD_VALUE;
#else
	const uint8_t opcode = ((const uint8_t *)PyBytes_AS_STRING(code->co_code))[offset];
	return opcode == YIELD_VALUE || opcode == YIELD_FROM;
#endif
}

static inline __attribute__((always_inline)) void c_event(struct session *session, PyFrameObject *frame,
							  unsigned kind, PyObject *function)
{
	uint32_t thread;

	if (!function || !PyCFunction_Check(function) || !recording_thread_index(session, &thread))
		return;
	const uint32_t callee = code_ids_of_cfunction(session, function);
	const uint32_t code = code_ids_of_code(session, frame_code(frame));
	if (__builtin_expect(code && callee, 1))
		session_event(session, kind << 5, thread, code, callee, frame_offset(frame));
	else
		session_lose(session, MT_LOST_DEFINITIONS_FULL, kind << 5);
}

static int on_event(PyObject *Py_UNUSED(object), PyFrameObject *frame, int what, PyObject *argument)
{
	struct session *const session = hook_session(what == PyTrace_CALL);
	if (!session)
		return 0;
	switch (what) {
	case PyTrace_CALL: {
		PyCodeObject *const code = frame_code(frame);
		const uint32_t offset = frame_offset(frame);
		const unsigned flags = is_resume(code, offset) ? MT_FLAG_SUSPEND : 0;
		hook_python(session, MT_KIND_CALL << 5 | flags, code, offset);
		break;
	}
	case PyTrace_RETURN: {
		PyCodeObject *const code = frame_code(frame);
		const uint32_t offset = frame_offset(frame);
		const unsigned flags = !argument ? MT_FLAG_EXCEPTION
				       : is_yield(code, offset) ? MT_FLAG_SUSPEND : 0;
		hook_python(session, MT_KIND_RETURN << 5 | flags, code, offset);
		break;
	}
	case PyTrace_C_CALL:
		c_event(session, frame, MT_KIND_C_CALL, argument);
		break;
	case PyTrace_C_RETURN:
		c_event(session, frame, MT_KIND_C_RETURN, argument);
		break;
	case PyTrace_C_EXCEPTION:
		c_event(session, frame, MT_KIND_C_EXCEPTION, argument);
		break;
	default:
		break;
	}
	return 0;
}

/*
 * Installing
 */

static bool installed;
static PyObject *threading;             /* the module */
static PyObject *bootstrap_function;
static PyObject *program_threading_hook;        /* what threading.setprofile() had before us */

/* What was in the thread that started recording; it is put back when recording ends. */
static uint64_t saved_thread_id;
static Py_tracefunc saved_function;
static PyObject *saved_object;

/* The first event of a thread that `threading` has started: (frame, event, argument). */
static PyObject *bootstrap(PyObject *Py_UNUSED(self), PyObject *args)
{
	static const char *const names[] = { "call", "exception", "line", "return", "c_call",
					     "c_exception", "c_return" };
	PyObject *frame, *argument;
	const char *event;

	if (!PyArg_ParseTuple(args, "O!sO", &PyFrame_Type, &frame, &event, &argument))
		return NULL;
	if (!installed) {
		PyEval_SetProfile(NULL, NULL);
		Py_RETURN_NONE;
	}
	PyEval_SetProfile(on_event, NULL);
	/* What `threading` runs before it asks for the hook, so that the returns from there are not alone. */
	struct session *const session = hook_session(false);
	if (session) {
		const bool call = strcmp(event, "call") == 0;
		PyFrameObject *const back = call ? PyFrame_GetBack((PyFrameObject *)frame) : NULL;
		recording_put_own_frames(session, call ? back : (PyFrameObject *)frame);
		Py_XDECREF(back);
	}
	for (int what = 0; what < (int)(sizeof(names) / sizeof(names[0])); what++)
		if (strcmp(event, names[what]) == 0)
			on_event(NULL, (PyFrameObject *)frame, what, argument);
	Py_RETURN_NONE;
}

static PyMethodDef bootstrap_method = {
	"_bootstrap", bootstrap, METH_VARARGS,
	"_bootstrap(frame, event, arg)\n--\n\nInstall the recorder's hook in a new thread.",
};

/*
 * Put `hook` where threading.setprofile() would, and give what was there (a new reference), without running
 * any Python code: so nobody gets the GIL in between, and a half-done change is never seen.
 */
static PyObject *threading_swap_hook(PyObject *module, PyObject *hook)
{
	PyObject *old = PyObject_GetAttrString(module, "_profile_hook");
	if (!old) {
		PyErr_Clear();
		Py_INCREF(Py_None);
		old = Py_None;
	}
	if (PyObject_SetAttrString(module, "_profile_hook", hook) < 0)
		Py_CLEAR(old);
	return old;
}

static int install_in_threads(void)
{
	PyThreadState *const self = PyThreadState_Get();
	PyThreadState *thread = PyInterpreterState_ThreadHead(PyThreadState_GetInterpreter(self));

	for (; thread; thread = PyThreadState_Next(thread)) {
		if (thread != self && thread->c_profilefunc)
			continue;       /* has a profiler of its own, and keeps it */
		if (_PyEval_SetProfile(thread, on_event, NULL) < 0)
			return -1;      /* an audit hook said no */
	}
	return 0;
}

int hook_install(void)
{
	PyThreadState *const self = PyThreadState_Get();

	if (installed)
		return 0;
	if (!bootstrap_function) {
		bootstrap_function = PyCFunction_New(&bootstrap_method, NULL);
		if (!bootstrap_function)
			return -1;
	}
	if (!threading) {
		threading = PyImport_ImportModule("threading");
		if (!threading)
			return -1;
	}
	program_threading_hook = threading_swap_hook(threading, bootstrap_function);
	if (!program_threading_hook)
		return -1;
	saved_thread_id = PyThreadState_GetID(self);
	saved_function = self->c_profilefunc;
	saved_object = self->c_profileobj;
	Py_XINCREF(saved_object);
	installed = true;
	if (install_in_threads() == 0)
		return 0;

	PyObject *type, *value, *traceback;
	PyErr_Fetch(&type, &value, &traceback);
	hook_uninstall();
	PyErr_Restore(type, value, traceback);
	return -1;
}

void hook_tell_losses(struct session *session)
{
	PyThreadState *thread = PyInterpreterState_ThreadHead(PyThreadState_GetInterpreter(PyThreadState_Get()));
	uint32_t index;

	for (; thread; thread = PyThreadState_Next(thread))
		if (thread->c_profilefunc != on_event && recording_knows_thread(session, thread, &index))
			session_meta(session, MT_META_LOST, index, MT_LOST_HOOK_TAKEN, 0);
}

void hook_uninstall(void)
{
	PyObject *type, *value, *traceback;
	PyThreadState *thread;

	if (!installed)
		return;
	installed = false;
	PyErr_Fetch(&type, &value, &traceback);
	thread = PyInterpreterState_ThreadHead(PyThreadState_GetInterpreter(PyThreadState_Get()));
	for (; thread; thread = PyThreadState_Next(thread)) {
		const bool ours = thread->c_profilefunc == on_event;
		const bool was_there = ours && PyThreadState_GetID(thread) == saved_thread_id;
		if (ours)
			_PyEval_SetProfile(thread, was_there ? saved_function : NULL,
					   was_there ? saved_object : NULL);
		PyErr_Clear();
	}
	Py_CLEAR(saved_object);
	saved_function = NULL;

	/* If the program has set another hook meanwhile, that one stays. */
	PyObject *const current = threading_swap_hook(threading, program_threading_hook);
	if (current && current != bootstrap_function)
		Py_XDECREF(threading_swap_hook(threading, current));
	PyErr_Clear();
	Py_XDECREF(current);
	Py_CLEAR(program_threading_hook);
	PyErr_Restore(type, value, traceback);
}

#endif
