/*
 * Death at every instruction: a child records, and after each of its machine instructions its files are looked at
 * as they would be left if SIGKILL came there. The tail is shared memory, so what this process sees in its own
 * mapping is what the kernel would keep. Rows F02 and F03, G02 and G03, of docs/reliability.md.
 *
 * What is stepped through: records, slow steps, definitions, the wrap of the ring, the writing of chunks. The
 * child does by itself what the flusher's thread does, so that there is one order of instructions.
 */
#define _GNU_SOURCE
#include "recorder/session.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "format/reader.h"
#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

#define CALL (MT_KIND_CALL << 5)
#define RETURN (MT_KIND_RETURN << 5)
#define STEPPED_EVENTS 120
#define BEFORE_WRAP 50          /* records left in the ring's lap when stepping begins */
#define DEFINE_EVERY 20
#define WRITE_AFTER 80
#define STATES_WANTED 10000

/* In memory that both processes see. */
struct progress {
	_Atomic uint64_t begun;         /* events that the child has asked for */
	_Atomic uint64_t done;          /* and that it has been told are recorded */
	_Atomic uint32_t failed;
};
static struct progress *progress;

/*
 * The child
 */

static void put_event(struct session *session)
{
	const uint64_t number = session_events(session);

	atomic_fetch_add(&progress->begun, 1);
	session_event(session, number & 1 ? RETURN : CALL, 0, session->code_count, 0, (uint32_t)number);
	atomic_fetch_add(&progress->done, 1);
}

static void define(struct session *session)
{
	char text[32];
	const int size = snprintf(text, sizeof(text), "name %u", session->string_count);
	const uint32_t name = session_define_string(session, text, (size_t)size, false);

	if (!name || !session_define_code(session, name, name, name, 1, 0, 8, NULL, 0, false))
		progress->failed = 1;
}

static void write_out(struct session *session, bool all)
{
	if (flusher_step(&session->flusher, all) != MT_OK)
		progress->failed = 2;
}

/* Up to a little before the end of the ring's first lap, all of it written out. */
static void fill_ring(struct session *session)
{
	while (session->ring.head < SESSION_RING_RECORDS - BEFORE_WRAP) {
		put_event(session);
		if (session->ring.head % 32768 == 0)
			write_out(session, false);
	}
	write_out(session, true);
}

static void stepped(struct session *session)
{
	for (unsigned i = 1; i <= STEPPED_EVENTS; i++) {
		if (i % DEFINE_EVERY == 0)
			define(session);
		if (i % 16 == 0)
			session->ring.limit = session->ring.head;       /* a slow step more often than of old */
		put_event(session);
		if (i == WRITE_AFTER)
			write_out(session, true);
	}
}

static void record_and_exit(const char *path)
{
	const struct session_spec spec = {
		.path = path,
		.tick_ns = 10,
		.rss_source = "exact",
		.hook = MT_HOOK_MONITORING,
		.python_hexversion = 0x030c01f0,
	};
	struct session *const session = session_start(&spec);

	if (!session || !session->crash_safe || session_define_thread(session, 1, 1, 0) != 0)
		_exit(3);
	session_park(session);
	session->parked = false;        /* or it would start again */
	define(session);
	fill_ring(session);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(4);
	raise(SIGSTOP);
	stepped(session);
	_exit(progress->failed ? 5 : 0);
}

/*
 * What a reader makes of the files
 */

struct found {
	struct mt_names *names;
	uint64_t events;
	uint64_t wrong;                 /* not the number that is in them, or nameless */
	uint64_t damages;
};

static void count_damage(void *context, const struct mt_damage *damage)
{
	(void)damage;
	((struct found *)context)->damages++;
}

static void take_record(struct found *found, struct mt_event event)
{
	found->wrong += event.lasti != (uint32_t)found->events || !mt_event_is_default(&event) ||
			!mt_names_code(found->names, event.code);
	found->events++;
}

static void take_tail(struct found *found, const struct mt_header *header, const struct mt_chain *chain,
		      struct mt_source *tail)
{
	struct mt_tail_image image;
	struct mt_tail_join join;

	ck_assert_int_eq(mt_tail_image_read(tail, &image), MT_OK);
	ck_assert_int_eq(mt_names_add(found->names, image.items,
				      (size_t)(image.defs_committed - image.defs_first)), MT_OK);
	ck_assert_int_eq(mt_tail_join(header, chain, &image, &join), MT_OK);
	ck_assert_uint_eq(join.overwritten, 0);
	ck_assert_uint_eq(join.torn, 0);
	ck_assert_uint_eq(join.lost_untold, 0);
	for (size_t i = 0; i < join.count; i++)
		take_record(found, mt_record_unpack(join.records[i]));
	mt_tail_image_release(&image);
}

