/*
 * mtdump-rss-map: load the BPF program behind rss='map' (rss_map.h), for an administrator. mtdump-rss-map(8).
 *
 * The program is some fifty instructions, written here as instructions, so that neither a compiler for BPF nor libbpf is
 * needed. It is attached once for the whole machine, and pinned with its map: both stay until `unload`. Offsets of the
 * tracepoint's fields are read from its `format` file, as they may differ between kernels.
 */
#define _GNU_SOURCE             /* syscall() */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "recorder/rss_map.h"

/* What older headers lack: BPF_PERF_EVENT (Linux 5.15), BPF_ATOMIC, BPF_CMPXCHG (5.12). */
#define ATTACH_PERF_EVENT 41
#define ATOMIC 0xc0
#define CMPXCHG 0xf1

#define LINK_FILE "link"
#define PROGRAM_MAX 128
#define LOG_SIZE 65536

enum { STATUS_OK, STATUS_FAILED, STATUS_USAGE };

static void complain(const char *form, ...) __attribute__((format(printf, 1, 2)));
static void complain(const char *form, ...)
{
	va_list values;

	fputs("mtdump-rss-map: ", stderr);
	va_start(values, form);
	vfprintf(stderr, form, values);
	va_end(values);
	fputc('\n', stderr);
}

/*
 * The program
 */

/* Where the fields of the tracepoint are, and its number. */
struct tracepoint {
	unsigned id, mm_id_offset, member_offset, size_offset;
};

struct program {
	struct bpf_insn insns[PROGRAM_MAX];
	unsigned count;
};

static unsigned put(struct program *program, unsigned code, unsigned dst, unsigned src, int offset, int value)
{
	if (program->count == PROGRAM_MAX)
		abort();
	program->insns[program->count] = (struct bpf_insn){
		.code = (uint8_t)code,
		.dst_reg = dst & 15,
		.src_reg = src & 15,
		.off = (int16_t)offset,
		.imm = value,
	};
	return program->count++;
}

static void load(struct program *program, unsigned size, unsigned dst, unsigned src, unsigned offset)
{
	put(program, BPF_LDX | BPF_MEM | size, dst, src, (int)offset, 0);
}

static void store(struct program *program, unsigned dst, int offset, unsigned src)
{
	put(program, BPF_STX | BPF_MEM | BPF_W, dst, src, offset, 0);
}

static void with_value(struct program *program, unsigned operation, unsigned dst, int value)
{
	put(program, BPF_ALU64 | BPF_K | operation, dst, 0, 0, value);
}

static void with_register(struct program *program, unsigned operation, unsigned dst, unsigned src)
{
	put(program, BPF_ALU64 | BPF_X | operation, dst, src, 0, 0);
}

static unsigned jump_if(struct program *program, unsigned condition, unsigned dst, int value)
{
	return put(program, BPF_JMP | BPF_K | condition, dst, 0, 0, value);
}

/* Jumps that have been put lead to the instruction that comes next. */
static void lead_here(struct program *program, const unsigned *jumps, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		program->insns[jumps[i]].off = (int16_t)(program->count - jumps[i] - 1);
}

static unsigned page_shift(void)
{
	unsigned shift = 0;

	while (1L << shift < sysconf(_SC_PAGESIZE))
		shift++;
	return shift;
}

/*
 *     if (!mm_id || member >= RSS_MAP_MEMBERS) return;
 *     bucket = map[mm_id % RSS_MAP_BUCKETS];
 *     slot = the one in it with mm_id, or else the first that is free, taken by compare-and-exchange; or return;
 *     slot->pages[member] = size >> page_shift;
 *     if (the sum of what is RSS is 0) slot->mm_id = 0;
 *
 * r7 mm_id, r8 member, r9 pages, r6 slot. Two CPUs that see a process of several threads for the first time, at the same
 * moment, may take two slots; the second is never looked at.
 */
