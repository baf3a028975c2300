#define _GNU_SOURCE
#include "recorder/session.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "format/reader.h"
#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

#ifdef __SANITIZE_THREAD__
/* A fork's child that starts a thread, as the child of a recorded program does, is else the end of it. */
const char *__tsan_default_options(void);
__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}
#endif

#define CALL (MT_KIND_CALL << 5)
#define RETURN (MT_KIND_RETURN << 5)
#define LONG_NS 20000000000U

static struct session_spec spec_for(const char *name)
{
	return (struct session_spec){
		.path = scratch_path(name),
		.default_min_drss_bytes = 4096,
		.tick_ns = 10,
		.rss_source = "gap",
		.hook = MT_HOOK_MONITORING,
		.python_hexversion = 0x030c01f0,
		.build_bits = MT_BUILD_DEBUG,
	};
}

static struct session *start(const char *name)
{
	struct session_spec spec = spec_for(name);
	struct session *session = session_start(&spec);

	if (!session && errno == ENOTSUP) {
		spec.rss_source = "exact";      /* an emulator's clock */
		session = session_start(&spec);
	}
	ck_assert_msg(session != NULL, "session_start: %s", strerror(errno));
	return session;
}

/* The events of these tests carry their own number, so that a missing one shows. */
static void put_event(struct session *session)
{
	const uint64_t number = session_events(session);

	session_event(session, number & 1 ? RETURN : CALL, 0, 0, 0, (uint32_t)number);
}

static void put_events(struct session *session, size_t count)
{
	while (count--)
		put_event(session);
}

/* Without a loss, on however busy a machine: no program makes events as fast as this loop. */
static void put_events_slowly(struct session *session, size_t count)
{
	for (; count > 0; count -= count < 50000 ? count : 50000) {
		put_events(session, count < 50000 ? count : 50000);
		ck_assert(session_flush(session, LONG_NS));
	}
}

static enum mt_status finish(struct session *session)
{
	session_quiesce(session);
	const enum mt_status status = session_finish(session, MT_END_STOP);
	session_free(session);
	return status;
}

/*
 * Reading back, the tail included.
 */

struct found {
	uint64_t events;                /* numbered, lost ones included: what the next would be */
	uint64_t records, kept;         /* all in trace and tail; the numbered among them */
	uint64_t lost[MT_LOST_COUNT + 1];       /* as LOST records tell, by reason */
	uint64_t lost_numbered;
	uint64_t untold;
	uint64_t wrong;                 /* events whose own number is not their number */
	uint64_t backwards;             /* clocks that step back */
	uint64_t metas[16];
	uint64_t last_ticks;
	uint32_t rss_first, rss_last;
	uint64_t damages, joined;
	struct mt_end end;
	bool closed;
};

static void take_record(struct found *found, struct mt_event event)
{
	if (event.clock_ticks < found->last_ticks)
		found->backwards++;
	found->last_ticks = event.clock_ticks;
	if (!found->records++)
		found->rss_first = event.rss_pages;
	found->rss_last = event.rss_pages;
	if (mt_event_is_default(&event)) {
		found->wrong += event.lasti != (uint32_t)found->events;
		found->events++;
		found->kept++;
	} else if (event.kind == MT_KIND_META) {
		found->metas[event.code & 15]++;
		if (event.code == MT_META_LOST) {
			found->lost[event.callee] += event.lasti;
			if (!(event.flags & MT_FLAG_EXTRA)) {
				found->events += event.lasti;
				found->lost_numbered += event.lasti;
			}
		}
	}
}

static void count_damage(void *context, const struct mt_damage *damage)
{
	(void)damage;
	((struct found *)context)->damages++;
}

static void join_tail(struct found *found, const struct mt_header *header, const struct mt_chain *chain,
		      const char *path)
{
	char tail_path[300];
	struct mt_source *source;
	struct mt_tail_image image;
	struct mt_tail_join join;

	snprintf(tail_path, sizeof(tail_path), "%s.tail", path);
	if (mt_source_file(&source, tail_path) != MT_OK)
		return;
	ck_assert_int_eq(mt_tail_image_read(source, &image), MT_OK);
	ck_assert_int_eq(mt_tail_join(header, chain, &image, &join), MT_OK);
	ck_assert_uint_eq(join.overwritten, 0);
	for (size_t i = 0; i < join.count; i++)
		take_record(found, mt_record_unpack(join.records[i]));
	found->joined = join.count;
	found->untold = join.lost_untold;
	mt_tail_image_release(&image);
	mt_source_close(source);
}

/* `names` may be NULL. */
static struct found read_back(const char *path, struct mt_names *names)
{
	struct found found = { 0 };
	const struct mt_reader_options options = { .damage = count_damage, .context = &found };
	struct mt_source *source;
	struct mt_reader *reader;
	struct mt_chunk chunk;
	struct mt_chain chain = { 0 };
	struct mt_block block;
	const uint8_t *payload;

