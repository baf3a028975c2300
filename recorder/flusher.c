/* unshare(), close_range() and their constants are Linux's own. */
#define _GNU_SOURCE
#include "recorder/flusher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "format/names.h"
#include "recorder/guard.h"

#define NS_PER_S 1000000000U
/* Everything is written out this often, so that a live trace can be followed. */
#define FLUSH_EVERY_NS NS_PER_S
#define CHECKPOINT_EVERY_NS NS_PER_S
#define RETRY_AFTER_NS NS_PER_S
/* The thread never sleeps less, whatever is due. */
#define NAP_NS 10000000U
/* Between two calls of on_beat(), and when it wants to be called more often. */
#define BEAT_NS 100000000U
#define QUICK_BEAT_NS 20000000U

/* Linux 5.9; glibc has it since 2.34. */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define OUR_CLOSE_RANGE_UNSHARE 2U

#define WARM_RECORDS 8192
/* Of stack, for zstd and us. ThreadSanitizer keeps a megabyte of its own there. */
#ifdef __SANITIZE_THREAD__
#define FRAMES_SIZE (2048 * 1024)
#else
#define FRAMES_SIZE (96 * 1024)
#endif

enum stop { STOP_NO, STOP_NOW, STOP_DRAIN, STOP_FINISH };

/*
 * Futexes
 */

static void futex_wait(_Atomic uint32_t *word, uint32_t seen, uint64_t timeout_ns)
{
	const struct timespec timeout = {
		.tv_sec = (time_t)(timeout_ns / NS_PER_S),
		.tv_nsec = (long)(timeout_ns % NS_PER_S),
	};

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, timeout_ns == UINT64_MAX ? NULL : &timeout, NULL, 0);
}

static void futex_bump(_Atomic uint32_t *word)
{
	const int saved = errno;

	atomic_fetch_add_explicit(word, 1, memory_order_release);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
	errno = saved;
}

void flusher_wake(struct flusher *flusher)
{
	futex_bump(&flusher->wake);
}

void flusher_want(struct flusher *flusher)
{
	atomic_fetch_add_explicit(&flusher->flush_wanted, 1, memory_order_release);
	futex_bump(&flusher->wake);
}

bool flusher_wait_freed(struct flusher *flusher, uint32_t seen, uint64_t timeout_ns)
{
	const int saved = errno;
	const uint64_t start = clock_now_ns(CLOCK_MONOTONIC);
	uint64_t passed = 0;

	/* A signal to the program ends a wait early. */
	while (atomic_load_explicit(&flusher->freed, memory_order_acquire) == seen && passed < timeout_ns) {
		futex_wait(&flusher->freed, seen, timeout_ns - passed);
		passed = clock_now_ns(CLOCK_MONOTONIC) - start;
	}
	errno = saved;
	return atomic_load_explicit(&flusher->freed, memory_order_acquire) != seen;
}

/*
 * Descriptors
 */

static bool fd_is_trace(const struct flusher *flusher, int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_dev == flusher->device &&
	       status.st_ino == flusher->inode;
}

/* Make flusher->fd the trace in the caller's table, if it no longer is. */
static bool find_trace(struct flusher *flusher)
{
	if (fd_is_trace(flusher, flusher->fd))
		return true;
	/* The number belongs to the program now, or to nobody; there is nothing to close. */
	const int fd = flusher->path ? open(flusher->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY) : -1;
	if (fd < 0)
		return false;
	if (!fd_is_trace(flusher, fd)) {
		close(fd);
		errno = ESTALE;
		return false;
	}
	flusher->fd = fd;
	flusher->sink->fd = fd;
	return true;
}

static void close_all_but(int keep)
{
	struct rlimit limit = { .rlim_cur = 65536 };

	if ((keep == 0 || syscall(SYS_close_range, 0U, (unsigned)keep - 1, 0U) == 0) &&
	    syscall(SYS_close_range, (unsigned)keep + 1, ~0U, 0U) == 0)
		return;
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur > 65536)
		limit.rlim_cur = 65536;
	for (int fd = 0; fd < (int)limit.rlim_cur; fd++)
		if (fd != keep)
			close(fd);
}