static void write_program(struct program *program, const struct tracepoint *tracepoint, int map_fd)
{
	const int slot_size = sizeof(struct rss_map_slot);
	const int pages_offset = offsetof(struct rss_map_slot, pages);
	unsigned end[8], end_count = 0, found[2 * RSS_MAP_BUCKET_SLOTS], found_count = 0;

	load(program, BPF_W, 7, 1, tracepoint->mm_id_offset);
	load(program, BPF_W, 8, 1, tracepoint->member_offset);
	load(program, BPF_DW, 9, 1, tracepoint->size_offset);
	end[end_count++] = jump_if(program, BPF_JEQ, 7, 0);
	end[end_count++] = jump_if(program, BPF_JGE, 8, RSS_MAP_MEMBERS);
	with_value(program, BPF_RSH, 9, (int)page_shift());

	with_register(program, BPF_MOV, 2, 7);
	with_value(program, BPF_AND, 2, RSS_MAP_BUCKETS - 1);
	store(program, 10, -4, 2);
	put(program, BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, map_fd);
	put(program, 0, 0, 0, 0, 0);
	with_register(program, BPF_MOV, 2, 10);
	with_value(program, BPF_ADD, 2, -4);
	put(program, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
	end[end_count++] = jump_if(program, BPF_JEQ, 0, 0);
	with_register(program, BPF_MOV, 6, 0);

	for (unsigned i = 0; i < RSS_MAP_BUCKET_SLOTS; i++) {
		load(program, BPF_W, 1, 6, offsetof(struct rss_map_slot, mm_id));
		found[found_count++] = put(program, BPF_JMP | BPF_X | BPF_JEQ, 1, 7, 0, 0);
		with_value(program, BPF_ADD, 6, slot_size);
	}
	with_value(program, BPF_ADD, 6, -RSS_MAP_BUCKET_SLOTS * slot_size);
	for (unsigned i = 0; i < RSS_MAP_BUCKET_SLOTS; i++) {
		with_value(program, BPF_MOV, 0, 0);
		put(program, BPF_STX | ATOMIC | BPF_W, 6, 7, offsetof(struct rss_map_slot, mm_id), CMPXCHG);
		found[found_count++] = jump_if(program, BPF_JEQ, 0, 0);
		with_value(program, BPF_ADD, 6, slot_size);
	}
	end[end_count++] = put(program, BPF_JMP | BPF_JA, 0, 0, 0, 0);

	lead_here(program, found, found_count);
	with_register(program, BPF_MOV, 2, 6);
	with_value(program, BPF_LSH, 8, 2);
	with_register(program, BPF_ADD, 2, 8);
	store(program, 2, pages_offset, 9);
	load(program, BPF_W, 0, 6, (unsigned)pages_offset + 4 * RSS_MAP_FILE_PAGES);
	load(program, BPF_W, 1, 6, (unsigned)pages_offset + 4 * RSS_MAP_ANON_PAGES);
	with_register(program, BPF_ADD, 0, 1);
	load(program, BPF_W, 1, 6, (unsigned)pages_offset + 4 * RSS_MAP_SHMEM_PAGES);
	with_register(program, BPF_ADD, 0, 1);
	end[end_count++] = jump_if(program, BPF_JNE, 0, 0);
	with_value(program, BPF_MOV, 1, 0);
	store(program, 6, offsetof(struct rss_map_slot, mm_id), 1);

	lead_here(program, end, end_count);
	with_value(program, BPF_MOV, 0, 0);
	put(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/*
 * The kernel
 */

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int pin(int fd, const char *path)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.bpf_fd = (uint32_t)fd;
	attr.pathname = (uint64_t)(uintptr_t)path;
	return bpf(BPF_OBJ_PIN, &attr);
}

static int open_pinned(const char *path)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.pathname = (uint64_t)(uintptr_t)path;
	return bpf(BPF_OBJ_GET, &attr);
}

static int make_map(void)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = 4;
	attr.value_size = RSS_MAP_BUCKET_SLOTS * sizeof(struct rss_map_slot);
	attr.max_entries = RSS_MAP_BUCKETS;
	attr.map_flags = BPF_F_MMAPABLE;
	memcpy(attr.map_name, RSS_MAP_NAME, sizeof(RSS_MAP_NAME));
	const int fd = bpf(BPF_MAP_CREATE, &attr);
	if (fd < 0) {
		complain("the kernel refuses the map: %s", strerror(errno));
		return -1;
	}
	/* From here on only programs write to it. */
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)fd;
	if (bpf(BPF_MAP_FREEZE, &attr) == 0)
		return fd;
	complain("the map cannot be frozen: %s", strerror(errno));
	close(fd);
	return -1;
}

static int load_program(const struct tracepoint *tracepoint, int map_fd)
{
	static char log[LOG_SIZE];
	struct program program = { .count = 0 };
	union bpf_attr attr;

	write_program(&program, tracepoint, map_fd);
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_TRACEPOINT;
	attr.insns = (uint64_t)(uintptr_t)program.insns;
	attr.insn_cnt = program.count;
	attr.license = (uint64_t)(uintptr_t)"Dual MIT/GPL";
	memcpy(attr.prog_name, RSS_MAP_NAME, sizeof(RSS_MAP_NAME));
	int fd = bpf(BPF_PROG_LOAD, &attr);
	if (fd >= 0)
		return fd;
	complain("the kernel refuses the program: %s", strerror(errno));
	/* Once more, for its reasons. */
	attr.log_buf = (uint64_t)(uintptr_t)log;
	attr.log_size = sizeof(log);
	attr.log_level = 1;
	fd = bpf(BPF_PROG_LOAD, &attr);
	if (fd < 0 && log[0])
		fprintf(stderr, "%s", log);
	return fd;
}