	mt_block_init(&block);
	ck_assert_int_eq(mt_source_file(&source, path), MT_OK);
	ck_assert_int_eq(mt_reader_new(&reader, source, &options), MT_OK);
	while (mt_reader_next(reader, &chunk) == MT_OK) {
		if (chunk.header.kind == MT_CHUNK_DEFS && names)
			ck_assert_int_eq(mt_reader_defs(reader, &chunk, names), MT_OK);
		if (chunk.header.kind != MT_CHUNK_EVENTS)
			continue;
		ck_assert_int_eq(mt_reader_payload(reader, &chunk, &payload), MT_OK);
		ck_assert_int_eq(mt_block_open(&block, &chunk.dir, payload, MT_BLOCK_ALL), MT_OK);
		ck_assert_uint_eq(block.zone.first_event, found.events);
		for (size_t i = 0; i < block.zone.n_events; i++)
			take_record(&found, mt_block_event(&block, i));
		mt_chain_after(&chain, &block);
	}
	found.closed = mt_reader_end(reader, &found.end);
	if (!found.closed)
		join_tail(&found, mt_reader_header(reader), &chain, path);
	mt_block_release(&block);
	mt_reader_free(reader);
	mt_source_close(source);
	return found;
}

static uint64_t all_lost(const struct found *found)
{
	uint64_t sum = 0;

	for (int i = 0; i <= MT_LOST_COUNT; i++)
		sum += found->lost[i];
	return sum;
}

static bool exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

/*
 * A disk of our own: appends can be slow, or fail.
 */
static enum mt_status (*real_append)(struct mt_sink *, struct iovec *, int);
static _Atomic unsigned disk_delay_us;
static _Atomic bool disk_full;

static enum mt_status slow_append(struct mt_sink *sink, struct iovec *parts, int count)
{
	if (disk_delay_us)
		usleep(disk_delay_us);
	if (disk_full) {
		errno = ENOSPC;
		return MT_ERR_NO_SPACE;
	}
	return real_append(sink, parts, count);
}

/* Before the first event: the flusher has nothing to do and looks at nothing. */
static void take_disk(struct session *session)
{
	real_append = session->sink.sink.append;
	session->sink.sink.append = slow_append;
	disk_delay_us = 0;
	disk_full = false;
}

/*
 * Start and end
 */

static struct mt_header header_of(const char *path, uint8_t *room, size_t size)
{
	const int fd = open(path, O_RDONLY);
	struct mt_header header;
	size_t used;
	const ssize_t got = read(fd, room, size);

	close(fd);
	ck_assert_int_gt(got, 0);
	ck_assert_int_eq(mt_header_decode(room, (size_t)got, &header, &used), MT_OK);
	return header;
}

START_TEST(a_recording_is_read_back_whole)
{
	static const uint8_t lines[] = { 0, 1, 1, 3 };
	struct session *session = start("trace");
	struct mt_names *names = mt_names_new(1 << 24);

	const uint32_t file = session_define_string(session, "/a/b.py", 7, false);
	const uint32_t name = session_define_string(session, "f", 1, false);
	const uint32_t code = session_define_code(session, file, name, 0, 10, 3, 8, lines, sizeof(lines), false);
	const uint32_t cfunc = session_define_cfunc(session, file, name, true);
	const uint32_t thread = session_define_thread(session, 77, 88, 0);
	ck_assert_uint_eq(file, 1);
	ck_assert_uint_eq(name, 2);
	ck_assert_uint_eq(code, 1);
	ck_assert_uint_eq(cfunc, 1);
	ck_assert_uint_eq(thread, 0);
	put_events_slowly(session, 200000);
	session_meta(session, MT_META_MESSAGE, 0, name, 0);
	put_events(session, 5);
	const uint64_t made = session_events(session);
	ck_assert_uint_eq(made, 200005);
	ck_assert(exists(session->tail_path) || !session->crash_safe);
	ck_assert_int_eq(finish(session), MT_OK);

	const struct found found = read_back(scratch_path("trace"), names);
	ck_assert_uint_eq(found.damages, 0);
	ck_assert_uint_eq(found.wrong, 0);
	ck_assert_uint_eq(found.backwards, 0);
	ck_assert_uint_eq(found.events, made);
	ck_assert_uint_eq(found.records, made + 1);
	ck_assert_uint_eq(found.metas[MT_META_MESSAGE], 1);
	ck_assert(found.closed);
	ck_assert_uint_eq(found.end.events, made);
	ck_assert_uint_eq(found.end.records, made + 1);
	ck_assert_uint_eq(found.end.lost_total, 0);
	ck_assert_uint_eq(found.end.reason, MT_END_STOP);
	ck_assert(!exists(scratch_path("trace.tail")));

	ck_assert_uint_eq(mt_names_string(names, file)->size, 7);
	ck_assert_int_eq(mt_code_line(mt_names_code(names, code), 4), 11);
	ck_assert_uint_eq(mt_names_code(names, code)->co_flags, 3);
	ck_assert(mt_names_cfunc(names, cfunc)->is_type);
	ck_assert_uint_eq(mt_names_thread(names, thread)->native_id, 77);
	mt_names_free(names);
}
END_TEST

