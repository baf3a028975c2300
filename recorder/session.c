/*
 * Start and end of a recording, its definitions, and what is to be done when there is no room.
 *
 * Accounting identity: every record that a hook asked for is in the ring, or counted in page->lost[] at the
 * moment it is given up. `untold` is the part of these that no LOST record has told yet; it is told in front
 * of the next record that finds room, at the latest by session_finish().
 */
#define _GNU_SOURCE             /* fallocate() */
#include "recorder/session.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "format/names.h"
#include "recorder/host.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  /* Linux 5.14 */
#endif

/* Descriptors of ours start here if they can, to leave the numbers to the program that it would get without us. */
#define DESCRIPTOR_MIN 240
/* Events after a fork before the flusher's thread starts again. */
#define PARKED_RECORDS 1024
#define CFUNCS_CAPACITY 2048
#define THREADS_CAPACITY 512
#define TLVS_ROOM (MT_FILE_HEADER_MAX - MT_FILE_HEADER_FIXED)
#define TAIL_SUFFIX ".tail"
/* Item header and fixed fields of the longest item, CODE: the rest of an item is text. */
#define FIXED_ROOM 64

static size_t page_size_of_machine(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t round_up(size_t size, size_t step)
{
	return (size + step - 1) / step * step;
}

/*
 * Room
 */

static uint64_t ring_room(const struct session *session)
{
	/* Pairs with the release in flusher_step(): what was in the slots is in the trace. */
	const uint64_t flushed = atomic_load_explicit(&session->page->flushed, memory_order_acquire);

	return session->ring.mask + 1 - (session->ring.head - flushed);
}

static uint64_t arena_room(const struct session *session)
{
	const uint64_t flushed = atomic_load_explicit(&session->page->defs_flushed, memory_order_acquire);

	return session->page->arena_size - (session->defs_head - flushed);
}

/* Where the next slow step is to be. */
static void set_limit(struct session *session)
{
	const uint64_t room = ring_room(session);
	const uint64_t waiting = session->ring.mask + 1 - room;
	uint64_t step = MT_BLOCK_RECORDS / 4;

	if (waiting >= MT_BLOCK_RECORDS)
		flusher_wake(&session->flusher);
	else if (MT_BLOCK_RECORDS - waiting > step)
		step = MT_BLOCK_RECORDS - waiting;
	ring_allow(&session->ring, step < room ? step : room);
}

void session_unpark(struct session *session)
{
	if (!session->parked)
		return;
	/* Without a thread (no more allowed?) the ring fills up and it is tried again then. */
	if (flusher_run(&session->flusher) == 0)
		session->parked = false;
}

/*
 * Wait for the flusher to free something, holding the GIL: at most SESSION_WAIT_NS, and not again until it
 * has. False if there is nothing to wait for.
 */
static bool wait_for_flusher(struct session *session)
{
	struct flusher *flusher = &session->flusher;
	const uint32_t freed = atomic_load_explicit(&flusher->freed, memory_order_acquire);

	if (freed != session->freed_seen)
		session->waited = false;
	session->freed_seen = freed;
	if (session->waited || flusher_trouble(flusher))
		return false;
	session_unpark(session);
	session->waited = true;
	flusher_wake(flusher);
	return !session->parked && flusher_wait_freed(flusher, freed, SESSION_WAIT_NS);
}

static unsigned pending_records(const struct session *session)
{
	unsigned count = 0;

	for (int i = 0; session->pending && i < MT_LOST_COUNT; i++)
		for (int j = 0; j < 2; j++)
			count += (unsigned)((session->untold[i][j] + UINT32_MAX - 1) / UINT32_MAX);
	return count;
}

static void put_losses(struct session *session)
{
	/*
	 * The time of the event before: reading the clock here would hide the gap between two events from
	 * the RSS source.
	 */
	const uint64_t clock = clock_ticks(&session->clock, session->last_raw) << 8;

	for (unsigned i = 0; i < MT_LOST_COUNT; i++) {
		for (unsigned j = 0; j < 2; j++) {
			while (session->untold[i][j]) {
				const uint64_t value = session->untold[i][j] > UINT32_MAX ? UINT32_MAX
											  : session->untold[i][j];
				ring_allow(&session->ring, 1);
				ring_put(&session->ring, (struct mt_record){
					.w0 = clock | MT_KIND_META << 5 | (j ? MT_FLAG_EXTRA : 0),
					.w1 = (uint64_t)MT_THREAD_UNKNOWN << 48 | (uint64_t)(i + 1) << 24 |
					      MT_META_LOST,
					.w2 = value << 32 | rss_pages(&session->rss),
				});
				session->untold[i][j] -= value;
				session->unnumbered++;
			}
		}
	}
	session->pending = false;
}

/* Tell the losses if there is room for that and `more` records; sets the limit. */
static bool tell_losses(struct session *session, unsigned more)
{
	const unsigned needed = pending_records(session) + more;

	while (ring_room(session) < needed)
		if (!wait_for_flusher(session))
			return false;
	if (session->pending)
		put_losses(session);
	set_limit(session);
	return true;
}

bool session_make_room(struct session *session, unsigned kind_flags)
{
	const int saved = errno;

	if (session->on_slow_step)
		session->on_slow_step(session);
	session_unpark(session);
	const bool room = tell_losses(session, 1);
	if (!room)
		session_lose(session, MT_LOST_RING_FULL, kind_flags);
	errno = saved;
	return room;
}

uint64_t session_ask_rss(struct session *session, uint64_t raw)
{
	uint64_t last_raw = session->last_raw;

	if (raw < last_raw)
		raw = last_raw = clock_step_back(&session->clock, last_raw, raw);
	session->last_raw = raw;
	session->read_flag = session->rss.unasked_flag;
	if (!rss_due(&session->rss, last_raw, raw))
		return raw;
	session->read_flag = session->rss.source->update(&session->rss) ? MT_FLAG_RSS_READ : 0;
	const uint64_t done_raw = clock_raw(&session->clock);
	if (done_raw > raw)
		session->last_raw = done_raw;
	session->rss.asked_raw = raw;           /* so that by the records no figure is older than it may be */
	return raw;
}

void session_lose(struct session *session, enum mt_lost reason, unsigned kind_flags)
{
	const bool numbered = mt_kind_flags_default(kind_flags >> 5, kind_flags & 31);

	/* When nothing can be written, what fills up is the disk's fault. */
	if ((reason == MT_LOST_RING_FULL || reason == MT_LOST_DEFINITIONS_FULL) &&
	    flusher_trouble(&session->flusher))
		reason = MT_LOST_DISK;
	_Atomic uint64_t *lost = &session->page->lost[reason - 1];
	/* One writer: no need to lock the bus. */
	atomic_store_explicit(lost, atomic_load_explicit(lost, memory_order_relaxed) + 1, memory_order_relaxed);
	session->lost[reason - 1]++;
	session->untold[reason - 1][!numbered]++;
	session->numbered_lost += numbered;
	session->pending = true;
	session->ring.limit = session->ring.head;
}

void session_meta(struct session *session, enum mt_meta what, uint32_t thread, uint32_t string,
		  uint32_t value)
{
	session_event(session, MT_KIND_META << 5, thread, what, string, value);
}

/*
 * Definitions
 */

/* Enter an item whose fixed fields are in `fixed` and whose text is `text`; false without room. */
static bool put_item(struct session *session, struct mt_out *fixed, const void *text, size_t text_size)
{
	static const uint8_t zeros[4];
	const size_t fixed_size = mt_out_size(fixed);
	const size_t padding = (4 - text_size % 4) % 4;
	const size_t size = fixed_size + text_size + padding;
	const int saved = errno;

	while (arena_room(session) < size) {
		if (!wait_for_flusher(session)) {
			errno = saved;
			return false;
		}
	}
	errno = saved;
	/* The encoder was given no text, so that it needs no room for it. */
	mt_store_u32(fixed->start + 4, (uint32_t)(fixed_size - MT_ITEM_HEADER + text_size));
	mt_tail_arena_write(session->page, session->defs_head, fixed->start, fixed_size);
	if (text_size)
		mt_tail_arena_write(session->page, session->defs_head + fixed_size, text, text_size);
	mt_tail_arena_write(session->page, session->defs_head + fixed_size + text_size, zeros, padding);
	session->defs_head += size;
	/* Pairs with the acquire in flusher_step() and in a reader of the tail. */
	atomic_store_explicit(&session->page->defs_committed, session->defs_head, memory_order_release);
	if (arena_room(session) < session->page->arena_size / 2 && !flusher_trouble(&session->flusher))
		flusher_wake(&session->flusher);
	return true;
}

uint32_t session_define_string(struct session *session, const void *bytes, size_t size, bool truncated)
{
	uint8_t room[FIXED_ROOM];
	struct mt_out out = mt_out_over(room, sizeof(room));
	const uint32_t id = session->string_count + 1;

	if (id >= MT_ID_UNKNOWN)
		return MT_ID_UNKNOWN;
	if (size > MT_STRING_MAX) {
		size = MT_STRING_MAX;
		truncated = true;
	}
	mt_item_put_string(&out, id, NULL, 0, truncated);
	if (!put_item(session, &out, bytes, size))
		return 0;
	session->string_count = id;
	return id;
}

uint32_t session_define_code(struct session *session, uint32_t filename, uint32_t name, uint32_t qualname,
			     uint32_t first_line, uint32_t co_flags, uint32_t code_size,
			     const void *lines, size_t lines_size, bool truncated)
{
	uint8_t room[FIXED_ROOM];
	struct mt_out out = mt_out_over(room, sizeof(room));
	const uint32_t id = session->code_count + 1;

	if (id >= MT_ID_UNKNOWN)
		return MT_ID_UNKNOWN;
	if (lines_size > SESSION_ITEM_MAX - FIXED_ROOM) {
		/* Cut anywhere it could be taken for another table: better no lines than wrong ones. */
		lines_size = 0;
		truncated = true;
	}
	mt_item_put_code(&out, id, filename, name, qualname, first_line, co_flags, code_size, NULL, 0, truncated);
	if (!put_item(session, &out, lines, lines_size))
		return 0;
	session->code_count = id;
	return id;
}

uint32_t session_define_cfunc(struct session *session, uint32_t owner, uint32_t name, bool is_type)
{
	uint8_t room[FIXED_ROOM];
	struct mt_out out = mt_out_over(room, sizeof(room));
	const uint32_t id = session->cfunc_count + 1;

	if (id >= MT_ID_UNKNOWN)
		return MT_ID_UNKNOWN;
	mt_item_put_cfunc(&out, id, owner, name, is_type);
	if (!put_item(session, &out, NULL, 0))
		return 0;
	session->cfunc_count = id;
	return id;
}

static bool put_thread(struct session *session, uint32_t index, uint64_t native_id, uint64_t ident,
		       uint32_t name, uint64_t ticks)
{
	uint8_t room[FIXED_ROOM];
	struct mt_out out = mt_out_over(room, sizeof(room));

	mt_item_put_thread(&out, index, native_id, ident, name, ticks);
	return put_item(session, &out, NULL, 0);
}

uint32_t session_define_thread(struct session *session, uint64_t native_id, uint64_t ident, uint32_t name)
{
	const uint32_t index = session->thread_count;
	const uint64_t ticks = clock_ticks(&session->clock, clock_raw(&session->clock));

	if (index >= MT_THREAD_UNKNOWN || !put_thread(session, index, native_id, ident, name, ticks))
		return MT_THREAD_UNKNOWN;
	if (index < SESSION_THREAD_CLOCKS)
		session->thread_clocks[index] = ticks;
	session->thread_count++;
	return index;
}

void session_name_thread(struct session *session, uint32_t index, uint64_t native_id, uint64_t ident,
			 uint32_t name)
{
	const uint64_t ticks = index < SESSION_THREAD_CLOCKS
				       ? session->thread_clocks[index]
				       : clock_ticks(&session->clock, clock_raw(&session->clock));

	/* Without room the thread stays nameless; no record is lost by it. */
	put_thread(session, index, native_id, ident, name, ticks);
}

bool session_flush(struct session *session, uint64_t timeout_ns)
{
	struct flusher *flusher = &session->flusher;
	const struct mt_tail_page *page = session->page;
	const uint64_t start = clock_now_ns(CLOCK_MONOTONIC);
	const uint64_t records = atomic_load_explicit(&page->committed, memory_order_acquire);
	const uint64_t defs = atomic_load_explicit(&page->defs_committed, memory_order_acquire);
	uint64_t passed = 0;

	session_unpark(session);
	flusher_want(flusher);
	for (;;) {
		const uint32_t freed = atomic_load_explicit(&flusher->freed, memory_order_acquire);
		if (atomic_load_explicit(&page->flushed, memory_order_acquire) >= records &&
		    atomic_load_explicit(&page->defs_flushed, memory_order_acquire) >= defs)
			return true;
		if (flusher_trouble(flusher) || passed >= timeout_ns ||
		    !flusher_wait_freed(flusher, freed, timeout_ns - passed))
			return false;
		passed = clock_now_ns(CLOCK_MONOTONIC) - start;
	}
}

/*
 * Files
 */

/* A file without a name in the directory of `path`; -1 where there is no such thing, or no way to name it later. */
static int create_unnamed(const char *path)
{
	char directory[PATH_MAX + sizeof(TAIL_SUFFIX)];
	const char *const slash = strrchr(path, '/');

	if (!slash || access("/proc/self/fd", X_OK) != 0)
		return -1;
	memcpy(directory, path, (size_t)(slash - path) + 1);
	directory[slash - path + 1] = '\0';
	return open(directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
}

/*
 * O_EXCL and O_NOFOLLOW: nothing that anybody has put there is opened, whatever it is. 0600 by any umask.
 * With `named` false it has no name until name_file().
 *
 * The lock tells others that somebody writes here. It belongs to what is open, not to the process: it
 * lasts until the last descriptor is closed and the last mapping is gone, which the kernel sees to however we end.
 * A file system without locks has none.
 */
static int create_file(const char *path, bool named)
{
	const int fd = named ? open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600)
			     : create_unnamed(path);

	if (fd >= 0 && fchmod(fd, 0600) != 0) {
		const int error = errno;
		close(fd);
		if (named)
			unlink(path);
		errno = error;
		return -1;
	}
	if (fd >= 0)
		flock(fd, LOCK_EX | LOCK_NB);
	return fd;
}

/* Give a file from create_unnamed() its name; false with errno, EEXIST if that is taken. */
static bool name_file(int fd, const char *path)
{
	char link[32];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0;
}

static int move_up(int fd)
{
	const int high = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTOR_MIN);

	if (high < 0)
		return fd;
	close(fd);
	return high;
}