/* An attachment that lasts as long as its file: one event on one CPU runs the program on all. */
static int attach(const struct tracepoint *tracepoint, int program_fd)
{
	struct perf_event_attr event;
	union bpf_attr attr;

	memset(&event, 0, sizeof(event));
	event.type = PERF_TYPE_TRACEPOINT;
	event.size = sizeof(event);
	event.config = tracepoint->id;
	const int event_fd = (int)syscall(SYS_perf_event_open, &event, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (event_fd < 0) {
		complain("the tracepoint kmem:rss_stat cannot be opened: %s", strerror(errno));
		return -1;
	}
	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (uint32_t)program_fd;
	attr.link_create.target_fd = (uint32_t)event_fd;
	attr.link_create.attach_type = ATTACH_PERF_EVENT;
	const int fd = bpf(BPF_LINK_CREATE, &attr);
	if (fd < 0)
		complain("the program cannot be attached: %s%s", strerror(errno),
			 errno == EINVAL ? " (Linux 5.15 or later is needed)" : "");
	close(event_fd);
	return fd;
}

/* "\tfield:unsigned int mm_id;\toffset:8;\tsize:4;\tsigned:0;" */
static bool read_field(const char *format, const char *name, unsigned size, unsigned *offset_out)
{
	char text[64];
	unsigned found;

	snprintf(text, sizeof(text), " %s;\toffset:", name);
	const char *const at = strstr(format, text);
	return at && sscanf(at + strlen(text), "%u;\tsize:%u;", offset_out, &found) == 2 && found == size;
}

static bool read_format(struct tracepoint *tracepoint_out)
{
	static const char *const names[] = { "/sys/kernel/tracing/events/kmem/rss_stat/format",
					     "/sys/kernel/debug/tracing/events/kmem/rss_stat/format" };
	char text[4096];
	FILE *file = NULL;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !file; i++)
		file = fopen(names[i], "re");
	if (!file) {
		complain("%s: %s (mount -t tracefs tracefs /sys/kernel/tracing)", names[0], strerror(errno));
		return false;
	}
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	const char *const id = strstr(text, "ID: ");
	if (id && sscanf(id, "ID: %u", &tracepoint_out->id) == 1 &&
	    read_field(text, "mm_id", 4, &tracepoint_out->mm_id_offset) &&
	    read_field(text, "member", 4, &tracepoint_out->member_offset) &&
	    read_field(text, "size", 8, &tracepoint_out->size_offset))
		return true;
	complain("this kernel's kmem:rss_stat is not known here (64 bits and Linux 5.15 or later are needed)");
	return false;
}

/*
 * Commands
 */

struct options {
	const char *directory, *group;
	gid_t gid;
};

static void path_of(const struct options *options, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", options->directory, name);
}

static bool make_directory(const struct options *options)
{
	struct statfs status;

	/* Who may is said by the map's own permissions. */
	umask(022);
	if (mkdir(options->directory, 0755) != 0) {
		if (errno == EEXIST)
			complain("'%s' is there already (mtdump-rss-map unload)", options->directory);
		else
			complain("'%s': %s (mount -t bpf bpf /sys/fs/bpf)", options->directory, strerror(errno));
		return false;
	}
	if (statfs(options->directory, &status) == 0 && (unsigned long)status.f_type == BPF_FS_MAGIC)
		return true;
	complain("'%s' is not in a BPF file system (mount -t bpf bpf /sys/fs/bpf)", options->directory);
	rmdir(options->directory);
	return false;
}

/* All or nothing: the map last, so that what is found works. */
static bool pin_both(const struct options *options, int map_fd, int link_fd)
{
	char map_path[PATH_MAX], link_path[PATH_MAX];

	path_of(options, RSS_MAP_FILE, map_path);
	path_of(options, LINK_FILE, link_path);
	/* Write permission is what opening takes; a frozen map cannot be written to for all that. */
	if (pin(link_fd, link_path) == 0 && chmod(link_path, 0600) == 0 && pin(map_fd, map_path) == 0 &&
	    chmod(map_path, options->group ? 0660 : 0666) == 0 &&
	    (!options->group || chown(map_path, (uid_t)-1, options->gid) == 0))
		return true;
	complain("'%s': %s", options->directory, strerror(errno));
	unlink(map_path);
	unlink(link_path);
	return false;
}