START_TEST(the_header_says_who_and_how)
{
	static uint8_t room[MT_HEADER_READ_MAX];
	struct mt_tlv_view view;
	struct session *session = start("trace");
	const struct rss rss = session->rss;
	const uint64_t footprint = rss_footprint_pages;
	const bool crash_safe = session->crash_safe;

	put_events(session, 1);
	ck_assert_int_eq(finish(session), MT_OK);
	const struct mt_header header = header_of(scratch_path("trace"), room, sizeof(room));
	ck_assert_uint_eq(header.pid, (uint32_t)getpid());
	ck_assert_uint_eq(header.ppid, (uint32_t)getppid());
	ck_assert_uint_eq(header.page_size, (uint32_t)sysconf(_SC_PAGESIZE));
	ck_assert_uint_eq(header.tick_num, 10);
	ck_assert_uint_eq(header.tick_den, 1);
	ck_assert_uint_eq(header.default_min_drss_bytes, 4096);
	ck_assert_uint_eq(header.hook, MT_HOOK_MONITORING);
	ck_assert_uint_eq(header.python_hexversion, 0x030c01f0);
	ck_assert_uint_eq(header.build_bits, MT_BUILD_DEBUG);
	ck_assert_uint_eq(header.block_records, MT_BLOCK_RECORDS);
	ck_assert(header.clock_id == MT_CLOCK_MONOTONIC || header.clock_id == MT_CLOCK_TSC);
	ck_assert_uint_eq(header.flags_compat & MT_COMPAT_TAIL, crash_safe ? MT_COMPAT_TAIL : 0);
	ck_assert_uint_eq(mt_header_tlv_u64(&header, MT_TLV_FOOTPRINT, 0), footprint * header.page_size);
	ck_assert(mt_header_tlv(&header, MT_TLV_RSS_PARAMETERS, &view));
	ck_assert_uint_eq(view.size, 24);
	ck_assert_uint_eq(mt_load_u64(view.data), rss.gap_ns);
	ck_assert_uint_eq(mt_load_u64(view.data + 8), rss.max_age_ns);
	ck_assert_uint_eq(mt_load_u32(view.data + 16), rss.granularity_pages);
	ck_assert(mt_header_tlv(&header, MT_TLV_CRASH_SAFETY, &view));
	ck_assert_uint_eq(view.data[0], crash_safe);
	ck_assert(mt_header_tlv(&header, MT_TLV_WRITER, &view));
	ck_assert(mt_header_tlv(&header, MT_TLV_CWD, &view));
	ck_assert(mt_header_tlv(&header, MT_TLV_KERNEL, &view));
	ck_assert(mt_header_tlv(&header, MT_TLV_CALIBRATION, &view));
}
END_TEST

START_TEST(the_callers_words_are_in_the_header_and_cut_to_fit)
{
	static uint8_t room[MT_HEADER_READ_MAX], tlvs[400000], text[60000];
	struct session_spec spec = spec_for("trace");
	struct mt_out out = mt_out_over(tlvs, sizeof(tlvs));
	struct mt_tlv_view view;

	memset(text, 'x', sizeof(text));
	mt_tlv_put(&out, MT_TLV_ARGV, text, sizeof(text));
	mt_tlv_put(&out, MT_TLV_COVERAGE, text, sizeof(text));
	mt_tlv_put(&out, MT_TLV_MESSAGE, "hello", 5);
	mt_tlv_put(&out, MT_TLV_PARENT, text, 32);
	spec.rss_source = "exact";
	spec.tlvs = tlvs;
	spec.tlvs_size = mt_out_size(&out);
	struct session *session = session_start(&spec);
	ck_assert_ptr_nonnull(session);
	ck_assert_int_eq(finish(session), MT_OK);
	const struct mt_header header = header_of(scratch_path("trace"), room, sizeof(room));
	ck_assert(mt_header_tlv(&header, MT_TLV_MESSAGE, &view));
	ck_assert_uint_eq(view.size, 5);
	ck_assert(mt_header_tlv(&header, MT_TLV_PARENT, &view));
	ck_assert_uint_eq(view.size, 32);
	ck_assert(mt_header_tlv(&header, MT_TLV_ARGV, &view));
	ck_assert_uint_gt(view.size, 50000);
	ck_assert_mem_eq(view.data, text, view.size);
}
END_TEST

static const mode_t umasks[] = { 0, 022, 0777 };

START_TEST(files_are_the_owners_alone_whatever_the_umask)
{
	struct stat status;
	const char *const path = scratch_path("trace");
	const mode_t old = umask(umasks[_i]);
	struct session *session = start("trace");

	umask(old);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_int_eq(status.st_mode & 07777, 0600);
	if (session->crash_safe) {
		ck_assert_int_eq(stat(session->tail_path, &status), 0);
		ck_assert_int_eq(status.st_mode & 07777, 0600);
		ck_assert_int_eq(status.st_size, (off_t)session->page_size);
		/* Allocated, not a hole: a full disk cannot end the program by SIGBUS. */
		ck_assert_int_ge(status.st_blocks * 512, status.st_size);
	}
	ck_assert_int_eq(finish(session), MT_OK);
}
END_TEST

enum planted { PLANTED_FILE, PLANTED_LINK, PLANTED_DANGLING, PLANTED_FIFO, PLANTED_DIRECTORY, PLANTED_COUNT };

static void plant(enum planted what, const char *path)
{
	if (what == PLANTED_FILE)
		close(open(path, O_CREAT | O_WRONLY, 0600));
	else if (what == PLANTED_LINK)
		ck_assert_int_eq(symlink("/etc/passwd", path), 0);
	else if (what == PLANTED_DANGLING)
		ck_assert_int_eq(symlink("victim", path), 0);
	else if (what == PLANTED_FIFO)
		ck_assert_int_eq(mkfifo(path, 0600), 0);
	else
		ck_assert_int_eq(mkdir(path, 0700), 0);
}