/*
 * A table of its own for this thread. Two ways, because sandboxes forbid one or the other: containers
 * often refuse unshare(), kernels before 5.9 have no close_range().
 */
static bool take_own_descriptors(int keep)
{
	if (syscall(SYS_close_range, (unsigned)keep + 1, ~0U, OUR_CLOSE_RANGE_UNSHARE) != 0 &&
	    syscall(SYS_unshare, CLONE_FILES) != 0)
		return false;
	close_all_but(keep);
	return true;
}

/*
 * Writing
 */

static void set_state(struct flusher *flusher, enum mt_status status, int error)
{
	enum flusher_state state = FLUSHER_OK;

	if (flusher->ended)
		state = FLUSHER_ENDED;
	else if (status == MT_ERR_NO_SPACE)
		state = FLUSHER_DISK_FULL;
	else if (status != MT_OK)
		state = FLUSHER_FAILED;
	if (status != MT_OK)
		atomic_store_explicit(&flusher->error, error, memory_order_relaxed);
	if (atomic_exchange_explicit(&flusher->state, state, memory_order_acq_rel) != (uint32_t)state)
		futex_bump(&flusher->freed);
}

static bool is_gone(const struct flusher *flusher)
{
	return flusher->gone && atomic_load_explicit(flusher->gone, memory_order_acquire);
}

bool flusher_too_full(int fd)
{
	struct statvfs status;

	/* Some file systems do not know their size. */
	return fstatvfs(fd, &status) == 0 && status.f_blocks &&
	       status.f_bavail < status.f_blocks / FLUSHER_FREE_PART;
}

static enum mt_status end_for(struct flusher *flusher, enum mt_end_reason reason, int error)
{
	flusher->ended = reason;
	errno = error;
	return MT_ERR_LIMIT;
}

/*
 * The program could have put another file under our number; somebody could have cut the trace short: what is
 * written at its old end would leave a hole in front.
 */
static enum mt_status check_file(struct flusher *flusher)
{
	struct stat status;

	if (!flusher->private_descriptors && !find_trace(flusher))
		return MT_ERR_IO;
	if (fstat(flusher->fd, &status) != 0 || (uint64_t)status.st_size >= flusher->sink->sink.size)
		return MT_OK;
	flusher->cut = true;
	return end_for(flusher, MT_END_DISK_ERROR, ESTALE);
}

static enum mt_status check_before_write(struct flusher *flusher)
{
	MT_TRY(check_file(flusher));
	if (is_gone(flusher))
		return end_for(flusher, MT_END_DISK_ERROR, ESTALE);
	if (flusher->keep_free && flusher_too_full(flusher->fd))
		return end_for(flusher, MT_END_DISK_FULL, ENOSPC);
	return MT_OK;
}

/* What a write gave: beyond the bound, or while the tail went away, there will be no other. */
static enum mt_status judge(struct flusher *flusher, enum mt_status status)
{
	if (status == MT_ERR_LIMIT)
		return end_for(flusher, MT_END_SIZE_LIMIT, EFBIG);
	if (status == MT_ERR_IO && is_gone(flusher))
		return end_for(flusher, MT_END_DISK_ERROR, ESTALE);
	return status;
}

/* Bytes of whole items at the start of `items`. */
static size_t whole_items(const uint8_t *items, size_t size)
{
	size_t at = 0;

	while (size - at >= MT_ITEM_HEADER) {
		const size_t item = mt_item_size(mt_load_u32(items + at + 4));
		if (item > size - at)
			break;
		at += item;
	}
	return at;
}

static enum mt_status write_definitions(struct flusher *flusher, uint64_t committed)
{
	struct mt_tail_page *page = flusher->page;
	uint64_t flushed = atomic_load_explicit(&page->defs_flushed, memory_order_relaxed);

	while (flushed < committed) {
		size_t size = flusher->room_size;
		if (size > committed - flushed)
			size = (size_t)(committed - flushed);
		mt_tail_arena_read(page, flushed, flusher->room, size);
		size = whole_items(flusher->room, size);
		if (size == 0)
			return MT_ERR_CORRUPT;  /* cannot be: the room holds the largest item */
		MT_TRY(check_before_write(flusher));
		MT_TRY(judge(flusher, mt_writer_defs(flusher->writer, flusher->room, size)));
		flushed += size;
		/* Pairs with the acquire in session.c, and in a reader of the tail. */
		atomic_store_explicit(&page->defs_flushed, flushed, memory_order_release);
		futex_bump(&flusher->freed);
	}
	return MT_OK;
}