/* Every page resident and writable, none of them huge: that would count for more than is mapped. */
static bool populate(void *memory, size_t size)
{
	const size_t step = page_size_of_machine();

	madvise(memory, size, MADV_NOHUGEPAGE);
	if (madvise(memory, size, MADV_POPULATE_WRITE) != 0) {
		/* Old kernels do not know it, sandboxes refuse it. */
		if (errno != EINVAL && errno != EPERM && errno != EACCES && errno != ENOSYS)
			return false;
		for (size_t i = 0; i < size; i += step)
			((volatile uint8_t *)memory)[i] = 0;
	}
	return true;
}

static void *map_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (!populate(memory, size)) {
		munmap(memory, size);
		errno = ENOMEM;
		return NULL;
	}
	return memory;
}

/*
 * The tail's file, mapped; NULL with errno and *what_out. The `fallocate` system call: without its
 * promise of space a store into the mapping could end the program with SIGBUS, and glibc's
 * posix_fallocate() imitates it by writing.
 */
static void *map_tail(struct session *session, const char **what_out)
{
	struct stat status;
	void *memory = NULL;

	*what_out = "open";
	const int fd = create_file(session->tail_path, session->named);
	if (fd < 0)
		return NULL;
	*what_out = "fallocate";
	if (fallocate(fd, 0, 0, (off_t)session->page_size) == 0 && fstat(fd, &status) == 0) {
		*what_out = "mmap";
		memory = mmap(NULL, session->page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (memory != MAP_FAILED && !populate(memory, session->page_size)) {
			munmap(memory, session->page_size);
			memory = MAP_FAILED;
		}
		if (memory == MAP_FAILED)
			memory = NULL;
	}
	const int error = errno;
	if (memory) {
		session->tail_device = status.st_dev;
		session->tail_inode = status.st_ino;
		session->tail_fd = fd;
	} else {
		close(fd);
		if (session->named)
			unlink(session->tail_path);
	}
	errno = error;
	return memory;
}

static void remove_tail(struct session *session)
{
	struct stat status;

	if (session->crash_safe && lstat(session->tail_path, &status) == 0 &&
	    status.st_dev == session->tail_device && status.st_ino == session->tail_inode)
		unlink(session->tail_path);
}

/*
 * Memory
 */

/* Offsets in the one mapping. The struct comes first, the flusher's stack last, behind a guard page. */
struct plan {
	size_t sealer, index, writer_room, flusher_room, strings, thread_clocks, paths, stack, size;
};

static size_t place(size_t *at, size_t size)
{
	const size_t offset = *at;

	*at = round_up(offset + size, 64);
	return offset;
}

static struct plan make_plan(size_t path_size)
{
	const size_t page = page_size_of_machine();
	struct plan plan;
	size_t at = 0;

	place(&at, sizeof(struct session));
	plan.sealer = place(&at, mt_sealer_size(MT_BLOCK_RECORDS));
	plan.index = place(&at, (size_t)SESSION_INDEX_ENTRIES * MT_INDEX_ENTRY_SIZE);
	plan.writer_room = place(&at, MT_WRITER_ROOM(SESSION_ITEM_MAX, SESSION_INDEX_ENTRIES));
	plan.flusher_room = place(&at, SESSION_ITEM_MAX);
	plan.strings = place(&at, sizeof(struct strings));
	plan.thread_clocks = place(&at, SESSION_THREAD_CLOCKS * sizeof(uint64_t));
	plan.paths = place(&at, path_size + path_size + sizeof(TAIL_SUFFIX));
	plan.stack = round_up(at, page);
	plan.size = plan.stack + page + round_up(flusher_stack_size(), page);
	return plan;
}

/* The session in its mapping, everything of it that needs no file. */
static struct session *make_session(const char *path)
{
	const size_t page = page_size_of_machine();
	const size_t path_size = strlen(path) + 1;
	const struct plan plan = make_plan(path_size);
	uint8_t *work = map_memory(plan.size);

	if (!work)
		return NULL;
	mprotect(work + plan.stack, page, PROT_NONE);
	struct session *session = (struct session *)(void *)work;
	session->work = work;
	session->work_size = plan.size;
	session->stack_offset = plan.stack;
	session->page_size = round_up((size_t)mt_tail_size(SESSION_RING_RECORDS, SESSION_ARENA_SIZE), page);
	session->strings = (struct strings *)(void *)(work + plan.strings);
	session->thread_clocks = (uint64_t *)(void *)(work + plan.thread_clocks);
	session->path = (char *)work + plan.paths;
	session->tail_path = session->path + path_size;
	memcpy(session->path, path, path_size);
	memcpy(session->tail_path, path, path_size);
	memcpy(session->tail_path + path_size - 1, TAIL_SUFFIX, sizeof(TAIL_SUFFIX));
	session->sealer = mt_sealer_init(work + plan.sealer, MT_BLOCK_RECORDS, 1);
	mt_writer_init(&session->writer, &session->sink.sink, session->sealer, work + plan.index,
		       SESSION_INDEX_ENTRIES, work + plan.writer_room,
		       MT_WRITER_ROOM(SESSION_ITEM_MAX, SESSION_INDEX_ENTRIES));
	session->flusher.stack = work + plan.stack + page;
	session->flusher.stack_size = plan.size - plan.stack - page;
	session->flusher.room = work + plan.flusher_room;
	session->flusher.room_size = SESSION_ITEM_MAX;
	session->flusher.fd = -1;
	session->tail_fd = -1;
	session->rss.fd = -1;
	return session;
}

/*
 * Start
 */

static void make_uuid(uint8_t uuid[MT_UUID_SIZE])
{
	const uint64_t fallback[2] = {
		clock_now_ns(CLOCK_REALTIME) * 0x9E3779B97F4A7C15U ^ (uint64_t)getpid() << 32,
		clock_now_ns(CLOCK_MONOTONIC) ^ (uintptr_t)uuid,
	};

	if (getrandom(uuid, MT_UUID_SIZE, GRND_NONBLOCK) != MT_UUID_SIZE)
		memcpy(uuid, fallback, MT_UUID_SIZE);
	/* RFC 4122: version 4, variant 1. */
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

/* The path from the root, so that a chdir() does no harm; false (ENAMETOOLONG) if it has no room. */
static bool absolute_path(const char *path, char *room, size_t size)
{
	size_t used = 0;

	if (path[0] != '/' && getcwd(room, size)) {
		used = strlen(room);
		if (used && room[used - 1] != '/' && used + 1 < size)
			room[used++] = '/';
	}
	const size_t length = strlen(path);
	if (used + length + sizeof(TAIL_SUFFIX) > size) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(room + used, path, length + 1);
	return true;
}

static void init_tail(struct session *session)
{
	struct mt_tail_spec spec = {
		.capacity = SESSION_RING_RECORDS,
		.arena_size = SESSION_ARENA_SIZE,
		.owner_pid = session->owner_pid,
		.epoch = session->clock.start_wall_ns,
		.tick_num = session->clock.tick_ns,
		.tick_den = 1,
	};

	memcpy(spec.uuid, session->uuid, sizeof(spec.uuid));
	mt_tail_page_init(session->page, &spec);
	memcpy(session->page_head, session->page, sizeof(session->page_head));
	session->guard.head = session->page_head;
	session->guard.head_size = sizeof(session->page_head);
	session->guard.start = session->page;
	session->guard.size = session->page_size;
	/* Without a handler a tail that is cut short ends the program; better than no tail for all the others. */
	if (session->crash_safe)
		guard_add(&session->guard);
	session->ring = (struct ring){
		.records = mt_tail_ring(session->page),
		.page = session->page,
		.mask = SESSION_RING_RECORDS - 1,
	};
}

/* The rings: in the tail's file, or, where that is refused, in plain memory, and the header says so. */
static bool make_rings(struct session *session, char *reason, size_t reason_size)
{
	const char *what;

	session->page = map_tail(session, &what);
	session->crash_safe = session->page != NULL;
	if (session->page)
		return true;
	if (errno == EEXIST)
		return false;
	snprintf(reason, reason_size, "%s: %s", what, strerror(errno));
	session->page = map_memory(session->page_size);
	return session->page != NULL;
}

static void put_crash_safety(struct mt_out *out, const struct session *session, const char *reason)
{
	char text[128];
	const size_t size = strlen(reason);

	text[0] = session->crash_safe;
	memcpy(text + 1, reason, size);
	mt_tlv_put(out, MT_TLV_CRASH_SAFETY, text, size + 1);
}

static void put_rss_parameters(struct mt_out *out, const struct rss *rss)
{
	uint8_t bytes[24] = { 0 };

	mt_store_u64(bytes, rss->gap_ns);
	mt_store_u64(bytes + 8, rss->max_age_ns);
	mt_store_u32(bytes + 16, rss->granularity_pages);
	mt_tlv_put(out, MT_TLV_RSS_PARAMETERS, bytes, sizeof(bytes));
}

static void put_rss_refused(struct mt_out *out, const struct rss *rss)
{
	if (rss->refused[0])
		mt_tlv_put(out, MT_TLV_RSS_REFUSED, rss->refused, strlen(rss->refused));
}

static void put_footprint(struct mt_out *out)
{
	uint8_t bytes[8];

	mt_store_u64(bytes, (uint64_t)rss_footprint_pages * page_size_of_machine());
	mt_tlv_put(out, MT_TLV_FOOTPRINT, bytes, sizeof(bytes));
}

static void put_calibration(struct mt_out *tlvs, const struct clock *clock)
{
	char text[128] = "none needed: CLOCK_MONOTONIC in ns";

	if (clock->id == MT_CLOCK_TSC)
		snprintf(text, sizeof(text), "invariant TSC, %.9f GHz, against CLOCK_MONOTONIC over %.3f ms",
			 (double)clock->raw_per_ns / (UINT64_C(1) << CLOCK_NS_SHIFT),
			 (double)clock->calibration_ns / 1e6);
	mt_tlv_put(tlvs, MT_TLV_CALIBRATION, text, strlen(text));
}

/* `tlvs` is what host_describe() gave. */
static enum mt_status write_header(struct session *session, const struct session_spec *spec,
				   struct mt_out *tlvs, const char *reason)
{
	const uint16_t one = 1;

	put_calibration(tlvs, &session->clock);
	put_footprint(tlvs);
	put_rss_parameters(tlvs, &session->rss);
	put_rss_refused(tlvs, &session->rss);
	put_crash_safety(tlvs, session, reason);
	host_append(tlvs, spec->tlvs, spec->tlvs_size);

	struct mt_header header = {
		.version_major = MT_VERSION_MAJOR,
		.version_minor = MT_VERSION_MINOR,
		.flags_compat = session->crash_safe ? MT_COMPAT_TAIL : 0,
		.start_wall_ns = session->clock.start_wall_ns,
		.start_raw = session->clock.start_raw,
		.tick_num = session->clock.tick_ns,
		.tick_den = 1,
		.clock_id = (uint8_t)session->clock.id,
		.rss_source = (uint8_t)session->rss.source->id,
		.drss_rule = MT_DRSS_EVENT,
		.hook = (uint8_t)spec->hook,
		.page_size = (uint32_t)page_size_of_machine(),
		.default_min_drss_bytes = spec->default_min_drss_bytes,
		.pid = session->owner_pid,
		.ppid = (uint32_t)getppid(),
		.python_hexversion = spec->python_hexversion,
		.build_bits = spec->build_bits,
		.block_records = MT_BLOCK_RECORDS,
		.pointer_bits = (uint8_t)(sizeof(void *) * CHAR_BIT),
		.byte_order = *(const uint8_t *)&one ? 1 : 2,
		.tlvs = tlvs->start,
		.tlvs_size = mt_out_size(tlvs),
	};
	memcpy(header.uuid, session->uuid, MT_UUID_SIZE);
	return mt_writer_header(&session->writer, &header);
}

/* What starting has added, by the kernel's figures; what was mapped if those make no sense. */
static void count_footprint(struct session *session, uint32_t before)
{
	const int64_t mapped = (int64_t)((session->page_size + session->work_size) / page_size_of_machine());
	const int64_t measured = (int64_t)rss_kernel_pages() - before;

	session->footprint_pages = (uint32_t)rss_plausible(measured, mapped);
	rss_footprint_add(session->footprint_pages);
}

/* Take the mappings away, and what went with them out of the footprint; libzstd's pages stay, and stay counted. */
static void unmap(struct session *session, bool keep_stack)
{
	const size_t page = page_size_of_machine();
	const size_t work_size = keep_stack ? session->stack_offset : session->work_size;
	const size_t page_size = session->page ? session->page_size : 0;
	const bool counted = session->footprint_pages != 0;

	guard_remove(&session->guard);
	if (session->page)
		munmap(session->page, session->page_size);
	munmap(session->work, work_size);
	if (counted)
		rss_footprint_add(-(int64_t)((page_size + work_size) / page));
}

static enum mt_status append_nowhere(struct mt_sink *sink, struct iovec *parts, int count)
{
	(void)sink;
	(void)parts;
	(void)count;
	return MT_OK;
}

/*
 * Make the header once and throw it away: the code that makes it, printf's and the checksum's, is in memory
 * then, and belongs to the footprint that the real one states.
 */
static void warm_header(struct session *session, const struct session_spec *spec, struct mt_out tlvs,
			const char *reason)
{
	struct mt_sink nowhere = { .append = append_nowhere };
	struct mt_sink *const sink = session->writer.sink;

	session->writer.sink = &nowhere;
	(void)write_header(session, spec, &tlvs, reason);
	session->writer.sink = sink;
}

static bool start_clock_and_rss(struct session *session, const struct session_spec *spec)
{
	clock_start(&session->clock, spec->tick_ns);
	if (!rss_start(&session->rss, spec->rss_source)) {
		errno = ENOTSUP;
		return false;
	}
	if (session->rss.gap_raw != RSS_NO_GAP)
		session->rss.gap_raw = clock_raw_of_ns(&session->clock, session->rss.gap_ns);
	if (session->rss.max_age_ns)
		session->rss.max_age_raw = clock_raw_of_ns(&session->clock, session->rss.max_age_ns);
	return true;
}

static bool start_flusher(struct session *session, const struct session_spec *spec)
{
	struct flusher *flusher = &session->flusher;
	struct stat status;

	if (fstat(flusher->fd, &status) != 0)
		return false;
	mt_sink_file_init(&session->sink, flusher->fd, 0);
	flusher->page = session->page;
	flusher->writer = &session->writer;
	flusher->sink = &session->sink;
	flusher->clock = &session->clock;
	flusher->rss = &session->rss;
	flusher->path = session->path;
	flusher->size_max = spec->size_max;
	flusher->keep_free = spec->keep_free;
	flusher->has_tail = session->crash_safe;
	flusher->gone = session->crash_safe ? &session->guard.gone : NULL;
	flusher->on_beat = spec->on_beat;
	flusher->device = status.st_dev;
	flusher->inode = status.st_ino;
	errno = flusher_run(flusher);
	return errno == 0;
}

/* Everything between having the trace's file and the first event. */
static bool start_recording(struct session *session, const struct session_spec *spec, uint32_t rss_before)
{
	/* The flusher's scratch, which its thread has no use for before the first event. */
	struct mt_out tlvs;
	char reason[100] = "";

	session->owner_pid = (uint32_t)getpid();
	session->on_slow_step = spec->on_slow_step;
	make_uuid(session->uuid);
	errno = ENOSPC;
	if (spec->keep_free && flusher_too_full(session->flusher.fd))
		return false;
	if (!make_rings(session, reason, sizeof(reason)))
		return false;
	if (!start_clock_and_rss(session, spec))
		return false;
	init_tail(session);
	errno = ENOMEM;
	if (!session->sealer || !start_flusher(session, spec))
		return false;
	tlvs = mt_out_over(session->flusher.room, TLVS_ROOM);
	host_describe(&tlvs);
	warm_header(session, spec, tlvs, reason);
	count_footprint(session, rss_before);
	/* These count themselves, as they may grow. */
	if (!id_table_init(&session->cfuncs, CFUNCS_CAPACITY) ||
	    !id_table_init(&session->threads, THREADS_CAPACITY))
		return false;
	session->last_raw = session->clock.start_raw;
	errno = EIO;
	return write_header(session, spec, &tlvs, reason) == MT_OK;
}

/*
 * The files get their names when all that a reader wants is in them: whoever dies before leaves nothing. The trace
 * comes first, as it can be read without its tail, and a tail without its trace would be in the way.
 */
static bool name_files(struct session *session)
{
	if (!session->named) {
		if (!name_file(session->flusher.fd, session->path))
			return false;
		session->named = true;
		if (session->crash_safe && !name_file(session->tail_fd, session->tail_path))
			return false;
	}
	if (session->tail_fd >= 0)
		close(session->tail_fd);
	session->tail_fd = -1;
	return true;
}

/* Undo session_start(), as far as it came. */
static void discard(struct session *session)
{
	const int error = errno;

	flusher_halt(&session->flusher, false);
	rss_stop(&session->rss);
	id_table_release(&session->cfuncs);
	id_table_release(&session->threads);
	if (session->flusher.fd >= 0) {
		close(session->flusher.fd);
		if (session->named)
			unlink(session->path);
	}
	if (session->tail_fd >= 0)
		close(session->tail_fd);
	remove_tail(session);
	unmap(session, false);
	errno = error;
}

static bool is_there(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

/* `path` is absolute. */
static struct session *start(const struct session_spec *spec, const char *path, bool named)
{
	const uint32_t before = rss_kernel_pages();
	struct session *const session = make_session(path);

	if (!session)
		return NULL;
	session->named = named;
	if (is_there(session->path) || is_there(session->tail_path)) {
		errno = EEXIST;
		discard(session);
		return NULL;
	}
	const int fd = create_file(session->path, named);
	if (fd >= 0)
		session->flusher.fd = move_up(fd);
	if (fd < 0 || !start_recording(session, spec, before) || !name_files(session)) {
		discard(session);
		return NULL;
	}
	return session;
}

/*
 * A limit on file sizes (RLIMIT_FSIZE) is an error to us and not the signal whose default action ends a program.
 * The kernel sends it to the thread that wrote.
 */
static void block_xfsz(sigset_t *saved_out)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGXFSZ);
	pthread_sigmask(SIG_BLOCK, &set, saved_out);
}

static void unblock_xfsz(const sigset_t *saved)
{
	const struct timespec none = { 0 };
	const int error = errno;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGXFSZ);
	/* One that was blocked before is the program's to take. */
	if (!sigismember(saved, SIGXFSZ))
		sigtimedwait(&set, NULL, &none);
	pthread_sigmask(SIG_SETMASK, saved, NULL);
	errno = error;
}