/* Everything: as mtdump does when it opens the trace of a program that was killed. */
static void look_at_files(struct mt_source *trace, struct mt_source *tail)
{
	struct found found = { .names = mt_names_new(1 << 24) };
	const struct mt_reader_options options = { .damage = count_damage, .context = &found };
	struct mt_chain chain = { 0 };
	struct mt_reader *reader;
	struct mt_block block;
	struct mt_chunk chunk;
	const uint8_t *payload;

	mt_block_init(&block);
	ck_assert_int_eq(mt_reader_new(&reader, trace, &options), MT_OK);
	while (mt_reader_next(reader, &chunk) == MT_OK) {
		if (chunk.header.kind == MT_CHUNK_DEFS)
			ck_assert_int_eq(mt_reader_defs(reader, &chunk, found.names), MT_OK);
		if (chunk.header.kind != MT_CHUNK_EVENTS)
			continue;
		ck_assert_int_eq(mt_reader_payload(reader, &chunk, &payload), MT_OK);
		ck_assert_int_eq(mt_block_open(&block, &chunk.dir, payload, MT_BLOCK_ALL), MT_OK);
		for (size_t i = 0; i < block.zone.n_events; i++)
			take_record(&found, mt_block_event(&block, i));
		mt_chain_after(&chain, &block);
	}
	take_tail(&found, mt_reader_header(reader), &chain, tail);
	ck_assert_uint_eq(found.damages, 0);
	ck_assert_uint_eq(found.wrong, 0);
	ck_assert_uint_ge(found.events, progress->done);
	ck_assert_uint_le(found.events, progress->begun);
	mt_block_release(&block);
	mt_reader_free(reader);
	mt_names_free(found.names);
}

/*
 * Whether the files are other ones than when they were last looked at. Of the rings only the places where the
 * next bytes belong are compared each time: a store that goes astray is still there at the next look at all.
 */
struct seen {
	const struct mt_tail_page *page;
	uint8_t counters[512];
	uint8_t records[64 * MT_RECORD_SIZE];
	uint8_t items[256];
	off_t trace_size;
};

static bool take_over(void *old, const void *now, size_t size)
{
	const bool changed = memcmp(old, now, size) != 0;

	if (changed)
		memcpy(old, now, size);
	return changed;
}

static bool changed(struct seen *seen, int trace_fd)
{
	const struct mt_tail_page *page = seen->page;
	const uint64_t slot = page->committed / 64 * 64 & (page->capacity - 1);
	const uint64_t byte = page->defs_committed / 256 * 256 & (page->arena_size - 1);
	struct stat status;
	bool any = take_over(seen->counters, page, sizeof(seen->counters));

	any |= take_over(seen->records, (const uint8_t *)page + page->ring_offset + slot * MT_RECORD_SIZE,
			 sizeof(seen->records));
	any |= take_over(seen->items, (const uint8_t *)page + page->arena_offset + byte, sizeof(seen->items));
	ck_assert_int_eq(fstat(trace_fd, &status), 0);
	any |= take_over(&seen->trace_size, &status.st_size, sizeof(status.st_size));
	return any;
}

/* One instruction of `child`; false when it has ended. */
static bool step(pid_t child, int *status)
{
	ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(child, status, 0), child);
	if (!WIFSTOPPED(*status))
		return false;
	ck_assert_int_eq(WSTOPSIG(*status), SIGTRAP);
	return true;
}

static void step_through(pid_t child, const char *path)
{
	char tail_path[300];
	struct mt_source *trace, *tail;
	struct stat size;
	uint64_t states = 0, looks = 0;
	int status;

	snprintf(tail_path, sizeof(tail_path), "%s.tail", path);
	const int trace_fd = open(path, O_RDONLY);
	const int tail_fd = open(tail_path, O_RDONLY);
	ck_assert_int_ge(trace_fd, 0);
	ck_assert_int_eq(fstat(tail_fd, &size), 0);
	struct mt_tail_page *const page = mmap(NULL, (size_t)size.st_size, PROT_READ, MAP_SHARED, tail_fd, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	struct seen seen = { .page = page };

	while (step(child, &status)) {
		states++;
		if (!changed(&seen, trace_fd))
			continue;
		/* The sources are made anew, as one knows the size that its file had. */
		ck_assert_int_eq(mt_source_file(&trace, path), MT_OK);
		ck_assert_int_eq(mt_source_file(&tail, tail_path), MT_OK);
		look_at_files(trace, tail);
		mt_source_close(trace);
		mt_source_close(tail);
		looks++;
	}
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", (unsigned)status);
	ck_assert_uint_eq(progress->done, SESSION_RING_RECORDS - BEFORE_WRAP + STEPPED_EVENTS);
	printf("%llu machine states, %llu of the files\n", (unsigned long long)states, (unsigned long long)looks);
	fflush(stdout);
	ck_assert_uint_ge(states, STATES_WANTED);
	ck_assert_uint_ge(looks, 4 * STEPPED_EVENTS);
	munmap(page, (size_t)size.st_size);
	close(trace_fd);
	close(tail_fd);
}

START_TEST(killed_at_every_instruction)
{
	const char *const path = scratch_path("trace");
	int status;

	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(progress, MAP_FAILED);
	const pid_t child = fork();
	if (child == 0)
		record_and_exit(path);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && (WEXITSTATUS(status) == 3 || WEXITSTATUS(status) == 4)) {
		printf("NOT RUN: killed_at_every_instruction: %s\n",
		       WEXITSTATUS(status) == 4 ? "ptrace is refused here" : "no crash-safe recording here");
		return;
	}
	ck_assert_msg(WIFSTOPPED(status), "status %#x", (unsigned)status);
	step_through(child, path);
}
END_TEST