START_TEST(nothing_that_is_there_is_touched)
{
	const enum planted what = (enum planted)(_i / 2);
	const bool tail = _i % 2;
	const struct session_spec spec = spec_for("trace");
	struct stat before, after;

	plant(what, scratch_path(tail ? "trace.tail" : "trace"));
	ck_assert_int_eq(lstat(scratch_path(tail ? "trace.tail" : "trace"), &before), 0);
	ck_assert_ptr_null(session_start(&spec));
	ck_assert_int_eq(errno, EEXIST);
	ck_assert_int_eq(lstat(scratch_path(tail ? "trace.tail" : "trace"), &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	ck_assert_int_eq(before.st_size, after.st_size);
	ck_assert(!exists(scratch_path(tail ? "trace" : "trace.tail")));
	ck_assert(!exists(scratch_path("victim")));
	ck_assert_uint_eq(rss_footprint_pages, 0);
	if (what == PLANTED_DIRECTORY)
		rmdir(scratch_path(tail ? "trace.tail" : "trace"));
}
END_TEST

START_TEST(a_start_that_fails_leaves_nothing_behind)
{
	struct session_spec spec = spec_for("trace");
	char long_path[5000];
	struct rlimit limit;

	spec.path = "no such directory/trace";
	ck_assert_ptr_null(session_start(&spec));
	ck_assert_int_eq(errno, ENOENT);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	spec.path = long_path;
	ck_assert_ptr_null(session_start(&spec));
	ck_assert_int_eq(errno, ENAMETOOLONG);
	spec = spec_for("trace");
	spec.rss_source = "no such source";
	ck_assert_ptr_null(session_start(&spec));
	ck_assert_int_eq(errno, ENOTSUP);
	ck_assert(!exists(scratch_path("trace")) && !exists(scratch_path("trace.tail")));

	/* Less and less address space, as far as the test itself can live with. */
	const bool cannot_limit = scratch_emulated() || SCRATCH_SANITIZED;
	if (cannot_limit)
		printf("NOT RUN: starts in little address space: an emulator or a sanitizer needs it too\n");
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
	const rlim_t whole = limit.rlim_cur;
	unsigned failed = 0;
	spec = spec_for("trace");
	spec.rss_source = "exact";
	for (rlim_t room = 12 << 20; room >= 1 << 20 && !cannot_limit; room -= 256 << 10) {
		FILE *const statm = fopen("/proc/self/statm", "r");
		unsigned long pages = 0;
		ck_assert_int_eq(fscanf(statm, "%lu", &pages), 1);
		fclose(statm);
		limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + room;
		if (setrlimit(RLIMIT_AS, &limit) != 0)
			break;
		struct session *session = session_start(&spec);
		const int error = errno;
		limit.rlim_cur = whole;
		setrlimit(RLIMIT_AS, &limit);
		if (session) {
			ck_assert_int_eq(finish(session), MT_OK);
			unlink(spec.path);
		} else {
			failed++;
			ck_assert_msg(error == ENOMEM || error == EAGAIN, "%s", strerror(error));
		}
		ck_assert(!exists(scratch_path("trace")) && !exists(scratch_path("trace.tail")));
	}
	ck_assert(failed || cannot_limit);
}
END_TEST

START_TEST(a_change_of_directory_does_no_harm)
{
	struct session *session = start("trace");

	put_events(session, 100);
	ck_assert_int_eq(session->path[0], '/');
	ck_assert_int_eq(chdir("/"), 0);
	session_park(session);                  /* the trace has to be found again */
	close(session->flusher.fd);
	put_events(session, 10000);
	char path[300];
	snprintf(path, sizeof(path), "%.299s", session->path);
	ck_assert_int_eq(finish(session), MT_OK);
	ck_assert_uint_eq(read_back(path, NULL).events, 10100);
	path[strlen(path) - strlen("trace")] = '\0';
	ck_assert_int_eq(chdir(path), 0);
	ck_assert_int_eq(chdir(".."), 0);
}
END_TEST

START_TEST(where_the_tail_is_refused_recording_goes_on_and_says_so)
{
	static uint8_t room[MT_HEADER_READ_MAX];
	struct rlimit limit;
	struct mt_tlv_view view;
	struct session_spec spec = spec_for("trace");

	spec.rss_source = "exact";
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 1 << 20;
	setrlimit(RLIMIT_FSIZE, &limit);
	struct session *session = session_start(&spec);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_FSIZE, &limit);
	ck_assert_ptr_nonnull(session);
	ck_assert(!session->crash_safe);
	ck_assert(!exists(session->tail_path));
	put_events(session, 1000);
	ck_assert_int_eq(finish(session), MT_OK);
	ck_assert_uint_eq(read_back(spec.path, NULL).events, 1000);
	const struct mt_header header = header_of(spec.path, room, sizeof(room));
	ck_assert_uint_eq(header.flags_compat & MT_COMPAT_TAIL, 0);
	ck_assert(mt_header_tlv(&header, MT_TLV_CRASH_SAFETY, &view));
	ck_assert_uint_eq(view.data[0], 0);
	ck_assert_int_eq(memcmp(view.data + 1, "fallocate: ", 11), 0);
}
END_TEST

START_TEST(a_tail_that_is_no_longer_ours_is_not_removed)
{
	struct session *session = start("trace");

	put_events(session, 10);
	unlink(scratch_path("trace.tail"));
	close(scratch_file("trace.tail", "precious"));
	ck_assert_int_eq(finish(session), MT_OK);
	ck_assert(exists(scratch_path("trace.tail")));
}
END_TEST

START_TEST(a_flush_puts_everything_into_the_trace)
{
	struct session *session = start("trace");

	for (int i = 1; i <= 20; i++) {
		put_events(session, 100);
		session_define_string(session, "x", 1, false);
		ck_assert(session_flush(session, LONG_NS));
		ck_assert_uint_eq(atomic_load(&session->page->flushed), 100U * (unsigned)i);
		ck_assert_uint_eq(atomic_load(&session->page->defs_flushed), session->defs_head);
	}
	session_park(session);
	ck_assert(session_flush(session, LONG_NS));
	ck_assert_int_eq(finish(session), MT_OK);
	ck_assert_uint_eq(read_back(scratch_path("trace"), NULL).events, 2000);
}
END_TEST

START_TEST(a_clock_that_steps_back_stops_neither_time_nor_rss)
{
	struct session *session = start("trace");
	const uint64_t hour = clock_raw_of_ns(&session->clock, 3600000000000U);

	put_events(session, 10);
	/* As if the counter had stood an hour higher until now. */
	session->clock.start_raw += hour;
	session->last_raw += hour;
	session->rss.asked_raw += hour;
	const uint64_t reads = session->rss.reads;
	put_event(session);
	ck_assert_uint_gt(session->rss.reads, reads);
	const uint64_t ticks = clock_ticks(&session->clock, session->last_raw);
	usleep(2000);
	put_event(session);
	ck_assert_uint_ge(clock_ticks(&session->clock, session->last_raw), ticks + 190000);
	ck_assert_int_eq(finish(session), MT_OK);
	const struct found found = read_back(scratch_path("trace"), NULL);
	ck_assert_uint_eq(found.backwards, 0);
	ck_assert_uint_eq(found.events, 12);
}
END_TEST

/*
 * Definitions
 */

START_TEST(long_texts_are_cut_and_marked)
{
	static uint8_t text[200000];
	struct session *session = start("trace");
	struct mt_names *names = mt_names_new(1 << 24);

	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 20; i++)
		ck_assert_uint_eq(session_define_string(session, text, sizeof(text), false), (uint32_t)i + 1);
	ck_assert_uint_eq(session_define_code(session, 1, 1, 0, 1, 0, 2, text, 90000, false), 1);
	ck_assert_uint_eq(session_define_code(session, 1, 1, 0, 1, 0, 2, text, sizeof(text), false), 2);
	ck_assert_int_eq(finish(session), MT_OK);
	read_back(scratch_path("trace"), names);
	ck_assert_uint_eq(mt_names_string_count(names), 20);
	ck_assert_uint_eq(mt_names_string(names, 20)->size, MT_STRING_MAX);
	ck_assert(mt_names_string(names, 20)->truncated);
	ck_assert_uint_eq(mt_names_code(names, 1)->lines_size, 90000);
	ck_assert(!mt_names_code(names, 1)->truncated);
	ck_assert_uint_eq(mt_names_code(names, 2)->lines_size, 0);
	ck_assert(mt_names_code(names, 2)->truncated);
	mt_names_free(names);
}
END_TEST