static struct session *start_either(const struct session_spec *spec)
{
	static uint32_t serial;
	char path[PATH_MAX + sizeof(TAIL_SUFFIX)];

	if (!absolute_path(spec->path, path, sizeof(path)))
		return NULL;
	struct session *session = start(spec, path, false);
	/* Whatever it was: there are file systems without unnamed files, or without links. */
	if (!session && errno != EEXIST)
		session = start(spec, path, true);
	if (!session)
		return NULL;
	session->serial = ++serial ? serial : ++serial;
	set_limit(session);
	return session;
}

struct session *session_start(const struct session_spec *spec)
{
	sigset_t saved;

	block_xfsz(&saved);
	struct session *const session = start_either(spec);
	unblock_xfsz(&saved);
	return session;
}

/*
 * End
 */

void session_quiesce(struct session *session)
{
	if (session->pending)
		tell_losses(session, 0);
}

enum mt_status session_finish(struct session *session, enum mt_end_reason reason)
{
	struct mt_end end = { .reason = reason };
	struct flusher *flusher = &session->flusher;

	/* Losses that found no room get it once the ring has been written out. */
	if (session->pending) {
		if (flusher->running || flusher_run(flusher) == 0)
			session_flush(session, UINT64_MAX);
		else
			flusher_step(flusher, true);
		tell_losses(session, 0);
	}
	/* The thread has it blocked; this one may have to write itself. */
	sigset_t saved;
	block_xfsz(&saved);
	end.records = session->ring.head;
	end.events = session_events(session);
	memcpy(end.lost, session->lost, sizeof(end.lost));
	const enum mt_status status = flusher_finish(flusher, &end);
	unblock_xfsz(&saved);
	if (status == MT_OK)
		remove_tail(session);
	session->file_bytes = session->sink.sink.size;
	return status;
}

