#include "recorder/recording.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recorder/code_ids.h"
#include "recorder/fork.h"
#include "recorder/frame.h"
#include "recorder/hook.h"
#include "recorder/interpreters.h"

struct session *recording;
__thread struct recording_thread recording_thread __attribute__((tls_model("initial-exec")));

/* The open recordings, latest entered first. */
static struct recording_slot *newest;

/* The frame that called the runner's _run(): it and what is below are not the program's. */
static PyCodeObject *runner_code;

static void set_recording(struct session *session)
{
	recording = session;
	fork_page->session = session;
}

/*
 * Threads
 */

#define NAME_TRIES 512          /* `threading` knows a new thread some 10 to 100 events after its first */
#define NAMED 0x80000000U

/* attribute of an exact dict, by a str made beforehand; borrowed, NULL without an exception */
static PyObject *dict_get(PyObject *dict, PyObject *key)
{
	if (!dict || !PyDict_CheckExact(dict))
		return NULL;
	PyObject *const value = PyDict_GetItemWithError(dict, key);
	PyErr_Clear();
	return value;
}

/*
 * The name of the thread `ident`, a new reference, or NULL. Looks where threading.current_thread() looks,
 * but runs no Python code, whatever the program has made of its Thread class.
 */
static PyObject *thread_name(unsigned long ident)
{
	static PyObject *threading_str, *active_str, *name_str;

	if (!threading_str)
		threading_str = PyUnicode_InternFromString("threading");
	if (!active_str)
		active_str = PyUnicode_InternFromString("_active");
	if (!name_str)
		name_str = PyUnicode_InternFromString("_name");
	if (!threading_str || !active_str || !name_str)
		return NULL;

	PyObject *const threading = dict_get(PyImport_GetModuleDict(), threading_str);
	if (!threading || !PyModule_Check(threading))
		return NULL;
	PyObject *const active = dict_get(PyModule_GetDict(threading), active_str);
	PyObject *const key = PyLong_FromUnsignedLong(ident);
	PyObject *const thread = key ? dict_get(active, key) : NULL;
	Py_XDECREF(key);
	if (!thread)
		return NULL;
	PyObject *const name = PyObject_GenericGetAttr(thread, name_str);
	if (name && PyUnicode_Check(name))
		return name;
	Py_XDECREF(name);
	return NULL;
}

static uint32_t thread_name_id(struct session *session, unsigned long ident, uint64_t native_id)
{
	PyObject *type, *value, *traceback;
	uint32_t id = 0;

	PyErr_Fetch(&type, &value, &traceback);
	PyObject *const name = thread_name(ident);
	if (name)
		id = code_ids_of_str(session, name);
	else if (native_id == (uint64_t)getpid())
		id = session_define_string(session, "MainThread", 10, false);
	Py_XDECREF(name);
	PyErr_Restore(type, value, traceback);
	return id;
}

/* The entry of a thread state, made at its first sight. NULL: no room, or too many threads. */
static struct id_entry *thread_entry(struct session *session, PyThreadState *thread, uint64_t native_id,
				     unsigned long ident)
{
	const uint64_t key = PyThreadState_GetID(thread) + 1;
	struct id_entry *entry = id_table_find(&session->threads, key);
	if (entry)
		return entry;
	const uint32_t name = thread_name_id(session, ident, native_id);
	const uint32_t index = session_define_thread(session, native_id, ident, name);
	if (index == MT_THREAD_UNKNOWN || !id_table_put(&session->threads, key, 0, index))
		return NULL;
	interpreters_look(session);
	entry = id_table_find(&session->threads, key);
	entry->tag = name ? NAMED : 0;
	return entry;
}