START_TEST(ids_that_have_run_out_are_unknown)
{
	struct session *session = start("trace");

	session->string_count = session->code_count = session->cfunc_count = MT_ID_UNKNOWN - 1;
	session->thread_count = MT_THREAD_UNKNOWN;
	ck_assert_uint_eq(session_define_string(session, "x", 1, false), MT_ID_UNKNOWN);
	ck_assert_uint_eq(session_define_code(session, 0, 0, 0, 0, 0, 0, NULL, 0, false), MT_ID_UNKNOWN);
	ck_assert_uint_eq(session_define_cfunc(session, 0, 0, false), MT_ID_UNKNOWN);
	ck_assert_uint_eq(session_define_thread(session, 0, 0, 0), MT_THREAD_UNKNOWN);
	ck_assert_int_eq(finish(session), MT_OK);
}
END_TEST

START_TEST(a_thread_that_gets_its_name_later_began_when_it_began)
{
	struct session *session = start("trace");
	struct mt_names *names = mt_names_new(1 << 24);

	ck_assert_uint_eq(session_define_thread(session, 1, 2, 0), 0);
	ck_assert_uint_eq(session_define_thread(session, 3, 4, 0), 1);
	const uint64_t began = session->thread_clocks[1];
	usleep(1000);
	const uint32_t name = session_define_string(session, "worker", 6, false);
	session_name_thread(session, 1, 3, 4, name);
	ck_assert_int_eq(finish(session), MT_OK);
	read_back(scratch_path("trace"), names);
	ck_assert_uint_eq(mt_names_thread_count(names), 2);
	ck_assert_uint_eq(mt_names_thread(names, 1)->name, name);
	ck_assert_uint_eq(mt_names_thread(names, 1)->native_id, 3);
	ck_assert_uint_eq(mt_names_thread(names, 1)->clock_ticks, began);
	mt_names_free(names);
}
END_TEST

/*
 * Losses: made = kept + lost, in every case
 */

