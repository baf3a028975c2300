#include "recorder/host.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "recorder/clock.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

/* What a memory limit of "none" looks like in cgroup v1: as near to 2^63 as whole pages get. */
#define NO_LIMIT (UINT64_C(1) << 62)
/* Larger than any TLV that is not a text of the user's. */
#define SMALL_TLV 1024
#define FILE_MAX 4096
/* Stacks of threads may be small; a group with a longer path is taken for one without a limit. */
#define GROUP_MAX 512

/* The start of a file as a string; its length, 0 if it cannot be read. */
static size_t read_start(char *room, size_t size, const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t got = -1;

	if (fd >= 0) {
		got = read(fd, room, size - 1);
		close(fd);
	}
	room[got > 0 ? got : 0] = '\0';
	return got > 0 ? (size_t)got : 0;
}

static void put_text(struct mt_out *out, enum mt_tlv type, const char *text)
{
	if (*text)
		mt_tlv_put(out, type, text, strlen(text));
}

static void put_u64(struct mt_out *out, enum mt_tlv type, uint64_t value)
{
	uint8_t bytes[8];

	mt_store_u64(bytes, value);
	if (value)
		mt_tlv_put(out, type, bytes, sizeof(bytes));
}

static void put_first_line(struct mt_out *out, enum mt_tlv type, const char *path)
{
	char text[FILE_MAX];

	read_start(text, sizeof(text), path);
	text[strcspn(text, "\n")] = '\0';
	put_text(out, type, text);
}

/* x86 alone says a model in words. */
static void put_cpu_model(struct mt_out *out)
{
	char text[FILE_MAX];

	read_start(text, sizeof(text), "/proc/cpuinfo");
	char *at = strstr(text, "model name");
	at = at ? strchr(at, ':') : NULL;
	if (!at)
		return;
	at += 1 + strspn(at + 1, " \t");
	at[strcspn(at, "\n")] = '\0';
	put_text(out, MT_TLV_CPU_MODEL, at);
}

static void put_utc_offset(struct mt_out *out)
{
	const time_t now = time(NULL);
	struct tm local;
	uint8_t bytes[4];

	if (!localtime_r(&now, &local))
		return;
	mt_store_u32(bytes, (uint32_t)(int32_t)local.tm_gmtoff);
	mt_tlv_put(out, MT_TLV_UTC_OFFSET, bytes, sizeof(bytes));
}

/*
 * Memory limit
 */

static uint64_t read_limit(const char *path)
{
	char text[64];
	char *end;

	if (read_start(text, sizeof(text), path) == 0)
		return 0;
	const uint64_t limit = strtoull(text, &end, 10);        /* v2 says "max" for none */
	return end == text || limit >= NO_LIMIT ? 0 : limit;
}

/* The lowest of `file` in `group` and the directories above it, up to the mount at `mount`. */
static uint64_t lowest_limit(const char *root, const char *mount, const char *group, const char *file)
{
	char at[GROUP_MAX], path[2 * GROUP_MAX];
	uint64_t lowest = 0;

	if (strlen(group) >= sizeof(at))
		return 0;
	memcpy(at, group, strlen(group) + 1);
	for (;;) {
		snprintf(path, sizeof(path), "%s%s%s/%s", root, mount, at, file);
		const uint64_t limit = read_limit(path);
		if (limit && (!lowest || limit < lowest))
			lowest = limit;
		char *slash = strrchr(at, '/');
		if (!slash)
			return lowest;
		*slash = '\0';
	}
}

/* Lines of /proc/self/cgroup: "NUMBER:CONTROLLERS:/GROUP", v2 with number 0 and no controllers. */
uint64_t host_memory_limit(const char *root)
{
	char text[FILE_MAX], path[GROUP_MAX];
	uint64_t lowest = 0;

	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	read_start(text, sizeof(text), path);
	for (char *next = text, *line; (line = strsep(&next, "\n")) != NULL;) {
		const char *number = strsep(&line, ":");
		const char *controllers = line ? strsep(&line, ":") : NULL;
		uint64_t limit = 0;
		if (!line)
			continue;
		if (strcmp(number, "0") == 0 && !*controllers)
			limit = lowest_limit(root, "/sys/fs/cgroup", line, "memory.max");
		else if (strcmp(controllers, "memory") == 0)
			limit = lowest_limit(root, "/sys/fs/cgroup/memory", line, "memory.limit_in_bytes");
		if (limit && (!lowest || limit < lowest))
			lowest = limit;
	}
	return lowest;
}

void host_describe(struct mt_out *out)
{
	struct utsname names;
	char directory[PATH_MAX];

	put_text(out, MT_TLV_WRITER, "mtdump " PACKAGE_VERSION);
	if (uname(&names) == 0) {
		put_text(out, MT_TLV_HOST, names.nodename);
		put_text(out, MT_TLV_KERNEL, names.release);
	}
	put_first_line(out, MT_TLV_BOOT_ID, "/proc/sys/kernel/random/boot_id");
	put_cpu_model(out);
	put_utc_offset(out);
	put_u64(out, MT_TLV_PROCESS_START, clock_process_age_ns());
	put_u64(out, MT_TLV_MEMORY_LIMIT, host_memory_limit(""));
	if (getcwd(directory, sizeof(directory)))
		put_text(out, MT_TLV_CWD, directory);
}

/*
 * Others' TLVs
 */

static bool is_text(uint16_t type)
{
	switch (type) {
	case MT_TLV_ARGV:
	case MT_TLV_EXECUTABLE:
	case MT_TLV_CWD:
	case MT_TLV_PYTHON_VERSION:
	case MT_TLV_MESSAGE:
	case MT_TLV_COVERAGE:
		return true;
	default:
		return false;
	}
}

/* At most `room` bytes of UTF-8, cut between two characters where that can be told. */
static size_t cut_text(const uint8_t *text, size_t size, size_t room)
{
	if (size <= room)
		return size;
	size_t cut = room;
	for (int i = 0; i < 3 && cut > 0 && (text[cut] & 0xC0) == 0x80; i++)
		cut--;
	return (text[cut] & 0xC0) == 0x80 ? room : cut;
}

void host_append(struct mt_out *out, const uint8_t *tlvs, size_t size)
{
	for (int large = 0; large < 2; large++) {
		struct mt_in in = mt_in_over(tlvs, size);
		struct mt_tlv_view view;
		while (mt_tlv_next(&in, &view)) {
			const size_t left = (size_t)(out->end - out->at);
			const size_t room = left < 8 ? 0 : (left - 8) & ~(size_t)3;
			if ((view.size > SMALL_TLV) != large || (view.size > room && !is_text(view.type)))
				continue;
			const size_t keep = cut_text(view.data, view.size, room);
			if (left >= 8 && (keep || !view.size))
				mt_tlv_put(out, view.type, view.data, keep);
		}
	}
}