bool recording_thread_slow(struct session *session, uint32_t *index_out)
{
	if (recording_thread.muted)
		return false;
	struct recording_thread *const self = &recording_thread;
	const uint64_t native_id = (uint64_t)syscall(SYS_gettid);
	const unsigned long ident = (unsigned long)pthread_self();
	uint32_t index = (uint32_t)(self->who >> SESSION_THREAD_SHIFT);

	if (self->known_serial != session->serial) {
		const struct id_entry *const entry = thread_entry(session, PyThreadState_Get(), native_id, ident);
		if (!entry) {
			*index_out = MT_THREAD_UNKNOWN;
			return true;
		}
		index = entry->id;
		self->who = (uint64_t)entry->id << SESSION_THREAD_SHIFT;
		self->tries = entry->tag & NAMED ? NAME_TRIES : 0;
		self->known_serial = session->serial;
	} else if (self->tries < NAME_TRIES) {
		const uint32_t name = thread_name_id(session, ident, native_id);
		if (name)
			session_name_thread(session, index, native_id, ident, name);
		self->tries = name ? NAME_TRIES : (uint16_t)(self->tries + 1);
	}
	if (self->tries == NAME_TRIES)
		self->serial = session->serial;
	*index_out = index;
	return true;
}

void recording_mute(bool muted)
{
	recording_thread.muted = muted;
	recording_thread.serial = 0;
}

PyCodeObject *recording_set_runner(PyCodeObject *code)
{
	PyCodeObject *const before = runner_code;

	runner_code = code;
	return before;
}

/*
 * Live frames
 */

static void put_frame(struct session *session, uint32_t thread, PyFrameObject *frame)
{
	const unsigned kind_flags = MT_KIND_CALL << 5 | MT_FLAG_SYNTHETIC;
	const uint32_t id = code_ids_of_code(session, frame_code(frame));

	if (id)
		session_event(session, kind_flags, thread, id, 0, frame_offset(frame));
	else
		session_lose(session, MT_LOST_DEFINITIONS_FULL, kind_flags);
}

static bool is_runner(PyFrameObject *frame)
{
	PyCodeObject *const code = PyFrame_GetCode(frame);

	Py_DECREF(code);        /* the frame has it */
	return code == runner_code;
}

/* Frames of one thread, from `top` (a reference that is given away) down to the runner's, if it is there. */
static void put_stack(struct session *session, uint32_t thread, PyFrameObject *top)
{
	size_t count = 0, room = 0;
	PyFrameObject **frames = NULL;

	while (top && !is_runner(top)) {
		if (count == room) {
			const size_t more = room ? room * 2 : 64;
			PyFrameObject **const grown = PyMem_RawRealloc(frames, more * sizeof(*frames));
			if (!grown)
				break;
			frames = grown;
			room = more;
		}
		frames[count++] = top;
		top = PyFrame_GetBack(top);
	}
	Py_XDECREF(top);
	while (count > 0) {
		put_frame(session, thread, frames[--count]);
		Py_DECREF(frames[count]);
	}
	PyMem_RawFree(frames);
}

/* The thread state with the lowest id above `after`; NULL at the end. */
static PyThreadState *next_thread(uint64_t after)
{
	PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
	PyThreadState *next = NULL;

	for (; thread; thread = PyThreadState_Next(thread))
		if (PyThreadState_GetID(thread) > after &&
		    (!next || PyThreadState_GetID(thread) < PyThreadState_GetID(next)))
			next = thread;
	return next;
}

void recording_put_live_frames(struct session *session, bool entering)
{
	PyThreadState *const self = PyThreadState_Get();
	uint64_t id = 0;
	PyThreadState *thread;

	while ((thread = next_thread(id)) != NULL) {
		id = PyThreadState_GetID(thread);
		PyFrameObject *top = PyThreadState_GetFrame(thread);
		if (top && entering && thread == self) {
			PyFrameObject *const back = PyFrame_GetBack(top);
			Py_DECREF(top);         /* it runs */
			top = back;
		}
		if (!top)
			continue;
		uint64_t native_id = 0;
		unsigned long ident = thread->thread_id;
#if PY_VERSION_HEX >= 0x030b0000
		native_id = thread->native_thread_id;
#endif
		if (thread == self) {
			/* After a fork what the thread state says may be the parent's. */
			native_id = (uint64_t)syscall(SYS_gettid);
			ident = (unsigned long)pthread_self();
		}
		const struct id_entry *const entry = thread_entry(session, thread, native_id, ident);
		put_stack(session, entry ? entry->id : MT_THREAD_UNKNOWN, top);
	}
}

