/*
 * The hook of Python 3.9 to 3.11: PyEval_SetProfile on every thread state.
 *
 * The public call reaches only the calling thread; _PyEval_SetProfile(), exported by all three versions,
 * takes any. Threads that `threading` starts later install the hook themselves, through
 * threading.setprofile() and the function `bootstrap` below; those that _thread or foreign code starts are not
 * seen, which hook_coverage says in every trace.
 *
 * A program that sets a profile function of its own gets its way: it takes our place in that thread, and we take it back
 * when it is free again. Nobody tells us of either, so we look: at slow steps, and when events may have stopped, from
 * a pending call that the flusher's thread asks for.
 *
 * Lines come through the other slot, PyEval_SetTrace's, which tells nothing else that is kept. It belongs to
 * debuggers and coverage tools: it is taken only where and when it is free, and given back free.
 */
#include "recorder/hook.h"

#if PY_VERSION_HEX < 0x030c0000

#include <opcode.h>
#include <stdatomic.h>

#include "recorder/frame.h"

const enum mt_hook hook_id = MT_HOOK_SETPROFILE;
const char hook_coverage[] =
	"calls of types are not recorded; threads started by _thread or by foreign code while recording "
	"are not recorded; nothing is recorded in a thread while it has a profile function of its own, and for "
	"a moment after it";
const char hook_lines_coverage[] =
	"lines and passing exceptions are not recorded in a thread while it has a trace function of its own";

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

/*
 * Does this look like sys.setprofile() or the enable() of cProfile? This may be our last event for long, so the flusher's
 * thread, by whose beat we get our place back, must not wait for more of them after a fork.
 */
static bool may_take_our_place(PyObject *function)
{
	const char *const name = ((const PyCFunctionObject *)function)->m_ml->ml_name;

	return strcmp(name, "setprofile") == 0 || strcmp(name, "enable") == 0;
}

static inline __attribute__((always_inline)) void c_event(struct session *session, PyFrameObject *frame,
							  unsigned kind, PyObject *function)
{
	uint32_t thread;

	if (!function || !PyCFunction_Check(function) || !recording_thread_index(session, &thread))
		return;
	if (__builtin_expect(session->parked, 0) && kind == MT_KIND_C_CALL && may_take_our_place(function))
		session_unpark(session);
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

/* Of the trace slot. Calls and returns are told by the profile slot, too. */
static int on_line_event(PyObject *Py_UNUSED(object), PyFrameObject *frame, int what, PyObject *Py_UNUSED(argument))
{
	struct session *session;

	if (what == PyTrace_LINE && (session = hook_session(false)) != NULL)
		hook_python(session, MT_KIND_LINE << 5, frame_code(frame), (uint32_t)PyFrame_GetLineNumber(frame));
	else if (what == PyTrace_EXCEPTION && (session = hook_session(false)) != NULL)
		hook_python(session, MT_KIND_EXCEPTION << 5, frame_code(frame), frame_offset(frame));
	return 0;
}

/*
 * Installing
 */

static bool installed, has_lines;
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
	if (has_lines && !PyThreadState_Get()->c_tracefunc)
		PyEval_SetTrace(on_line_event, NULL);
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

int hook_set_lines(bool lines)
{
	PyThreadState *thread = PyInterpreterState_ThreadHead(PyThreadState_GetInterpreter(PyThreadState_Get()));
	Py_tracefunc const wanted = lines ? on_line_event : NULL;

	if (!installed || lines == has_lines)
		return 0;
	has_lines = lines;
	for (; thread; thread = PyThreadState_Next(thread)) {
		if (thread->c_tracefunc != (lines ? NULL : on_line_event))
			continue;       /* has a tracer of its own, and keeps it */
		if (_PyEval_SetTrace(thread, wanted, NULL) == 0)
			continue;
		if (lines)
			return -1;      /* an audit hook said no */
		PyErr_Clear();          /* the others are to be free in any case */
	}
	return 0;
}

/*
 * Losing the place, and taking it back
 */

/* Of what we note about a thread: the hooks that it is without, as the last LOST record has told. */
enum { WITHOUT_CALLS = 1, WITHOUT_LINES = 2 };

static _Atomic bool asked;              /* a pending call is on its way */
static _Atomic bool displaced;          /* somebody had our place in some thread, when we looked last */

static unsigned without(const PyThreadState *thread)
{
	unsigned what = 0;

	if (thread->c_profilefunc != on_event)
		what |= WITHOUT_CALLS;
	if (has_lines && thread->c_tracefunc != on_line_event)
		what |= WITHOUT_LINES;
	return what;
}

/* Say that `thread` is without a hook, if that has not been said since it had it. */
static void tell_loss(struct session *session, PyThreadState *thread)
{
	const uint64_t now = without(thread);
	uint32_t index;
	uint64_t *const note = recording_thread_note(session, thread, &index);

	if (!note || *note == now)
		return;
	const bool more = now & ~*note;
	*note = now;
	if (more)
		session_meta(session, MT_META_LOST, index, MT_LOST_HOOK_TAKEN, 0);
}

/* As the functions that set a hook do. A thread that is within one finds ours when it comes out. */
static void set_tracing(PyThreadState *thread)
{
	if (thread->tracing)
		return;
#if PY_VERSION_HEX >= 0x030b0000
	thread->cframe->use_tracing = 255;
#elif PY_VERSION_HEX >= 0x030a0000
	thread->cframe->use_tracing = 1;
#else
	thread->use_tracing = 1;
#endif
}

/*
 * Not by the functions that set a hook: they ask the program's audit hooks, which run Python code, and those have
 * been asked when the recording began. The places are empty, so no reference is dropped. `in_event`: in the middle of
 * one. True if there was a place.
 */
static bool take_back(PyThreadState *thread, bool in_event)
{
	const unsigned what = without(thread);
	bool taken = false;

	(void)in_event;
	if (what & WITHOUT_CALLS && !thread->c_profilefunc && !thread->c_profileobj) {
		thread->c_profilefunc = on_event;
		taken = true;
		/* What was there before us is gone: the program has put its own there, and taken that away. */
		if (PyThreadState_GetID(thread) == saved_thread_id)
			saved_thread_id = 0;
	}
	if (what & WITHOUT_LINES && !thread->c_tracefunc && !thread->c_traceobj) {
#if PY_VERSION_HEX >= 0x030a0000
		thread->c_tracefunc = on_line_event;
		taken = true;
#else
		/* 3.9 counts trace functions where we cannot. */
		taken = taken || !in_event;
		if (!in_event && _PyEval_SetTrace(thread, on_line_event, NULL) < 0)
			PyErr_Clear();
#endif
	}
	if (taken)
		set_tracing(thread);
	return taken;
}

/*
 * Threads that the session does not know are left alone: `threading` may be about to give them the hook. What runs in
 * a thread that has us again is told by SYNTHETIC calls. They make frame objects, and so may run the collector, whose
 * events a hook would hide: in the middle of an event it is left to what follows to tell where the thread is.
 */
static void look(struct session *session, bool in_event)
{
	PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Main());
	bool others = false;
	uint32_t index;

	for (; thread; thread = PyThreadState_Next(thread)) {
		if (!recording_thread_note(session, thread, &index))
			continue;
		const bool no_calls = without(thread) & WITHOUT_CALLS;
		tell_loss(session, thread);
		if (take_back(thread, in_event) && no_calls && !in_event && !(without(thread) & WITHOUT_CALLS))
			recording_put_frames_of(session, thread, index);
		tell_loss(session, thread);
		others |= without(thread) != 0;
	}
	atomic_store_explicit(&displaced, others, memory_order_relaxed);
}