static int command_load(const struct options *options)
{
	struct tracepoint tracepoint;
	int map_fd = -1, program_fd = -1, link_fd = -1;
	bool ok = false;

	if (!read_format(&tracepoint) || !make_directory(options))
		return STATUS_FAILED;
	map_fd = make_map();
	if (map_fd >= 0)
		program_fd = load_program(&tracepoint, map_fd);
	if (program_fd >= 0)
		link_fd = attach(&tracepoint, program_fd);
	if (link_fd >= 0)
		ok = pin_both(options, map_fd, link_fd);
	if (!ok)
		rmdir(options->directory);
	/* The process ends here, and with it what is not pinned. */
	return ok ? STATUS_OK : STATUS_FAILED;
}

static int command_unload(const struct options *options)
{
	char map_path[PATH_MAX], link_path[PATH_MAX];

	path_of(options, RSS_MAP_FILE, map_path);
	path_of(options, LINK_FILE, link_path);
	const bool there = access(map_path, F_OK) == 0 || access(link_path, F_OK) == 0;
	unlink(map_path);
	if ((unlink(link_path) == 0 || errno == ENOENT) && rmdir(options->directory) == 0 && there)
		return STATUS_OK;
	complain("'%s': %s", options->directory, there ? strerror(errno) : "nothing is loaded there");
	return STATUS_FAILED;
}

static int command_status(const struct options *options)
{
	const size_t size = RSS_MAP_SLOTS * sizeof(struct rss_map_slot);
	char map_path[PATH_MAX], link_path[PATH_MAX];
	unsigned used = 0, full = 0;

	path_of(options, RSS_MAP_FILE, map_path);
	path_of(options, LINK_FILE, link_path);
	const int fd = open_pinned(map_path);
	if (fd < 0) {
		complain("'%s': %s", map_path, strerror(errno));
		return STATUS_FAILED;
	}
	const volatile struct rss_map_slot *const slots = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (slots == MAP_FAILED) {
		complain("'%s': %s", map_path, strerror(errno));
		return STATUS_FAILED;
	}
	for (unsigned bucket = 0; bucket < RSS_MAP_BUCKETS; bucket++) {
		unsigned in_bucket = 0;
		for (unsigned i = 0; i < RSS_MAP_BUCKET_SLOTS; i++)
			in_bucket += slots[bucket * RSS_MAP_BUCKET_SLOTS + i].mm_id != 0;
		used += in_bucket;
		full += in_bucket == RSS_MAP_BUCKET_SLOTS;
	}
	printf("%s: %s, %u processes, %u of %d buckets full\n", map_path,
	       access(link_path, F_OK) == 0 ? "attached" : "not attached", used, full, RSS_MAP_BUCKETS);
	return STATUS_OK;
}

static const struct {
	const char *name;
	int (*run)(const struct options *options);
} commands[] = {
	{ "load", command_load },
	{ "unload", command_unload },
	{ "status", command_status },
};

static const char usage[] =
	"Usage: mtdump-rss-map [--directory=DIR] [--group=NAME] load | unload | status\n\n"
	"Keep the resident set size of every process in a map that recordings (rss='map') look at.\n\n"
	"  --directory=DIR  in a BPF file system, to be made (" RSS_MAP_DIRECTORY ")\n"
	"  --group=NAME     who may open the map; without it, everybody\n"
	"  --help           show this\n"
	"  --version        show the version\n";

static int run(const char *name, const struct options *options)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(options);
	complain("no command is called '%.100s' (mtdump-rss-map --help)", name);
	return STATUS_USAGE;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "directory", required_argument, NULL, 'd' }, { "group", required_argument, NULL, 'g' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'v' }, { NULL, 0, NULL, 0 },
	};
	struct options options = { .directory = RSS_MAP_DIRECTORY };
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == 'h')
			return fputs(usage, stdout) == EOF;
		if (option == 'v')
			return puts("mtdump-rss-map " PACKAGE_VERSION) == EOF;
		if (option == 'd')
			options.directory = optarg;
		else if (option == 'g')
			options.group = optarg;
		else
			return STATUS_USAGE;
	}
	if (optind != argc - 1) {
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	if (options.group) {
		const struct group *const group = getgrnam(options.group);
		if (!group) {
			complain("no group is called '%.100s'", options.group);
			return STATUS_USAGE;
		}
		options.gid = group->gr_gid;
	}
	return run(argv[optind], &options);
}