void recording_put_own_frames(struct session *session, PyFrameObject *top)
{
	uint32_t thread;

	if (!top || !recording_thread_index(session, &thread))
		return;
	Py_INCREF(top);
	put_stack(session, thread, top);
}

void recording_put_frames_of(struct session *session, PyThreadState *thread, uint32_t index)
{
	if (thread == PyThreadState_Get() && recording_thread.muted)
		return;
	PyFrameObject *const top = PyThreadState_GetFrame(thread);
	if (top)
		put_stack(session, index, top);
}

uint64_t *recording_thread_note(const struct session *session, PyThreadState *thread, uint32_t *index_out)
{
	struct id_entry *const entry = id_table_find(&session->threads, PyThreadState_GetID(thread) + 1);

	if (!entry)
		return NULL;
	*index_out = entry->id;
	return &entry->check;
}

/*
 * Open and close
 */

/*
 * A recording that cannot go on is closed between two instructions of the program, not inside of the event
 * that found it out.
 */
static bool close_is_due;

static int close_ended(void *Py_UNUSED(none))
{
	struct recording_slot *slot = newest;

	close_is_due = false;
	while (slot) {
		if (slot->session && flusher_ended(&slot->session->flusher)) {
			recording_close(slot, MT_END_STOP);
			slot = newest;          /* anything may have happened meanwhile */
		} else {
			slot = slot->older;
		}
	}
	return 0;
}

static void on_slow_step(struct session *session)
{
	/* A full queue: the next slow step comes soon. */
	if (flusher_ended(&session->flusher) && !close_is_due)
		close_is_due = Py_AddPendingCall(close_ended, NULL) == 0;
	hook_look(session);
	interpreters_look(session);
}

/*
 * Standard error as it was at the first recording; never what the program has put in its place since.
 */
static struct stat standard_error;
static bool has_standard_error;

static void remember_standard_error(void)
{
	static bool done;

	if (!done)
		has_standard_error = fstat(2, &standard_error) == 0;
	done = true;
}

/* The one line about a recording that the disk, a bound or somebody has harmed. */
static void complain(const struct session *session, enum mt_status status)
{
	char what[256], line[512];
	struct stat now;

	if (!session_complaint(session, status, what, sizeof(what))[0])
		return;
	if (!has_standard_error || fstat(2, &now) != 0 || now.st_dev != standard_error.st_dev ||
	    now.st_ino != standard_error.st_ino)
		return;
	const char *const slash = strrchr(session->path, '/');
	int length = snprintf(line, sizeof(line), "pymemtrace: %.200s: %s\n", slash ? slash + 1 : session->path, what);
	for (int i = 0; i < length - 1; i++)
		if ((unsigned char)line[i] < ' ' || (unsigned char)line[i] > '~')
			line[i] = '?';
	/* Nothing to be done if it does not get there; it must not wait for a reader. */
	struct pollfd ready = { .fd = 2, .events = POLLOUT };
	if (poll(&ready, 1, 0) == 1 && ready.revents & POLLOUT && !(ready.revents & (POLLERR | POLLHUP)))
		(void)!write(2, line, (size_t)length);
}

/* The recording that this one came from: the one it suspends, or that of the process that forked. */
struct parent {
	enum { PARENT_NONE, PARENT_FORK = 1, PARENT_NESTED = 2 } reason;
	const uint8_t *uuid;
	uint64_t records;               /* that it had by then */
};