static enum mt_status write_records(struct flusher *flusher, uint64_t committed, bool all)
{
	struct mt_tail_page *page = flusher->page;
	const struct mt_record *ring = mt_tail_ring(page);
	uint64_t flushed = atomic_load_explicit(&page->flushed, memory_order_relaxed);

	while (committed - flushed >= (all ? 1 : MT_BLOCK_RECORDS)) {
		size_t count = MT_BLOCK_RECORDS;
		if (count > committed - flushed)
			count = (size_t)(committed - flushed);
		const size_t slot = flushed & (page->capacity - 1);
		const size_t first = count < page->capacity - slot ? count : page->capacity - slot;
		MT_TRY(check_before_write(flusher));
		MT_TRY(judge(flusher, mt_writer_events(flusher->writer, ring + slot, first, ring, count)));
		flushed += count;
		atomic_store_explicit(&page->flushed, flushed, memory_order_release);
		futex_bump(&flusher->freed);
	}
	return MT_OK;
}

/*
 * What holds for all writes but the last. Set before the thread begins; then it only looks, as whoever started it may
 * be writing the header meanwhile.
 */
static void prepare_sink(struct flusher *flusher)
{
	const uint64_t size_max = flusher->size_max ? flusher->size_max - FLUSHER_END_ROOM : 0;

	if (flusher->sink->cancelled != flusher->gone)
		flusher->sink->cancelled = flusher->gone;
	if (flusher->sink->size_max != size_max)
		flusher->sink->size_max = size_max;
}

enum mt_status flusher_step(struct flusher *flusher, bool all)
{
	/*
	 * Records before definitions: what a record up to `committed` names was committed before it. Both
	 * pair with the releases of the traced thread.
	 */
	const uint64_t committed = atomic_load_explicit(&flusher->page->committed, memory_order_acquire);
	const uint64_t defs = atomic_load_explicit(&flusher->page->defs_committed, memory_order_acquire);

	if (flusher->ended)
		return MT_ERR_LIMIT;
	if (is_gone(flusher))
		return end_for(flusher, MT_END_DISK_ERROR, ESTALE);
	prepare_sink(flusher);
	MT_TRY(write_definitions(flusher, defs));
	return write_records(flusher, committed, all);
}

static uint64_t losses(const struct mt_tail_page *page, uint64_t lost[MT_LOST_COUNT])
{
	uint64_t total = 0;

	for (int i = 0; i < MT_LOST_COUNT; i++) {
		lost[i] = atomic_load_explicit(&page->lost[i], memory_order_relaxed);
		total += lost[i];
	}
	return total;
}

/*
 * All clocks at one instant, or as near to that as four tries get: a reader takes the drift of the raw one from
 * them, and this thread may be taken off its CPU in between.
 */
static void read_clocks(const struct flusher *flusher, struct mt_checkpoint *checkpoint)
{
	uint64_t narrowest = UINT64_MAX;

	for (int i = 0; i < 4; i++) {
		const uint64_t before = clock_raw(flusher->clock);
		const uint64_t wall_ns = clock_now_ns(CLOCK_REALTIME);
		const uint64_t monotonic_ns = clock_now_ns(CLOCK_MONOTONIC);
		const uint64_t after = clock_raw(flusher->clock);
		const uint64_t span = after > before ? after - before : 0;
		if (span >= narrowest)
			continue;
		narrowest = span;
		checkpoint->wall_ns = wall_ns;
		checkpoint->monotonic_ns = monotonic_ns;
		checkpoint->raw_clock = before + narrowest / 2;
	}
}

static enum mt_status write_checkpoint(struct flusher *flusher)
{
	struct mt_checkpoint checkpoint = {
		.events = flusher->writer->chain.events,
		.records = atomic_load_explicit(&flusher->page->flushed, memory_order_relaxed),
	};

