/*
 * From Python's objects to ids of a session; first sight writes the definition.
 *
 * Code objects: the id lives in the code object itself (co_extra), tagged with the session's serial
 * number, so that it dies with the object and an address that is used again never brings a stale
 * name. C functions are known by their PyMethodDef, types by address; both are checked against what they
 * were called before the id is believed.
 *
 * First sight reads names and the line table without making any Python object, running any Python code or
 * setting an exception. Everything here needs the GIL.
 */
#ifndef CODE_IDS_H
#define CODE_IDS_H

#include <Python.h>

#include "recorder/session.h"

/* What this module keeps resident for the life of the process, counted in rss_footprint_pages. */
#define CODE_IDS_PAGES 2

/* Once per process, before the rest. -1 with an exception set. */
int code_ids_init(void);

/*
 * What co_extra points to. CPython keeps the struct to itself, so that code_ids_init() checks that this
 * is it, on a code object of its own; if not, `code_ids_slot` is one that no code object has, and
 * every look-up goes the slow way, through the public function.
 */
struct code_ids_extra {
	Py_ssize_t size;
	uintptr_t slots[];
};
extern Py_ssize_t code_ids_slot __attribute__((visibility("hidden")));

#define CODE_IDS_BITS 24                /* of a slot; the session's serial number is above */

/* First sights, and whatever else the short ways below do not know. */
uint32_t code_ids_find_code(struct session *session, PyCodeObject *code);
uint32_t code_ids_find_method(struct session *session, const PyMethodDef *method, PyObject *self_or_type,
			      PyObject *module);
uint32_t code_ids_find_type(struct session *session, PyTypeObject *type);

/*
 * Ids of what has been seen in this session, or 0: then code_ids_of_...() must look further. Without a call, for
 * the hooks' short way.
 */
static inline uint32_t code_ids_known_code(const struct session *session, PyCodeObject *code)
{
	const struct code_ids_extra *const extra = code->co_extra;
	const Py_ssize_t slot = code_ids_slot;

	if (__builtin_expect(!extra || extra->size <= slot, 0))
		return 0;
	const uintptr_t id = extra->slots[slot] ^ (uintptr_t)session->serial << CODE_IDS_BITS;
	return __builtin_expect(id <= MT_ID_UNKNOWN, 1) ? (uint32_t)id : 0;
}

static inline uint32_t code_ids_known_method(const struct session *session, const PyMethodDef *method)
{
	const struct id_entry *const known = id_table_find(&session->cfuncs, (uint64_t)(uintptr_t)method);

	return __builtin_expect(known && known->check == (uint64_t)(uintptr_t)method->ml_name, 1) ? known->id : 0;
}

/*
 * The latest call of a C function, in whatever thread: most returns, and in loops most calls, are of the same function by the
 * same code. A code object that ends takes it along (code_ids_init()), so that `code` is never another at that address;
 * what a method is called is asked each time, as above.
 */
struct code_ids_call {
	const PyMethodDef *method;
	const char *name;
	const PyCodeObject *code;
	uint32_t serial;
	uint64_t ids;
};
extern struct code_ids_call code_ids_latest_call __attribute__((visibility("hidden")));

/* The ids of `method` and of `caller` where a record has them, or 0. Without a call, too. */
static inline uint64_t code_ids_known_call(const struct session *session, const PyMethodDef *method, PyCodeObject *caller)
{
	struct code_ids_call *const latest = &code_ids_latest_call;

	if (__builtin_expect(latest->method == method && latest->code == caller && latest->name == method->ml_name &&
			     latest->serial == session->serial, 1))
		return latest->ids;
	const uint32_t callee = code_ids_known_method(session, method);
	const uint32_t code = callee ? code_ids_known_code(session, caller) : 0;
	if (!code)
		return 0;
	const uint64_t ids = (uint64_t)callee << SESSION_CALLEE_SHIFT | code;
	*latest = (struct code_ids_call){ method, method->ml_name, caller, session->serial, ids };
	return ids;
}

/* Ids, or 0 when the arena had no room: count the event as lost. */
static inline uint32_t code_ids_of_code(struct session *session, PyCodeObject *code)
{
	const uint32_t known = code_ids_known_code(session, code);

	return __builtin_expect(known, 1) ? known : code_ids_find_code(session, code);
}

static inline uint32_t code_ids_of_method(struct session *session, const PyMethodDef *method,
					  PyObject *self_or_type, PyObject *module)
{
	const uint32_t known = code_ids_known_method(session, method);

	return __builtin_expect(known, 1) ? known : code_ids_find_method(session, method, self_or_type, module);
}

static inline uint32_t code_ids_of_type(struct session *session, PyTypeObject *type)
{
	/* One of the interpreter's own, or an extension's: there for good. */
	if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
		const struct id_entry *const known =
			id_table_find(&session->cfuncs, (uint64_t)(uintptr_t)type);
		if (__builtin_expect(known && known->check == (uint64_t)(uintptr_t)type->tp_name, 1))
			return known->id;
	}
	return code_ids_find_type(session, type);
}

/* Id of any str, for messages and thread names; 0 without room. */
uint32_t code_ids_of_str(struct session *session, PyObject *str);

/* The same for a PyCFunction: what both hooks are given. */
static inline uint32_t code_ids_of_cfunction(struct session *session, PyObject *function)
{
	const PyCFunctionObject *c = (const PyCFunctionObject *)function;
	return code_ids_of_method(session, c->m_ml, c->m_self, c->m_module);
}

#endif
