#include "recorder/interpreters.h"

#include <Python.h>

/* So many ids in a row that are nobody's, and we give up: each takes a walk along all interpreters. */
#define MISSES_MAX 64

#if PY_VERSION_HEX < 0x030e0000
/*
 * The only way to an interpreter under the lock of their list: those with a GIL of their own come and go as they like, so
 * nothing that the list leads to may be touched. The module `_interpreters` is made with it.
 */
PyAPI_FUNC(PyInterpreterState *) _PyInterpreterState_LookUpID(int64_t id);
#else
static PyInterpreterState *_PyInterpreterState_LookUpID(int64_t Py_UNUSED(id))
{
	return NULL;
}
#endif

/*
 * An id that is nobody's is an error, for which an exception object would be made, unless there is one already. So
 * there is one: this.
 */
static PyObject *no_such_id;

int interpreters_init(void)
{
	if (!no_such_id)
		no_such_id = PyObject_CallNoArgs(PyExc_LookupError);
	return no_such_id ? 0 : -1;
}

static bool exists(uint32_t id)
{
	return _PyInterpreterState_LookUpID(id) != NULL;
}

static void tell(struct session *session, uint32_t id)
{
	session_meta(session, MT_META_INTERPRETER, MT_THREAD_UNKNOWN, 0, id);
}

static void look_for_new(struct session *session)
{
	unsigned misses = 0;

	for (uint32_t id = session->interpreter_told + 1; misses < MISSES_MAX && id < MT_INTERPRETER_UNKNOWN; id++) {
		if (!exists(id)) {
			misses++;
			continue;
		}
		misses = 0;
		session->interpreter_told = id;
		tell(session, id);
	}
	if (!session->interpreter_told && !session->interpreter_unknown) {
		session->interpreter_unknown = true;
		tell(session, MT_INTERPRETER_UNKNOWN);
	}
}

void interpreters_look(struct session *session)
{
	static bool busy;               /* its own records may take slow steps */
	PyObject *type, *value, *traceback;

	/* A full ring makes a slow step of every event. */
	if (PyInterpreterState_Head() == PyInterpreterState_Main() || busy ||
	    session->interpreter_looked == session->ring.head + 1)
		return;
	busy = true;
	session->interpreter_looked = session->ring.head + 1;
	PyErr_Fetch(&type, &value, &traceback);
	Py_INCREF(PyExc_LookupError);
	Py_INCREF(no_such_id);
	PyErr_Restore(PyExc_LookupError, no_such_id, NULL);
	look_for_new(session);
	PyErr_Clear();
	PyErr_Restore(type, value, traceback);
	busy = false;
}
