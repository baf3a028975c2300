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

/* Once per process, before the rest. -1 with an exception set. */
int code_ids_init(void);

/* Ids, or 0 when the arena had no room: count the event as lost. */
uint32_t code_ids_of_code(struct session *session, PyCodeObject *code);
uint32_t code_ids_of_method(struct session *session, const PyMethodDef *method, PyObject *self_or_type,
			    PyObject *module);
uint32_t code_ids_of_type(struct session *session, PyTypeObject *type);

/* Id of any str, for messages and thread names; 0 without room. */
uint32_t code_ids_of_str(struct session *session, PyObject *str);

/* The same for a PyCFunction: what both hooks are given. */
static inline uint32_t code_ids_of_cfunction(struct session *session, PyObject *function)
{
	const PyCFunctionObject *c = (const PyCFunctionObject *)function;
	return code_ids_of_method(session, c->m_ml, c->m_self, c->m_module);
}

#endif
