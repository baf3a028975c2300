#define _GNU_SOURCE
#include "recorder/guard.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

/* A sanitizer's own handler would be in the place of the default action. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
	return "handle_sigbus=0";
}

const char *__tsan_default_options(void);
__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
	return "handle_sigbus=0";
}

#define SIZE (64 * 1024)

static const char head[] = "the head";

/* A mapping of a file of its own; *fd_out is that file. */
static struct guard *make(const char *name, int *fd_out)
{
	static struct guard made[32];           /* each test is a process of its own */
	static unsigned count;
	ck_assert_uint_lt(count, COUNT(made));
	struct guard *guard = &made[count++];

	/* Without a name: a test that SIGBUS ends leaves nothing behind. */
	*fd_out = memfd_create(name, MFD_CLOEXEC);
	ck_assert_int_ge(*fd_out, 0);
	ck_assert_int_eq(ftruncate(*fd_out, SIZE), 0);
	guard->start = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, *fd_out, 0);
	ck_assert_ptr_ne(guard->start, MAP_FAILED);
	guard->size = SIZE;
	guard->head = head;
	guard->head_size = sizeof(head);
	return guard;
}

static bool is_default(void)
{
	struct sigaction action;

	ck_assert_int_eq(sigaction(SIGBUS, NULL, &action), 0);
	return !(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_DFL;
}

START_TEST(a_file_that_is_cut_short_becomes_memory)
{
	int fd;
	struct guard *guard = make("file", &fd);
	volatile uint8_t *bytes = guard->start;

	ck_assert(guard_add(guard));
	bytes[40000] = 7;
	ck_assert_int_eq(ftruncate(fd, _i ? 8192 : 0), 0);
	ck_assert(!atomic_load(&guard->gone));
	bytes[50000] = 9;
	ck_assert(atomic_load(&guard->gone));
	ck_assert_int_eq(bytes[50000], 9);
	ck_assert_int_eq(bytes[40000], 0);
	ck_assert_str_eq((const char *)guard->start, head);
	for (size_t i = sizeof(head); i < SIZE; i += 512)
		bytes[i]++;
	guard_remove(guard);
	ck_assert(is_default());
}
END_TEST

START_TEST(each_guard_has_its_own_mapping)
{
	int fds[2];
	struct guard *guards[2] = { make("a", &fds[0]), make("b", &fds[1]) };

	ck_assert(guard_add(guards[0]) && guard_add(guards[1]));
	ck_assert_int_eq(ftruncate(fds[1], 0), 0);
	((volatile uint8_t *)guards[1]->start)[0]++;
	ck_assert(atomic_load(&guards[1]->gone) && !atomic_load(&guards[0]->gone));
	guard_remove(guards[1]);
	ck_assert(!is_default());
	ck_assert_int_eq(ftruncate(fds[0], 0), 0);
	((volatile uint8_t *)guards[0]->start)[SIZE - 1]++;
	ck_assert(atomic_load(&guards[0]->gone));
	guard_remove(guards[0]);
	guard_remove(guards[0]);
	ck_assert(is_default());
}
END_TEST

static sigjmp_buf back;
static volatile sig_atomic_t calls;

static void on_fault(int number)
{
	(void)number;
	calls++;
	siglongjmp(back, 1);
}

static void on_sent(int number)
{
	(void)number;
	calls++;
}

START_TEST(other_faults_are_the_handlers_that_was_there)
{
	int fd, other_fd;
	struct guard *guard = make("file", &fd), *other = make("other", &other_fd);
	struct sigaction action = { .sa_handler = on_fault };

	sigaction(SIGBUS, &action, NULL);
	ck_assert(guard_add(guard));
	ck_assert_int_eq(ftruncate(other_fd, 0), 0);
	calls = 0;
	if (sigsetjmp(back, 1) == 0)
		((volatile uint8_t *)other->start)[0]++;
	ck_assert_int_eq(calls, 1);
	ck_assert(!atomic_load(&guard->gone) && !atomic_load(&other->gone));
	guard_remove(guard);
	ck_assert_int_eq(sigaction(SIGBUS, NULL, &action), 0);
	ck_assert(action.sa_handler == on_fault);
}
END_TEST

START_TEST(a_signal_that_was_sent_is_the_handlers_that_was_there)
{
	int fd;
	struct guard *guard = make("file", &fd);
	struct sigaction action = { .sa_handler = on_sent, .sa_flags = (int)SA_RESETHAND };

	sigaction(SIGBUS, &action, NULL);
	ck_assert(guard_add(guard));
	calls = 0;
	raise(SIGBUS);
	ck_assert_int_eq(calls, 1);
	guard_remove(guard);
	ck_assert(is_default());        /* it was to be called once */

	signal(SIGBUS, SIG_IGN);
	ck_assert(guard_add(guard));
	raise(SIGBUS);
	guard_remove(guard);
	ck_assert_int_eq(sigaction(SIGBUS, NULL, &action), 0);
	ck_assert(action.sa_handler == SIG_IGN);
}
END_TEST

START_TEST(one_that_ends_the_program_still_does)
{
	int fd, other_fd;
	struct guard *guard = make("file", &fd), *other = make("other", &other_fd);

	ck_assert(guard_add(guard));
	if (_i == 0)
		raise(SIGBUS);
	ck_assert_int_eq(ftruncate(other_fd, 0), 0);
	((volatile uint8_t *)other->start)[0]++;
}
END_TEST

START_TEST(who_takes_the_signal_later_keeps_it)
{
	int fd;
	struct guard *guard = make("file", &fd);
	struct sigaction theirs = { .sa_handler = on_sent }, ours;

	ck_assert(guard_add(guard));
	sigaction(SIGBUS, &theirs, &ours);
	guard_remove(guard);
	ck_assert_int_eq(sigaction(SIGBUS, NULL, &theirs), 0);
	ck_assert(theirs.sa_handler == on_sent);
	/* They may call ours: so it is not set above theirs, or each would call the other for ever. */
	ck_assert(!guard_add(guard));
	/* They go away again, and give back what they found. */
	sigaction(SIGBUS, &ours, NULL);
	ck_assert(guard_add(guard));
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	((volatile uint8_t *)guard->start)[0]++;
	ck_assert(atomic_load(&guard->gone));
	guard_remove(guard);
	ck_assert(is_default());
}
END_TEST

START_TEST(more_guards_than_there_is_room_for_are_refused)
{
	static struct guard guards[100];
	size_t added = 0;

	while (added < 100 && guard_add(&guards[added]))
		added++;
	ck_assert_uint_ge(added, 8);
	ck_assert_uint_lt(added, 100);
	guard_remove(&guards[0]);
	ck_assert(guard_add(&guards[0]));
	for (size_t i = 0; i < added; i++)
		guard_remove(&guards[i]);
	ck_assert(is_default());
}
END_TEST

int main(void)
{
	if (scratch_emulated()) {
		printf("NOT RUN: test_guard: an emulator meets the end of a file itself, not the program in it\n");
		return 0;
	}
	TCase *tcase = tcase_create("guard");

	tcase_add_loop_test(tcase, a_file_that_is_cut_short_becomes_memory, 0, 2);
	tcase_add_test(tcase, each_guard_has_its_own_mapping);
	tcase_add_test(tcase, other_faults_are_the_handlers_that_was_there);
	tcase_add_test(tcase, a_signal_that_was_sent_is_the_handlers_that_was_there);
	tcase_add_loop_test_raise_signal(tcase, one_that_ends_the_program_still_does, SIGBUS, 0, 2);
	tcase_add_test(tcase, who_takes_the_signal_later_keeps_it);
	tcase_add_test(tcase, more_guards_than_there_is_room_for_are_refused);
	return suite_run("guard", tcase);
}