void hook_look(struct session *session)
{
	static bool busy;               /* its own records may take slow steps */
	static uint64_t head;           /* a full ring makes a slow step of every event */

	if (!installed || busy || session != recording || session->ring.head == head)
		return;
	busy = true;
	head = session->ring.head;
	look(session, true);
	busy = false;
}

/* Between two instructions of the program. The session that is recorded into, NULL if there is none. */
static struct session *look_now(void)
{
	/* The fork page's: in a child that has had no event yet, `recording` is the parent's. */
	struct session *const session = installed ? fork_page->session : NULL;
	PyObject *type, *value, *traceback;

	if (!session)
		return NULL;
	PyErr_Fetch(&type, &value, &traceback);
	look(session, false);
	PyErr_Restore(type, value, traceback);
	return session;
}

static int pending_look(void *Py_UNUSED(none))
{
	atomic_store_explicit(&asked, false, memory_order_relaxed);
	struct session *const session = look_now();
	if (session && atomic_load_explicit(&displaced, memory_order_relaxed))
		session_unpark(session);
	return 0;
}

/*
 * Py_AddPendingCall() gives the call to the interpreter of whoever has the GIL just now. This is what it calls, and is
 * made for threads without the GIL like it. It waits for a lock that nobody holds for longer than a few stores take. It
 * must not be called when the interpreter is being taken apart.
 */
PyAPI_FUNC(int) _PyEval_AddPendingCall(PyInterpreterState *interpreter, int (*function)(void *), void *argument);

/* One call is on its way at most, however long the main thread is busy elsewhere. */
static void ask(void)
{
	if (!atomic_exchange_explicit(&asked, true, memory_order_relaxed) &&
	    _PyEval_AddPendingCall(PyInterpreterState_Main(), pending_look, NULL) != 0)
		atomic_store_explicit(&asked, false, memory_order_relaxed);
}

static bool on_beat(bool recorded)
{
	const bool wanted = recorded || atomic_load_explicit(&displaced, memory_order_relaxed);

	if (wanted && !_Py_IsFinalizing())
		ask();
	return atomic_load_explicit(&displaced, memory_order_relaxed);
}

bool (*const hook_on_beat)(bool recorded) = on_beat;

void hook_tell_losses(struct session *session)
{
	PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Main());

	for (; thread; thread = PyThreadState_Next(thread))
		tell_loss(session, thread);
}

/*
 * The flusher's thread ends, and there is no beat until events start it again. Where there may be none, it is the
 * pending call that does.
 */
void hook_before_fork(void)
{
	if (look_now() && atomic_load_explicit(&displaced, memory_order_relaxed))
		ask();
}

void hook_after_fork(void)
{
	/* Should the call be on its way here, too, a second one does no harm. */
	atomic_store_explicit(&asked, false, memory_order_relaxed);
	atomic_store_explicit(&displaced, false, memory_order_relaxed);
}

void hook_uninstall(void)
{
	PyObject *type, *value, *traceback;
	PyThreadState *thread;

	if (!installed)
		return;
	PyErr_Fetch(&type, &value, &traceback);
	if (hook_set_lines(false) < 0)
		PyErr_Clear();
	installed = false;
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