char *session_complaint(const struct session *session, enum mt_status status, char *room, size_t size)
{
	const struct flusher *const flusher = &session->flusher;
	const uint64_t lost = session->lost[MT_LOST_DISK - 1] + flusher->dropped;
	const char *const what = strerror(atomic_load_explicit(&flusher->error, memory_order_relaxed));

	struct stat file;

	room[0] = '\0';
	if (fstat(flusher->fd, &file) == 0 && file.st_dev == flusher->device && file.st_ino == flusher->inode &&
	    file.st_nlink == 0)
		snprintf(room, size, "somebody has deleted the trace");
	else if (flusher->cut)
		snprintf(room, size, "recording ended: somebody has cut the trace short");
	else if (flusher->gone && atomic_load(flusher->gone))
		snprintf(room, size, "recording ended: somebody has cut the tail short; lost: %" PRIu64 " records", lost);
	else if (flusher->ended == MT_END_SIZE_LIMIT)
		snprintf(room, size, "recording ended: the trace has reached its bound of %" PRIu64 " bytes",
			 flusher->size_max);
	else if (flusher->ended == MT_END_DISK_FULL)
		snprintf(room, size, "recording ended: less than %d %% of the file system is free "
			 "(max_size sets another bound)", 100 / FLUSHER_FREE_PART);
	else if (status != MT_OK)
		snprintf(room, size, "%s; lost: %" PRIu64 " records%s", what, lost,
			 session->crash_safe ? ", others are in the tail beside it" : "");
	else if (lost)
		snprintf(room, size, "%s; lost: %" PRIu64 " records", what, lost);
	return room;
}