/*
 * Killed at a system call: of starting and of ending. Nothing half made has a name.
 */

#define EVENTS 100

static void start_and_finish(const char *path)
{
	const struct session_spec spec = {
		.path = path,
		.tick_ns = 10,
		.rss_source = "exact",
		.hook = MT_HOOK_MONITORING,
		.python_hexversion = 0x030c01f0,
	};

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(4);
	raise(SIGSTOP);
	struct session *const session = session_start(&spec);
	if (!session || !session->crash_safe)
		_exit(3);
	session_define_thread(session, 1, 1, 0);
	define(session);
	for (int i = 0; i < EVENTS; i++)
		put_event(session);
	session_quiesce(session);
	if (session_finish(session, MT_END_STOP) != MT_OK)
		_exit(5);
	session_free(session);
	_exit(0);
}

/* Kill `child` at its `number`th stop at a system call. False if it came to its end before. */
static bool kill_at(pid_t child, unsigned number)
{
	int status;

	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFSTOPPED(status), "status %#x", (unsigned)status);
	while (number-- > 0) {
		ck_assert_int_eq(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		if (WIFEXITED(status)) {
			ck_assert_int_eq(WEXITSTATUS(status), 0);
			return false;
		}
		ck_assert_msg(WIFSTOPPED(status), "status %#x", (unsigned)status);
	}
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status));
	return true;
}

static void no_record(struct found *found, struct mt_source *trace)
{
	const struct mt_reader_options options = { .damage = count_damage, .context = found };
	struct mt_reader *reader;
	struct mt_chunk chunk;

	ck_assert_int_eq(mt_reader_new(&reader, trace, &options), MT_OK);
	while (mt_reader_next(reader, &chunk) == MT_OK)
		found->events += chunk.header.kind == MT_CHUNK_EVENTS;
	mt_reader_free(reader);
}

/* What is there after a kill is whole: nothing; a trace with its tail; or one that needs none. */
static void look_after_kill(const char *path, const char *tail_path)
{
	struct found found = { 0 };
	struct mt_source *trace, *tail;

	if (access(path, F_OK) != 0) {
		ck_assert_int_ne(access(tail_path, F_OK), 0);
		ck_assert_uint_eq(progress->done, 0);
		return;
	}
	ck_assert_int_eq(mt_source_file(&trace, path), MT_OK);
	if (mt_source_file(&tail, tail_path) == MT_OK) {
		look_at_files(trace, tail);
		mt_source_close(tail);
	} else {
		no_record(&found, trace);
		ck_assert_uint_eq(found.damages, 0);
		ck_assert_uint_eq(found.events != 0, progress->done != 0);
	}
	mt_source_close(trace);
}

START_TEST(killed_at_every_system_call_of_start_and_end)
{
	const char *const path = scratch_path("trace");
	const char *const tail_path = scratch_path("trace.tail");
	unsigned number = 1;
	bool killed = true;
	const int unnamed = open(scratch_path("."), O_RDWR | O_TMPFILE, 0600);

	if (unnamed < 0) {
		printf("NOT RUN: killed_at_every_system_call_of_start_and_end: no O_TMPFILE: %s\n", strerror(errno));
		fflush(stdout);
		return;
	}
	close(unnamed);
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(progress, MAP_FAILED);
	for (; killed; number++) {
		*progress = (struct progress){ 0 };
		const pid_t child = fork();
		if (child == 0)
			start_and_finish(path);
		killed = kill_at(child, number);
		look_after_kill(path, tail_path);
		unlink(path);
		unlink(tail_path);
	}
	printf("killed at %u stops\n", number);
	fflush(stdout);
	ck_assert_uint_gt(number, 100);
}
END_TEST

int main(void)
{
	if (scratch_emulated() || SCRATCH_SANITIZED) {
		printf("NOT RUN: test_singlestep: an emulator has no ptrace, and what a sanitizer adds "
		       "is not what is recorded with\n");
		return 0;
	}
	TCase *tcase = tcase_create("singlestep");
	/* Some 300,000 switches between two processes: a few seconds, and on a busy machine many. */
	setenv("CK_TIMEOUT_MULTIPLIER", "10", 0);
	tcase_add_test(tcase, killed_at_every_instruction);
	tcase_add_test(tcase, killed_at_every_system_call_of_start_and_end);
	return suite_run("singlestep", tcase);
}