START_TEST(losses_are_told_in_front_of_the_next_record)
{
	struct session *session = start("trace");

	put_events(session, 10);
	session_lose(session, MT_LOST_DEFINITIONS_FULL, CALL);
	session_lose(session, MT_LOST_DEFINITIONS_FULL, RETURN);
	session_lose(session, MT_LOST_DEFINITIONS_FULL, MT_KIND_C_CALL << 5 | MT_FLAG_EXTRA);
	session_lose(session, MT_LOST_HOOK_TAKEN, CALL | MT_FLAG_SYNTHETIC);
	session_lose(session, MT_LOST_OTHER, CALL);
	ck_assert_uint_eq(atomic_load(&session->page->lost[MT_LOST_DEFINITIONS_FULL - 1]), 3);
	ck_assert_uint_eq(session_events(session), 13);
	put_events(session, 10);
	session_lose(session, MT_LOST_FORK, CALL);      /* nothing comes behind it */
	ck_assert_int_eq(finish(session), MT_OK);
	const struct found found = read_back(scratch_path("trace"), NULL);
	ck_assert_uint_eq(found.wrong, 0);
	ck_assert_uint_eq(found.backwards, 0);
	ck_assert_uint_eq(found.kept, 20);
	ck_assert_uint_eq(found.events, 24);
	ck_assert_uint_eq(found.metas[MT_META_LOST], 5);
	ck_assert_uint_eq(found.lost[MT_LOST_DEFINITIONS_FULL], 3);
	ck_assert_uint_eq(found.lost[MT_LOST_HOOK_TAKEN], 1);
	ck_assert_uint_eq(found.lost[MT_LOST_OTHER], 1);
	ck_assert_uint_eq(found.lost[MT_LOST_FORK], 1);
	ck_assert_uint_eq(found.lost_numbered, 4);
	ck_assert_uint_eq(found.end.lost_total, 6);
	ck_assert_uint_eq(found.end.events, 24);
	for (int i = 0; i < MT_LOST_COUNT; i++)
		ck_assert_uint_eq(found.end.lost[i], found.lost[i + 1]);
}
END_TEST

START_TEST(more_than_a_record_can_say_is_said_by_several)
{
	struct session *session = start("trace");
	const uint64_t many = 2 * (uint64_t)UINT32_MAX + 5;

	session_lose(session, MT_LOST_OTHER, CALL);
	session->untold[MT_LOST_OTHER - 1][0] += many - 1;
	session->numbered_lost += many - 1;
	atomic_store(&session->page->lost[MT_LOST_OTHER - 1], many);
	put_events(session, 1);
	ck_assert_int_eq(finish(session), MT_OK);
	const struct found found = read_back(scratch_path("trace"), NULL);
	ck_assert_uint_eq(found.metas[MT_META_LOST], 3);
	ck_assert_uint_eq(found.lost[MT_LOST_OTHER], many);
	ck_assert_uint_eq(found.end.events, many + 1);
}
END_TEST

START_TEST(a_slow_disk_costs_events_but_none_uncounted)
{
	struct session *session = start("trace");

	take_disk(session);
	disk_delay_us = 60000;
	put_events(session, 1500000);
	session_meta(session, MT_META_MESSAGE, 0, 0, 0);
	const uint64_t made = session_events(session);
	ck_assert_uint_eq(made, 1500000);
	disk_delay_us = 0;
	ck_assert_int_eq(finish(session), MT_OK);
	const struct found found = read_back(scratch_path("trace"), NULL);
	ck_assert_uint_eq(found.wrong, 0);
	ck_assert_uint_eq(found.backwards, 0);
	ck_assert_uint_eq(found.events, made);
	ck_assert_uint_eq(found.kept + found.lost_numbered, made);
	ck_assert_uint_gt(found.lost[MT_LOST_RING_FULL], 0);
	ck_assert_uint_eq(all_lost(&found), found.end.lost_total);
	ck_assert_uint_eq(found.end.lost[MT_LOST_RING_FULL - 1], found.lost[MT_LOST_RING_FULL]);
}
END_TEST

START_TEST(a_full_ring_is_waited_for_once_and_not_long)
{
	struct session *session = start("trace");

	take_disk(session);
	disk_delay_us = 400000;
	put_events(session, SESSION_RING_RECORDS);
	const uint64_t before = clock_now_ns(CLOCK_MONOTONIC);
	put_events(session, 5000);
	const uint64_t passed = clock_now_ns(CLOCK_MONOTONIC) - before;
	/* 10 ms by design; the rest for a machine that does something else. */
	ck_assert_uint_lt(passed, 300000000U);
	disk_delay_us = 0;
	ck_assert_int_eq(finish(session), MT_OK);
	const struct found found = read_back(scratch_path("trace"), NULL);
	ck_assert_uint_eq(found.kept + found.lost_numbered, SESSION_RING_RECORDS + 5000);
	ck_assert_uint_eq(found.wrong, 0);
}
END_TEST

START_TEST(a_disk_that_is_full_for_a_while_is_named_as_the_reason)
{
	struct session *session = start("trace");

	take_disk(session);
	put_events(session, 1000);
	ck_assert(session_flush(session, LONG_NS));
	disk_full = true;
	put_events(session, 70000);
	while (!flusher_trouble(&session->flusher))
		usleep(1000);
	put_events(session, 430000);
	const uint64_t lost = atomic_load(&session->page->lost[MT_LOST_DISK - 1]);
	ck_assert_uint_gt(lost, 300000);
	disk_full = false;
	while (flusher_trouble(&session->flusher))
		usleep(10000);
	put_events(session, 100000);
	const uint64_t made = session_events(session);
	ck_assert_int_eq(finish(session), MT_OK);
	const struct found found = read_back(scratch_path("trace"), NULL);
	ck_assert_uint_eq(made, 601000);
	ck_assert_uint_eq(found.wrong, 0);
	ck_assert_uint_eq(found.events, made);
	ck_assert_uint_eq(found.kept + found.lost_numbered, made);
	ck_assert_uint_ge(found.lost[MT_LOST_DISK], lost);
	ck_assert_uint_eq(all_lost(&found), found.end.lost_total);
	ck_assert(!exists(scratch_path("trace.tail")));
}
END_TEST