static void close_trace(struct session *session)
{
	struct stat status;

	/* Whatever the program has put under the number stays. */
	if (session->flusher.fd >= 0 && fstat(session->flusher.fd, &status) == 0 &&
	    status.st_dev == session->flusher.device && status.st_ino == session->flusher.inode)
		close(session->flusher.fd);
}

void session_free(struct session *session)
{
	if (!session)
		return;
	const int saved = errno;
	flusher_halt(&session->flusher, false);
	rss_stop(&session->rss);
	close_trace(session);
	id_table_release(&session->cfuncs);
	id_table_release(&session->threads);
	unmap(session, false);
	errno = saved;
}

void session_abandon(struct session *session)
{
	const int saved = errno;

	/*
	 * A thread that was not halted before the fork does not exist here, but the C library has its
	 * descriptor, which is on its stack, in lists: that memory stays.
	 */
	const bool keep_stack = session->flusher.running;
	rss_stop(&session->rss);
	close_trace(session);
	id_table_release(&session->cfuncs);
	id_table_release(&session->threads);
	unmap(session, keep_stack);
	errno = saved;
}

void session_park(struct session *session)
{
	const int saved = errno;
	const uint64_t soon = session->ring.head + PARKED_RECORDS;

	flusher_halt(&session->flusher, false);
	session->parked = true;
	if (session->ring.limit > soon)
		session->ring.limit = soon;
	errno = saved;
}