	read_clocks(flusher, &checkpoint);
	checkpoint.clock_ticks = clock_ticks(flusher->clock, checkpoint.raw_clock);
	checkpoint.lost_total = losses(flusher->page, checkpoint.lost);
	if (flusher->rss) {
		checkpoint.rss_pages = rss_pages(flusher->rss);
		checkpoint.rss_peak_pages =
			atomic_load_explicit(&flusher->rss->peak_pages, memory_order_relaxed);
	}
	MT_TRY(check_before_write(flusher));
	MT_TRY(judge(flusher, mt_writer_checkpoint(flusher->writer, &checkpoint)));
	flusher->checkpoint_sequence = flusher->writer->sequence;
	return MT_OK;
}

/* Give up what is still in the ring: it is lost to the disk. */
static void drop_rest(struct flusher *flusher)
{
	struct mt_tail_page *page = flusher->page;
	const struct mt_record *ring = mt_tail_ring(page);
	const uint64_t committed = atomic_load_explicit(&page->committed, memory_order_acquire);
	uint64_t flushed = atomic_load_explicit(&page->flushed, memory_order_relaxed);

	flusher->dropped += committed - flushed;
	atomic_fetch_add_explicit(&page->lost[MT_LOST_DISK - 1], committed - flushed, memory_order_relaxed);
	while (flushed < committed) {
		const size_t slot = flushed & (page->capacity - 1);
		size_t count = page->capacity - slot;
		if (count > committed - flushed)
			count = (size_t)(committed - flushed);
		mt_writer_drop(flusher->writer, ring + slot, count, NULL, count);
		flushed += count;
	}
	atomic_store_explicit(&page->flushed, committed, memory_order_release);
}

/* The ring is no more: all of it that the trace lacks is lost. */
static void count_gone(struct flusher *flusher, struct mt_end *mark)
{
	const struct mt_chain *const chain = &flusher->writer->chain;

	flusher->dropped = mark->records - (chain->records - chain->lost);
	mark->lost[MT_LOST_DISK - 1] += flusher->dropped;
	mark->lost_total = 0;
	for (int i = 0; i < MT_LOST_COUNT; i++)
		mark->lost_total += mark->lost[i];
}

static void count_all(struct flusher *flusher, struct mt_end *mark)
{
	mark->events = flusher->writer->chain.events;
	mark->lost_total = losses(flusher->page, mark->lost);
	mark->records = atomic_load_explicit(&flusher->page->flushed, memory_order_relaxed);
}

static enum mt_status write_end(struct flusher *flusher)
{
	struct mt_end mark = *flusher->end;
	enum mt_status status = flusher_step(flusher, true);

	if (status == MT_OK) {
		flusher->sink->size_max = flusher->size_max;
		status = write_checkpoint(flusher);
	}
	if (status != MT_OK && flusher->has_tail && !flusher->ended)
		return status;
	if (flusher->ended)
		mark.reason = flusher->ended;
	else if (status != MT_OK)
		mark.reason = status == MT_ERR_NO_SPACE ? MT_END_DISK_FULL : MT_END_DISK_ERROR;
	if (is_gone(flusher)) {
		count_gone(flusher, &mark);
	} else {
		drop_rest(flusher);
		count_all(flusher, &mark);
	}
	mark.wall_ns = clock_now_ns(CLOCK_REALTIME);
	MT_TRY(check_file(flusher));
	flusher->sink->size_max = flusher->size_max;
	flusher->sink->cancelled = NULL;
	return mt_writer_end(flusher->writer, &mark);
}

/*
 * Thread
 */

