#include "recorder/fork.h"

#include <Python.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

volatile struct fork_page *fork_page;

static const struct fork_actions *actions;

/*
 * os.register_at_fork(before=...): Python 3.12 and later warn about a fork while other threads run, and count
 * ours. It ends here and starts again at the first slow step after the fork.
 */
static PyObject *before_fork(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(none))
{
	actions->before();
	Py_RETURN_NONE;
}

static PyMethodDef before_fork_method = { "_before_fork", before_fork, METH_NOARGS, NULL };

static int register_before_fork(void)
{
	PyObject *const os = PyImport_ImportModule("os");
	PyObject *const register_at_fork = os ? PyObject_GetAttrString(os, "register_at_fork") : NULL;
	PyObject *const function = register_at_fork ? PyCFunction_New(&before_fork_method, NULL) : NULL;
	PyObject *const none = PyTuple_New(0);
	PyObject *const names = function ? Py_BuildValue("{sO}", "before", function) : NULL;
	PyObject *const result = names && none ? PyObject_Call(register_at_fork, none, names) : NULL;

	Py_XDECREF(os);
	Py_XDECREF(register_at_fork);
	Py_XDECREF(function);
	Py_XDECREF(none);
	Py_XDECREF(names);
	Py_XDECREF(result);
	return result ? 0 : -1;
}

/* For kernels before 4.14, which cannot wipe a page: fork() alone, not a bare clone(). */
static void wipe_in_child(void)
{
	*fork_page = (struct fork_page){ 0 };
}

int fork_init(const struct fork_actions *new_actions)
{
	if (fork_page)
		return 0;
	actions = new_actions;
	const size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *const map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED) {
		PyErr_SetFromErrno(PyExc_OSError);
		return -1;
	}
	if (register_before_fork() < 0) {
		munmap(map, size);
		return -1;
	}
	fork_page = map;
	fork_page->same_process = 1;
#ifdef MADV_WIPEONFORK
	if (madvise(map, size, MADV_WIPEONFORK) != 0)
#endif
		pthread_atfork(NULL, NULL, wipe_in_child);
	return 0;
}

void fork_in_child(bool entering)
{
	fork_page->same_process = 1;
	actions->in_child(entering);
}
