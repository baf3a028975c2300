/*
 * Where a frame stands, in each Python's own words.
 */
#ifndef FRAME_H
#define FRAME_H

#include <Python.h>
#include <frameobject.h>

/*
 * 3.11 is the one version whose hook gets a frame without being told what is in it, other than by three
 * function calls an event.
 */
#if PY_VERSION_HEX >= 0x030b0000 && PY_VERSION_HEX < 0x030c0000
#define Py_BUILD_CORE
#include <internal/pycore_frame.h>
#undef Py_BUILD_CORE
#define FRAME_IS_OPEN 1
#endif

#include "format/layout.h"

/* The frame's code object, borrowed: the frame holds it. */
static inline PyCodeObject *frame_code(PyFrameObject *frame)
{
#if defined(FRAME_IS_OPEN)
	return frame->f_frame->f_code;
#elif PY_VERSION_HEX < 0x030b0000
	return frame->f_code;
#else
	PyCodeObject *const code = PyFrame_GetCode(frame);
	Py_DECREF(code);
	return code;
#endif
}

/* Offset in bytes of the instruction that it is at; MT_LASTI_NONE before the first. */
static inline uint32_t frame_offset(PyFrameObject *frame)
{
#if defined(FRAME_IS_OPEN)
	const ptrdiff_t instruction =
		frame->f_frame->prev_instr - _PyCode_CODE(frame->f_frame->f_code);
	return instruction < 0 ? MT_LASTI_NONE : (uint32_t)instruction * (uint32_t)sizeof(_Py_CODEUNIT);
#elif PY_VERSION_HEX >= 0x030b0000
	return (uint32_t)PyFrame_GetLasti(frame);
#elif PY_VERSION_HEX >= 0x030a0000
	return frame->f_lasti < 0 ? MT_LASTI_NONE : (uint32_t)frame->f_lasti * 2;       /* in instructions */
#else
	return (uint32_t)frame->f_lasti;
#endif
}

#endif
