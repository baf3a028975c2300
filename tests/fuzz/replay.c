/*
 * Runs a fuzz target over the files and directories that it is given, without libFuzzer: in "make check"
 * over the corpus, with any compiler, and by hand over what fuzzing has found.
 */
#include <dirent.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
	(void)data;
	(void)max_size;
	return size;
}

/* The whole file in memory of exactly its size, so that a sanitizer sees a read behind its end. */
static int replay_file(const char *path)
{
	FILE *const file = fopen(path, "rb");
	if (!file || fseek(file, 0, SEEK_END) != 0) {
		perror(path);
		return 1;
	}
	const long size = ftell(file);
	uint8_t *const data = size >= 0 ? malloc(size ? (size_t)size : 1) : NULL;
	rewind(file);
	if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) {
		perror(path);
		fclose(file);
		free(data);
		return 1;
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
	return 0;
}

static int replay(const char *path, unsigned *count)
{
	DIR *const directory = opendir(path);
	int failed = 0;
	if (!directory) {
		++*count;
		return replay_file(path);
	}
	for (const struct dirent *entry; (entry = readdir(directory));) {
		char name[4096];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		failed |= replay(name, count);
	}
	closedir(directory);
	return failed;
}

int main(int argc, char **argv)
{
	unsigned count = 0;
	int failed = 0;
	for (int i = 1; i < argc; i++)
		failed |= replay(argv[i], &count);
	printf("%s: %u inputs\n", argv[0], count);
	return failed || !count;
}
