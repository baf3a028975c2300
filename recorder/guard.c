/* mremap() is Linux's own. */
#define _GNU_SOURCE
#include "recorder/guard.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define GUARDS_MAX 16

/* The handler reads these; the rest is for adding and removing. */
static struct guard *_Atomic guards[GUARDS_MAX];
static struct sigaction previous;
static __thread bool is_ours __attribute__((tls_model("initial-exec")));

static unsigned count;
/* Set and not taken back: somebody has put theirs on top, and may call ours. */
static bool installed;

static bool replace(struct guard *guard)
{
	if (atomic_exchange(&guard->replacing, true)) {
		while (!atomic_load(&guard->gone))
			sched_yield();
		return true;
	}
	/* Made elsewhere and moved: no thread ever sees it without its head. */
	void *const memory = mmap(NULL, guard->size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return false;
	memcpy(memory, guard->head, guard->head_size);
	if (mremap(memory, guard->size, guard->size, MREMAP_MAYMOVE | MREMAP_FIXED, guard->start) == MAP_FAILED)
		return false;
	atomic_store(&guard->gone, true);
	return true;
}

static struct guard *find(const void *address)
{
	for (int i = 0; i < GUARDS_MAX; i++) {
		struct guard *const guard = atomic_load(&guards[i]);
		if (guard && (uintptr_t)address - (uintptr_t)guard->start < guard->size)
			return guard;
	}
	return NULL;
}

/* As if ours had not been there. Sent (si_code <= 0) or a fault, which happens again when we return. */
static void chain(int number, siginfo_t *info, void *context)
{
	const struct sigaction action = previous;
	const bool sent = info->si_code <= 0;

	if (action.sa_flags & SA_RESETHAND)
		previous.sa_handler = SIG_DFL;
	if (action.sa_flags & SA_SIGINFO) {
		action.sa_sigaction(number, info, context);
	} else if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) {
		if (sent && action.sa_handler == SIG_IGN)
			return;
		sigaction(SIGBUS, &action, NULL);
		if (sent)
			raise(SIGBUS);
	} else {
		action.sa_handler(number);
	}
}

/* One that was sent to the process is not for our thread: block it here, and send it again. */
static void pass_on(ucontext_t *context)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaddset(&context->uc_sigmask, SIGBUS);
	kill(getpid(), SIGBUS);
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	const int saved = errno;
	struct guard *const guard = info->si_code == BUS_ADRERR ? find(info->si_addr) : NULL;

	if (is_ours && info->si_code <= 0)
		pass_on(context);
	else if (!guard || !replace(guard))
		chain(number, info, context);
	errno = saved;
}

static bool is_installed(struct sigaction *current_out)
{
	return sigaction(SIGBUS, NULL, current_out) == 0 && current_out->sa_flags & SA_SIGINFO &&
	       current_out->sa_sigaction == on_sigbus;
}

static bool install(void)
{
	struct sigaction current;

	if (is_installed(&current))
		return true;
	/* Below theirs, which may call ours: above it, each would call the other for ever. */
	if (installed)
		return false;
	previous = current;
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_mask = current.sa_mask };
	action.sa_flags = SA_SIGINFO | SA_ONSTACK | (current.sa_flags & (SA_RESTART | SA_NODEFER));
	installed = sigaction(SIGBUS, &action, NULL) == 0;
	return installed;
}

bool guard_add(struct guard *guard)
{
	for (int i = 0; i < GUARDS_MAX; i++) {
		if (atomic_load(&guards[i]))
			continue;
		if (!install())
			return false;
		atomic_store(&guards[i], guard);
		count++;
		return true;
	}
	return false;
}

void guard_remove(struct guard *guard)
{
	struct sigaction current;

	for (int i = 0; i < GUARDS_MAX; i++) {
		if (atomic_load(&guards[i]) != guard)
			continue;
		atomic_store(&guards[i], NULL);
		if (--count == 0 && is_installed(&current)) {
			sigaction(SIGBUS, &previous, NULL);
			installed = false;
		}
		return;
	}
}

void guard_this_thread(void)
{
	sigset_t set;

	is_ours = true;
	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