static struct session *start_session(const struct recording_slot *slot, const char *path,
				     struct parent parent)
{
	uint8_t room[MT_ITEM_HEADER + MT_UUID_SIZE + 16];
	struct mt_out parent_tlv = mt_out_over(room, sizeof(room));
	uint8_t *const tlvs = PyMem_RawMalloc(slot->tlvs_size + sizeof(room));
	if (!tlvs) {
		errno = ENOMEM;
		return NULL;
	}
	if (parent.reason != PARENT_NONE) {
		uint8_t data[MT_UUID_SIZE + 16];
		struct mt_out out = mt_out_over(data, sizeof(data));
		mt_put_bytes(&out, parent.uuid, MT_UUID_SIZE);
		mt_put_u32(&out, parent.reason);
		mt_put_u32(&out, 0);
		mt_put_u64(&out, parent.records);
		mt_tlv_put(&parent_tlv, MT_TLV_PARENT, data, sizeof(data));
	}
	/* The parent comes first: whatever is cut to fit, it stays. */
	memcpy(tlvs, room, mt_out_size(&parent_tlv));
	memcpy(tlvs + mt_out_size(&parent_tlv), slot->tlvs, slot->tlvs_size);
	const struct session_spec spec = {
		.path = path,
		.default_min_drss_bytes = slot->default_min_drss_bytes,
		.tick_ns = slot->tick_ns,
		.rss_source = slot->rss_source,
		.hook = hook_id,
		.python_hexversion = PY_VERSION_HEX,
#ifdef Py_DEBUG
		.build_bits = MT_BUILD_DEBUG,
#endif
		.size_max = slot->size_max,
		.keep_free = slot->size_max == 0,
		.on_slow_step = on_slow_step,
		.on_beat = hook_on_beat,
		.tlvs = tlvs,
		.tlvs_size = mt_out_size(&parent_tlv) + slot->tlvs_size,
	};
	struct session *const session = session_start(&spec);
	const int error = errno;
	PyMem_RawFree(tlvs);
	errno = error;
	return session;
}

/*
 * Forks
 */

/* They start again by themselves. */
static void park_all(void)
{
	hook_before_fork();
	for (struct recording_slot *slot = newest; slot; slot = slot->older)
		if (slot->session)
			session_park(slot->session);
}

/* "app.mtrace" with pid 7 becomes "app.7.mtrace"; a default name is made anew with the child's pid. */
static void child_path(const struct recording_slot *slot, unsigned attempt, char *room, size_t size)
{
	if (slot->directory) {
		recording_default_path(slot->directory, attempt, room, size);
		return;
	}
	const char *const slash = strrchr(slot->base_path, '/');
	const char *dot = strrchr(slot->base_path, '.');
	if (!dot || dot < slash || dot == slash + 1)
		dot = slot->base_path + strlen(slot->base_path);
	char number[16] = "";
	if (attempt)
		snprintf(number, sizeof(number), "_%u", attempt);
	snprintf(room, size, "%.*s.%ld%s%s", (int)(dot - slot->base_path), slot->base_path,
		 (long)getpid(), number, dot);
}

static struct session *start_in_child(struct recording_slot *slot)
{
	char path[4096];
	struct session *session = NULL;

	const struct parent parent = { PARENT_FORK, slot->parent_uuid, slot->parent_records };

	for (unsigned attempt = 0; attempt < 1000 && !session; attempt++) {
		child_path(slot, attempt, path, sizeof(path));
		session = start_session(slot, path, parent);
		if (!session && errno != EEXIST)
			break;
	}
	return session;
}

static void after_fork(bool entering)
{
	set_recording(NULL);
	close_is_due = false;
	hook_after_fork();
	rss_footprint_pages = CODE_IDS_PAGES;   /* the rest is unmapped below */
	for (struct recording_slot *slot = newest; slot; slot = slot->older) {
		if (!slot->session)
			continue;
		memcpy(slot->parent_uuid, slot->session->uuid, MT_UUID_SIZE);
		slot->parent_records = slot->session->ring.head;
		slot->child = !slot->no_children;
		session_abandon(slot->session);
		slot->session = NULL;
	}
	if (newest && newest->child) {
		newest->session = start_in_child(newest);
		if (newest->session) {
			recording_put_live_frames(newest->session, entering);
			/* What children do first (forks, namespaces of their own) may want a process of one thread. */
			session_park(newest->session);
		}
		set_recording(newest->session);
	}
}

static const struct fork_actions fork_actions = { park_all, after_fork };

/*
 * Beginning and end
 */