START_TEST(what_a_full_disk_keeps_out_of_the_trace_is_in_the_tail)
{
	struct session *session = start("trace");

	if (!session->crash_safe) {
		printf("NOT RUN: this file system has no fallocate, so there is no tail\n");
		finish(session);
		return;
	}
	take_disk(session);
	put_events(session, 70000);
	ck_assert(session_flush(session, LONG_NS));
	disk_full = true;
	put_events(session, 70000);
	while (!flusher_trouble(&session->flusher))
		usleep(1000);
	put_events(session, 330000);
	const uint64_t made = session_events(session);
	ck_assert_int_eq(finish(session), MT_ERR_NO_SPACE);
	ck_assert(exists(scratch_path("trace.tail")));
	const struct found found = read_back(scratch_path("trace"), NULL);
	ck_assert(!found.closed);
	ck_assert_uint_eq(found.wrong, 0);
	ck_assert_uint_eq(found.joined, SESSION_RING_RECORDS);
	ck_assert_uint_eq(found.kept, 70000 + SESSION_RING_RECORDS);
	ck_assert_uint_eq(found.kept + found.untold, made);
}
END_TEST

START_TEST(a_full_arena_costs_the_events_that_need_it)
{
	static const char text[1000];
	struct session *session = start("trace");
	uint64_t lost = 0;

	take_disk(session);
	disk_delay_us = 50000;
	for (int i = 0; i < 1500; i++) {
		if (session_define_string(session, text, sizeof(text), false) != 0) {
			put_event(session);
		} else {
			session_lose(session, MT_LOST_DEFINITIONS_FULL, CALL);
			lost++;
		}
	}
	disk_delay_us = 0;
	ck_assert_uint_gt(lost, 0);
	const uint32_t strings = session->string_count;
	ck_assert_int_eq(finish(session), MT_OK);
	struct mt_names *names = mt_names_new(1 << 24);
	const struct found found = read_back(scratch_path("trace"), names);
	ck_assert_uint_eq(found.wrong, 0);
	ck_assert_uint_eq(found.events, 1500);
	ck_assert_uint_eq(found.lost[MT_LOST_DEFINITIONS_FULL], lost);
	ck_assert_uint_eq(mt_names_string_count(names), strings);
	ck_assert_uint_eq(strings, 1500 - lost);
	mt_names_free(names);
}
END_TEST

START_TEST(errno_is_the_programs)
{
	struct session *session = start("trace");

	take_disk(session);
	disk_delay_us = 30000;
	errno = EXDEV;
	for (int i = 0; i < 300000; i++)
		put_event(session);
	ck_assert_int_eq(errno, EXDEV);
	for (int i = 0; i < 400; i++)
		session_define_string(session, "0123456789", 10, false);
	session_park(session);
	put_events(session, 5000);
	ck_assert_int_eq(errno, EXDEV);
	disk_delay_us = 0;
	finish(session);
}
END_TEST

/*
 * Memory
 */

START_TEST(what_recording_occupies_is_paid_before_the_first_event)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct session *session = start("trace");

#ifndef __SANITIZE_THREAD__             /* it wants a larger stack */
	ck_assert_uint_le(session->work_size + session->page_size, 8U << 20);
#endif
	ck_assert_uint_ge(rss_footprint_pages, (session->work_size + session->page_size) / page);
	put_events(session, 1000);
	const uint32_t before = rss_kernel_pages();
	for (int i = 0; i < 30; i++) {
		put_events(session, MT_BLOCK_RECORDS);
		session_define_string(session, "0123456789", 10, false);
	}
	ck_assert(session_flush(session, LONG_NS));
	const uint32_t after = rss_kernel_pages();
	ck_assert_int_eq(finish(session), MT_OK);
	/* A few pages of this program's own code; an emulator, or a sanitizer, grows as it likes. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	if (!scratch_emulated())
		ck_assert_msg(after <= before + 32, "%u pages before, %u after", before, after);
#endif
	(void)before;
	(void)after;
	/* libzstd's pages stay. */
	ck_assert_uint_le(rss_footprint_pages, 512);
}
END_TEST

START_TEST(two_recordings_at_once_count_once_each)
{
	struct session *outer = start("outer");
	const uint32_t one = rss_footprint_pages;
	struct session *inner = start("inner");

	ck_assert_uint_ge(rss_footprint_pages, 2 * one - 512);
	ck_assert_uint_ne(outer->serial, inner->serial);
	ck_assert_mem_ne(outer->uuid, inner->uuid, MT_UUID_SIZE);
	put_events_slowly(outer, 70000);
	put_events_slowly(inner, 70000);
	put_events_slowly(outer, 70000);
	ck_assert_int_eq(finish(outer), MT_OK);
	put_events_slowly(inner, 70000);
	ck_assert_int_eq(finish(inner), MT_OK);
	ck_assert_uint_eq(read_back(scratch_path("outer"), NULL).events, 140000);
	ck_assert_uint_eq(read_back(scratch_path("inner"), NULL).events, 140000);
}
END_TEST

/*
 * Fork
 */

START_TEST(a_parked_recording_has_no_thread_and_goes_on_later)
{
	struct session *session = start("trace");

	put_events(session, 100);
	for (int i = 0; i < 5; i++) {
		session_park(session);
		ck_assert(!session->flusher.running);
		put_events(session, 50);
		ck_assert(!session->flusher.running);
		put_events_slowly(session, 200000);
		ck_assert(session->flusher.running);
	}
	session_park(session);
	ck_assert_int_eq(finish(session), MT_OK);
	ck_assert_uint_eq(read_back(scratch_path("trace"), NULL).events, 100 + 5 * 200050);
}
END_TEST