/* One turn of the thread; returns how long it may sleep. */
static uint64_t take_turn(struct flusher *flusher)
{
	const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
	const uint32_t wanted = atomic_load_explicit(&flusher->flush_wanted, memory_order_acquire);
	const bool all = wanted != flusher->flush_done || now - flusher->flushed_at_ns >= FLUSH_EVERY_NS;

	guard_this_thread();
	if (flusher_trouble(flusher) && (now < flusher->retry_at_ns || flusher->sink->torn || flusher->ended))
		return RETRY_AFTER_NS;
	enum mt_status status = flusher_step(flusher, all);
	/* Only if something was written since the last one: an idle program's trace does not grow. */
	if (status == MT_OK && flusher->writer->sequence != flusher->checkpoint_sequence &&
	    now - flusher->checkpoint_at_ns >= CHECKPOINT_EVERY_NS) {
		status = write_checkpoint(flusher);
		flusher->checkpoint_at_ns = now;
	}
	const int error = errno;
	if (status == MT_OK && all) {
		flusher->flush_done = wanted;
		flusher->flushed_at_ns = now;
	}
	if (status != MT_OK)
		flusher->retry_at_ns = now + RETRY_AFTER_NS;
	set_state(flusher, status, error);
	const uint64_t passed = now - flusher->flushed_at_ns;
	return passed + NAP_NS < FLUSH_EVERY_NS ? FLUSH_EVERY_NS - passed : NAP_NS;
}

static enum mt_status last_turn(struct flusher *flusher, enum stop stop)
{
	enum mt_status status = MT_OK;

	errno = 0;
	if (stop == STOP_DRAIN)
		status = flusher_step(flusher, true);
	else if (stop == STOP_FINISH)
		status = write_end(flusher);
	if (stop != STOP_NOW)
		set_state(flusher, status, errno);
	return status;
}

/*
 * Everything that sealing touches (libzstd's code, its tables, this stack) is touched before the first event,
 * so that it is part of the footprint. The ring has nothing in it yet; the records are made up so that
 * zstd goes its usual ways.
 */
static void warm_up(struct flusher *flusher)
{
	struct mt_record *ring = mt_tail_ring(flusher->page);
	struct mt_sealer *sealer = flusher->writer->sealer;
	struct mt_chain chain = { 0 };
	struct mt_sealed sealed;
	uint64_t random = 1, clock = 0;
	const size_t count = flusher->page->capacity < WARM_RECORDS ? flusher->page->capacity : WARM_RECORDS;
	const size_t items = flusher->room_size < 32768 ? flusher->room_size : 32768;
	size_t size;

	for (size_t i = 0; i < count; i++) {
		random = random * 6364136223846793005U + 1442695040888963407U;
		clock += random >> 58;
		ring[i] = (struct mt_record){
			.w0 = clock << 8 | (random >> 32 & 1 ? MT_KIND_CALL : MT_KIND_RETURN) << 5,
			.w1 = random >> 40 & 255,
			.w2 = (random >> 48 & 15) << 32 | (i & ~(size_t)63),
		};
	}
	/* What comes out does not matter, and a failure here would be met again at the first block. */
	(void)mt_sealer_seal(sealer, &chain, ring, count, NULL, count, &sealed);
	memcpy(flusher->room, ring, items < count * sizeof(*ring) ? items : count * sizeof(*ring));
	(void)mt_sealer_frame(sealer, flusher->room, items, flusher->writer->room,
			      flusher->writer->room_size, &size);
	memset(ring, 0, count * sizeof(*ring));
	flusher->warm = true;
}

/* Calls on_beat() if that is due; how long until it is again. */
static uint64_t beat(struct flusher *flusher, uint64_t now)
{
	if (!flusher->on_beat)
		return UINT64_MAX;
	if (now < flusher->beat_at_ns)
		return flusher->beat_at_ns - now;
	const uint64_t committed = atomic_load_explicit(&flusher->page->committed, memory_order_acquire);
	const bool quick = flusher->on_beat(committed != flusher->beat_records);
	const uint64_t interval = quick ? QUICK_BEAT_NS : BEAT_NS;

	flusher->beat_records = committed;
	flusher->beat_at_ns = now + interval;
	return interval;
}

/* Until somebody wakes the thread, `timeout_ns` at most. */
static void rest(struct flusher *flusher, uint32_t seen, uint64_t timeout_ns)
{
	uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
	const uint64_t end = now + timeout_ns;

	while (now < end && atomic_load_explicit(&flusher->wake, memory_order_acquire) == seen) {
		const uint64_t until_beat = beat(flusher, now);
		futex_wait(&flusher->wake, seen, until_beat < end - now ? until_beat : end - now);
		now = clock_now_ns(CLOCK_MONOTONIC);
	}
}