/* A recording has not begun: the hook is again as the one that goes on wants it. */
static void forget_hook(void)
{
	PyObject *type, *value, *traceback;

	PyErr_Fetch(&type, &value, &traceback);
	if (!newest)
		hook_uninstall();
	else if (hook_set_lines(newest->lines) < 0)
		PyErr_Clear();
	PyErr_Restore(type, value, traceback);
}

int recording_open(struct recording_slot *slot, const char *path, PyObject *owner, bool synthetic)
{
	if (code_ids_init() < 0 || interpreters_init() < 0 || fork_init(&fork_actions) < 0 || hook_install() < 0)
		return -1;
	if (!fork_page->same_process)
		fork_in_child(false);        /* before the parent's session is taken for ours */

	remember_standard_error();
	struct parent parent = { .reason = PARENT_NONE };
	if (hook_set_lines(slot->lines) < 0) {
		forget_hook();
		return -1;
	}
	if (recording)
		parent = (struct parent){ PARENT_NESTED, recording->uuid, recording->ring.head };
	struct session *const session = start_session(slot, path, parent);
	if (!session) {
		const int error = errno;
		forget_hook();
		errno = error;
		PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
		return -1;
	}
	if (recording)
		session_meta(recording, MT_META_SUSPENDED, MT_THREAD_UNKNOWN, 0, 0);
	Py_INCREF(owner);
	slot->owner = owner;
	slot->session = session;
	slot->older = newest;
	newest = slot;
	if (synthetic)
		recording_put_live_frames(session, false);
	interpreters_look(session);
	set_recording(session);
	return 0;
}

/* A fork's child has left the inner recording: the outer one gets a trace of the child's own too. */
static void resume(struct recording_slot *slot)
{
	if (slot->child && !slot->session)
		slot->session = start_in_child(slot);
	if (!slot->session)
		return;
	if (hook_set_lines(slot->lines) < 0)
		PyErr_Clear();
	session_meta(slot->session, MT_META_RESUMED, MT_THREAD_UNKNOWN, 0, 0);
	recording_put_live_frames(slot->session, false);
	interpreters_look(slot->session);
	set_recording(slot->session);
}

/* Take `slot` out of the list; false if it was not in it. */
static bool unlink_slot(struct recording_slot *slot)
{
	struct recording_slot **at = &newest;

	while (*at && *at != slot)
		at = &(*at)->older;
	if (!*at)
		return false;
	*at = slot->older;
	slot->older = NULL;
	return true;
}

void recording_close(struct recording_slot *slot, enum mt_end_reason reason)
{
	if (fork_page && !fork_page->same_process)
		fork_in_child(false);
	if (!unlink_slot(slot))
		return;

	PyObject *type, *value, *traceback;
	PyErr_Fetch(&type, &value, &traceback);
	struct session *const session = slot->session;
	PyObject *const owner = slot->owner;
	slot->session = NULL;
	slot->owner = NULL;
	slot->child = false;
	if (recording == session) {
		if (session) {
			hook_tell_losses(session);
			interpreters_look(session);
		}
		set_recording(NULL);
		if (newest)
			resume(newest);
		else
			hook_uninstall();
	}
	if (session) {
		session_quiesce(session);
		Py_BEGIN_ALLOW_THREADS
		complain(session, session_finish(session, reason));
		Py_END_ALLOW_THREADS
		session_free(session);
	}
	Py_XDECREF(owner);
	PyErr_Restore(type, value, traceback);
}

void recording_close_all(enum mt_end_reason reason)
{
	while (newest)
		recording_close(newest, reason);
}

unsigned recording_depth(void)
{
	unsigned depth = 0;

	for (const struct recording_slot *slot = newest; slot; slot = slot->older)
		depth++;
	return depth;
}

void recording_default_path(const char *directory, unsigned attempt, char *room, size_t size)
{
	const time_t now = time(NULL);
	struct tm local;
	char stamp[32], number[16] = "";

	localtime_r(&now, &local);
	strftime(stamp, sizeof(stamp), "%y%m%d_%H%M%S", &local);
	if (attempt)
		snprintf(number, sizeof(number), "_%u", attempt);
	snprintf(room, size, "%s/%s_%ld%s.mtrace", directory, stamp, (long)getpid(), number);
}