START_TEST(a_child_of_a_fork_leaves_the_parents_recording_alone)
{
	const bool parked = _i;
	if (!parked && scratch_emulated()) {
		printf("NOT RUN: qemu-user does not survive a thread that is started behind a fork of several\n");
		return;
	}
	struct session *session = start("trace");

	put_events(session, 1000);
	if (parked)
		session_park(session);
	const int fd = session->flusher.fd, statm = session->rss.fd;
	const pid_t child = fork();
	if (child == 0) {
		session_abandon(session);
		const struct session_spec spec = spec_for("child");
		struct session *own = session_start(&spec);
		if (!own)
			_exit(1);
		put_events_slowly(own, 100000);
		if (finish(own) != MT_OK)
			_exit(2);
		_exit(0);
	}
	int status;
	put_events_slowly(session, 300000);
	waitpid(child, &status, 0);
	ck_assert_int_eq(status, 0);
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	ck_assert_int_ge(fcntl(statm, F_GETFD), 0);
	ck_assert_int_eq(finish(session), MT_OK);
	const struct found found = read_back(scratch_path("trace"), NULL);
	ck_assert_uint_eq(found.events, 301000);
	ck_assert_uint_eq(found.wrong, 0);
	ck_assert_uint_eq(read_back(scratch_path("child"), NULL).events, 100000);
}
END_TEST

/*
 * Death
 */

/* Records without end, and says in shared memory how many events are safe. */
static void record_until_killed(const char *name, _Atomic uint64_t *safe)
{
	const struct session_spec spec = spec_for(name);
	struct session *session = session_start(&spec);

	if (!session)
		_exit(1);
	for (;;) {
		put_event(session);
		if ((session_events(session) & 1023) == 0)
			session_define_string(session, "0123456789", 10, false);
		atomic_store_explicit(safe, session_events(session), memory_order_release);
	}
}

START_TEST(a_killed_recording_has_lost_nothing)
{
	_Atomic uint64_t *safe = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char name[16];

	snprintf(name, sizeof(name), "trace%d", _i);
	scratch_path(name);                     /* makes the directory, ours to remove */
	const pid_t child = fork();
	if (child == 0)
		record_until_killed(name, safe);
	while (atomic_load(safe) == 0)
		usleep(100);
	char tail[32];
	snprintf(tail, sizeof(tail), "%s.tail", name);
	if (!exists(scratch_path(tail))) {
		printf("NOT RUN: this file system has no fallocate, so nothing outlives a kill\n");
		kill(child, SIGKILL);
		return;
	}
	usleep((useconds_t)(_i * 7919 % 97) * 1000);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	const struct found found = read_back(scratch_path(name), NULL);
	ck_assert(!found.closed);
	ck_assert_uint_eq(found.damages, 0);
	ck_assert_uint_eq(found.wrong, 0);
	ck_assert_uint_eq(found.backwards, 0);
	ck_assert_uint_ge(found.events + found.untold, atomic_load(safe));
	ck_assert_uint_le(found.events, atomic_load(safe) + 1);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("session");

	tcase_add_test(tcase, a_recording_is_read_back_whole);
	tcase_add_test(tcase, the_header_says_who_and_how);
	tcase_add_test(tcase, the_callers_words_are_in_the_header_and_cut_to_fit);
	tcase_add_loop_test(tcase, files_are_the_owners_alone_whatever_the_umask, 0, COUNT(umasks));
	tcase_add_loop_test(tcase, nothing_that_is_there_is_touched, 0, 2 * PLANTED_COUNT);
	tcase_add_test(tcase, a_start_that_fails_leaves_nothing_behind);
	tcase_add_test(tcase, a_change_of_directory_does_no_harm);
	tcase_add_test(tcase, where_the_tail_is_refused_recording_goes_on_and_says_so);
	tcase_add_test(tcase, a_tail_that_is_no_longer_ours_is_not_removed);
	tcase_add_test(tcase, a_flush_puts_everything_into_the_trace);
	tcase_add_test(tcase, a_clock_that_steps_back_stops_neither_time_nor_rss);
	tcase_add_test(tcase, long_texts_are_cut_and_marked);
	tcase_add_test(tcase, ids_that_have_run_out_are_unknown);
	tcase_add_test(tcase, a_thread_that_gets_its_name_later_began_when_it_began);
	tcase_add_test(tcase, losses_are_told_in_front_of_the_next_record);
	tcase_add_test(tcase, more_than_a_record_can_say_is_said_by_several);
	tcase_add_test(tcase, a_slow_disk_costs_events_but_none_uncounted);
	tcase_add_test(tcase, a_full_ring_is_waited_for_once_and_not_long);
	tcase_add_test(tcase, a_disk_that_is_full_for_a_while_is_named_as_the_reason);
	tcase_add_test(tcase, what_a_full_disk_keeps_out_of_the_trace_is_in_the_tail);
	tcase_add_test(tcase, a_full_arena_costs_the_events_that_need_it);
	tcase_add_test(tcase, errno_is_the_programs);
	tcase_add_test(tcase, what_recording_occupies_is_paid_before_the_first_event);
	tcase_add_test(tcase, two_recordings_at_once_count_once_each);
	tcase_add_test(tcase, a_parked_recording_has_no_thread_and_goes_on_later);
	tcase_add_loop_test(tcase, a_child_of_a_fork_leaves_the_parents_recording_alone, 0, 2);
	tcase_add_loop_test(tcase, a_killed_recording_has_lost_nothing, 0, 20);
	return suite_run("session", tcase);
}