static void *flusher_main(void *argument)
{
	struct flusher *flusher = argument;
	enum stop stop;

	prctl(PR_SET_NAME, "mtrace-flusher");
	guard_this_thread();
	flusher->tid = (pid_t)syscall(SYS_gettid);
	/* Looked at again: another thread of the program may have closed it before the table was ours. */
	flusher->private_descriptors = take_own_descriptors(flusher->fd) &&
				       fd_is_trace(flusher, flusher->fd);
	if (!flusher->warm && atomic_load_explicit(&flusher->page->committed, memory_order_relaxed) == 0)
		warm_up(flusher);
	futex_bump(&flusher->ready);
	for (;;) {
		const uint32_t seen = atomic_load_explicit(&flusher->wake, memory_order_acquire);
		stop = (enum stop)atomic_load_explicit(&flusher->stop, memory_order_acquire);
		if (stop != STOP_NO)
			break;
		rest(flusher, seen, take_turn(flusher));
	}
	flusher->finish_status = last_turn(flusher, stop);
	return NULL;
}

size_t flusher_stack_size(void)
{
	/* With the static TLS of everything that was loaded at the program's start. */
	const long least = sysconf(_SC_THREAD_STACK_MIN);

	return FRAMES_SIZE + (least > PTHREAD_STACK_MIN ? (size_t)least : PTHREAD_STACK_MIN);
}

int flusher_run(struct flusher *flusher)
{
	pthread_attr_t attributes;
	sigset_t all, saved;

	if (!find_trace(flusher)) {
		const int error = errno ? errno : EBADF;
		set_state(flusher, MT_ERR_IO, error);
		return error;
	}
	const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
	flusher->flushed_at_ns = now;
	flusher->checkpoint_at_ns = now;
	flusher->retry_at_ns = 0;
	flusher->beat_at_ns = now + BEAT_NS;
	prepare_sink(flusher);
	atomic_store_explicit(&flusher->stop, STOP_NO, memory_order_relaxed);
	const uint32_t not_ready = atomic_load_explicit(&flusher->ready, memory_order_relaxed);

	int error = pthread_attr_init(&attributes);
	if (error)
		return error;
	error = pthread_attr_setstack(&attributes, flusher->stack, flusher->stack_size);
	if (!error) {
		/* Inherited: a signal meant for the program must never find its way into our thread. */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &saved);
		error = pthread_create(&flusher->thread, &attributes, flusher_main, flusher);
		pthread_sigmask(SIG_SETMASK, &saved, NULL);
	}
	pthread_attr_destroy(&attributes);
	if (error)
		return error;
	flusher->running = true;
	while (atomic_load_explicit(&flusher->ready, memory_order_acquire) == not_ready)
		futex_wait(&flusher->ready, not_ready, UINT64_MAX);
	return 0;
}

/*
 * pthread_join() returns a moment before the kernel has taken the thread off the process's list, and Python 3.12
 * and later warn about a fork by the length of that list. Bounded, in case the number is in use again.
 */
static void wait_until_gone(pid_t tid)
{
	const struct timespec nap = { .tv_nsec = 20000 };
	const pid_t pid = getpid();

	for (int tries = 0; tries < 500 && syscall(SYS_tgkill, pid, tid, 0) == 0; tries++)
		nanosleep(&nap, NULL);
}

static void end_thread(struct flusher *flusher, enum stop stop)
{
	atomic_store_explicit(&flusher->stop, stop, memory_order_release);
	flusher_wake(flusher);
	pthread_join(flusher->thread, NULL);
	wait_until_gone(flusher->tid);
	flusher->running = false;
	flusher->private_descriptors = false;
}

void flusher_halt(struct flusher *flusher, bool drain)
{
	if (flusher->running)
		end_thread(flusher, drain ? STOP_DRAIN : STOP_NOW);
}

enum mt_status flusher_finish(struct flusher *flusher, const struct mt_end *end)
{
	flusher->end = end;
	if (flusher->running || flusher_run(flusher) == 0)
		end_thread(flusher, STOP_FINISH);
	else
		flusher->finish_status = last_turn(flusher, STOP_FINISH);
	flusher->end = NULL;
	return flusher->finish_status;
}
