/*
 * Where a frame stands, in each Python's own words.
 */
#ifndef FRAME_H
#define FRAME_H

#include <Python.h>
#include <frameobject.h>

#include "format/layout.h"

/* The frame's code object, borrowed: the frame holds it. */
static inline PyCodeObject *frame_code(PyFrameObject *frame)
{
	PyCodeObject *const code = PyFrame_GetCode(frame);
	Py_DECREF(code);
	return code;
}

/* Offset in bytes of the instruction that it is at; MT_LASTI_NONE before the first. */
static inline uint32_t frame_offset(PyFrameObject *frame)
{
#if PY_VERSION_HEX >= 0x030b0000
	return (uint32_t)PyFrame_GetLasti(frame);
#elif PY_VERSION_HEX >= 0x030a0000
	return frame->f_lasti < 0 ? MT_LASTI_NONE : (uint32_t)frame->f_lasti * 2;       /* in instructions */
#else
	return (uint32_t)frame->f_lasti;
#endif
}

#endif
