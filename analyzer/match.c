/*
 * Matching files by the end of their paths, and functions by file and name.
 *
 * A file is known by the path under which it was met first; further ones are its aliases. For each length of
 * tail, the files of a run and the known ones that are not matched yet are sorted by that tail: a group
 * with one of each is a match.
 */
#include "analyzer/match.h"

#include <stdlib.h>
#include <string.h>

#define TAIL_MAX 16U            /* components; longer tails are no better */
#define NOT_MATCHED UINT32_MAX

/* A path under which a known file was met. */
struct alias {
	char *bytes;
	uint32_t size;
	uint32_t file;                  /* number of the file */
};

struct match {
	struct functions *functions;
	struct match_place (*places)[2];        /* by number and side */
	uint32_t place_count, place_room;
	struct alias *aliases;
	uint32_t alias_count, alias_room;
	struct function_text *paths;    /* of each file, the first */
	uint32_t file_count, file_room;
	uint32_t (*moved)[2];           /* aliases */
	size_t moved_count, moved_room;
};

/* A file of the run that is being added. */
struct run_file {
	struct function_text path;
	uint32_t file;                  /* NOT_MATCHED */
	uint32_t alias;
};

/* What is sorted: an alias of a known file, or a file of the run. */
struct candidate {
	struct function_text tail;
	uint32_t index;
	bool known;
};

struct match *match_new(void)
{
	struct match *match = calloc(1, sizeof(*match));
	if (!match)
		return NULL;
	match->functions = functions_new(FUNCTIONS_BY_NAME);
	if (!match->functions) {
		free(match);
		return NULL;
	}
	return match;
}

void match_free(struct match *match)
{
	if (!match)
		return;
	for (uint32_t i = 0; i < match->alias_count; i++)
		free(match->aliases[i].bytes);
	functions_free(match->functions);
	free(match->places);
	free(match->aliases);
	free(match->paths);
	free(match->moved);
	free(match);
}

/* Room for one more of `size` bytes. */
static bool room_for(void **array, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return true;
	const size_t more = *room ? *room * 2 : 64;
	void *bigger = realloc(*array, more * size);
	if (!bigger)
		return false;
	*array = bigger;
	*room = more;
	return true;
}

/* Another path of `file`; *alias_out is its number. */
static bool add_alias(struct match *match, uint32_t file, struct function_text path, uint32_t *alias_out)
{
	size_t room = match->alias_room;
	if (!room_for((void **)&match->aliases, match->alias_count, &room, sizeof(*match->aliases)))
		return false;
	match->alias_room = (uint32_t)room;
	char *bytes = malloc(path.size + 1);
	if (!bytes)
		return false;
	memcpy(bytes, path.bytes, path.size);
	bytes[path.size] = '\0';
	match->aliases[match->alias_count] = (struct alias){ bytes, path.size, file };
	*alias_out = match->alias_count++;
	return true;
}

static bool add_file(struct match *match, struct run_file *file)
{
	size_t room = match->file_room;
	if (!room_for((void **)&match->paths, match->file_count, &room, sizeof(*match->paths)))
		return false;
	match->file_room = (uint32_t)room;
	if (!add_alias(match, match->file_count, file->path, &file->alias))
		return false;
	const struct alias *alias = &match->aliases[file->alias];
	match->paths[match->file_count] = (struct function_text){ alias->bytes, alias->size };
	file->file = match->file_count++;
	return true;
}

static bool add_moved(struct match *match, struct run_file *file, uint32_t known)
{
	size_t room = match->moved_room;
	if (!room_for((void **)&match->moved, match->moved_count, &room, sizeof(*match->moved)))
		return false;
	match->moved_room = room;
	file->file = match->aliases[known].file;
	if (!add_alias(match, file->file, file->path, &file->alias))
		return false;
	match->moved[match->moved_count][0] = known;
	match->moved[match->moved_count++][1] = file->alias;
	return true;
}

/*
 * Tails
 */

static int compare_texts(struct function_text a, struct function_text b)
{
	const int order = memcmp(a.bytes, b.bytes, a.size < b.size ? a.size : b.size);
	return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_candidates(const void *a, const void *b)
{
	const struct candidate *x = a;
	const struct candidate *y = b;
	const int order = compare_texts(x->tail, y->tail);
	if (order)
		return order;
	return x->known != y->known ? x->known - y->known : (x->index > y->index) - (x->index < y->index);
}

static bool is_text(struct function_text text, const char *word)
{
	return text.size == strlen(word) && memcmp(text.bytes, word, text.size) == 0;
}

/* The last `components` of a path; false if it has fewer, or if they say nothing. */
static bool tail_of(struct function_text path, unsigned components, struct function_text *tail_out)
{
	unsigned seen = 0;
	uint32_t at = path.size;
	if (!path.size || path.bytes[0] == '<')
		return false;
	while (seen < components && at > 0) {
		at--;
		seen += path.bytes[at] == '/';
		if (seen == components)
			at++;
	}
	/* A path without a root has no slash in front of its first component. */
	if (seen + (at == 0 && path.bytes[0] != '/') < components)
		return false;
	*tail_out = (struct function_text){ path.bytes + at, path.size - at };
	return tail_out->size && !is_text(*tail_out, "__init__.py") && !is_text(*tail_out, "__main__.py");
}

/*
 * How two paths are compared in one pass: with the first path of a known file, with any that it had, or by
 * their last COMPARE_TAIL + n components.
 */
enum { COMPARE_FIRST, COMPARE_ANY, COMPARE_TAIL };

static bool key_of(struct function_text path, unsigned compare, struct function_text *key_out)
{
	*key_out = path;
	return compare <= COMPARE_ANY || tail_of(path, compare - COMPARE_TAIL, key_out);
}

/* What is not matched yet and takes part in a pass. */
static size_t gather(const struct match *match, const struct run_file *files, uint32_t count, const bool *taken,
		     unsigned compare, struct candidate *candidates)
{
	size_t used = 0;
	for (uint32_t i = 0; i < match->alias_count; i++) {
		const struct alias *alias = &match->aliases[i];
		if (taken[alias->file] || (compare == COMPARE_FIRST && match->paths[alias->file].bytes != alias->bytes))
			continue;
		struct candidate candidate = { .index = i, .known = true };
		if (key_of((struct function_text){ alias->bytes, alias->size }, compare, &candidate.tail))
			candidates[used++] = candidate;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct candidate candidate = { .index = i };
		if (files[i].file == NOT_MATCHED && key_of(files[i].path, compare, &candidate.tail))
			candidates[used++] = candidate;
	}
	return used;
}

/* Of `count` candidates with one tail, those of the run first: is it one of the run, and one known file? */
static bool is_match(const struct match *match, const struct candidate *group, size_t count)
{
	if (count < 2 || group[0].known || !group[1].known)
		return false;
	for (size_t i = 2; i < count; i++)
		if (match->aliases[group[i].index].file != match->aliases[group[1].index].file)
			return false;
	return true;
}

static bool match_pass(struct match *match, struct run_file *files, uint32_t count, bool *taken,
		       struct candidate *candidates, unsigned compare)
{
	const size_t used = gather(match, files, count, taken, compare, candidates);
	qsort(candidates, used, sizeof(*candidates), compare_candidates);
	for (size_t begin = 0, end; begin < used; begin = end) {
		end = begin + 1;
		while (end < used && !compare_texts(candidates[begin].tail, candidates[end].tail))
			end++;
		if (!is_match(match, candidates + begin, end - begin))
			continue;
		struct run_file *file = &files[candidates[begin].index];
		const uint32_t known = candidates[begin + 1].index;
		if (taken[match->aliases[known].file])
			continue;               /* in this pass, under another of its paths */
		if (compare > COMPARE_TAIL && !add_moved(match, file, known))
			return false;
		if (compare < COMPARE_TAIL) {
			file->file = match->aliases[known].file;
			file->alias = known;
		}
		taken[file->file] = true;
	}
	return true;
}

static bool match_files(struct match *match, struct run_file *files, uint32_t count)
{
	bool *taken = calloc((size_t)match->file_count + 1, sizeof(*taken));
	/* The passes add as many aliases as the run has files, at most. */
	const size_t room = (size_t)match->alias_count + 2 * (size_t)count + 1;
	struct candidate *candidates = malloc(room * sizeof(*candidates));
	bool good = taken && candidates &&
		    match_pass(match, files, count, taken, candidates, COMPARE_FIRST) &&
		    match_pass(match, files, count, taken, candidates, COMPARE_ANY);
	for (unsigned components = TAIL_MAX; good && components; components--)
		good = match_pass(match, files, count, taken, candidates, COMPARE_TAIL + components);
	free(taken);
	free(candidates);
	for (uint32_t i = 0; good && i < count; i++)
		if (files[i].file == NOT_MATCHED)
			good = add_file(match, &files[i]);
	return good;
}

/*
 * Functions
 */

static int compare_run_files(const void *a, const void *b)
{
	return compare_texts(((const struct run_file *)a)->path, ((const struct run_file *)b)->path);
}

/* The files of all Python functions, each once. NULL without memory. */
static struct run_file *files_of(const struct functions *functions, uint32_t *count_out)
{
	const uint32_t count = functions_count(functions);
	struct run_file *files = malloc((size_t)count * sizeof(*files));
	uint32_t used = 0, kept = 0;
	if (!files)
		return NULL;
	for (uint32_t i = FUNCTIONS_FIRST; i < count; i++) {
		const struct function *function = functions_get(functions, i);
		/* Neighbours are mostly of one file, and equal texts of one table have equal pointers. */
		if (function->sort == FUNCTION_PYTHON && (!used || files[used - 1].path.bytes != function->file.bytes))
			files[used++] = (struct run_file){ .path = function->file, .file = NOT_MATCHED };
	}
	qsort(files, used, sizeof(*files), compare_run_files);
	for (uint32_t i = 0; i < used; i++)
		if (!kept || compare_texts(files[kept - 1].path, files[i].path) != 0)
			files[kept++] = files[i];
	*count_out = kept;
	return files;
}

static bool note_place(struct match *match, uint32_t number, enum match_side side, struct match_place place)
{
	if (number >= match->place_room) {
		uint32_t room = match->place_room ? match->place_room : 256;
		while (room <= number)
			room *= 2;
		struct match_place (*places)[2] = realloc(match->places, room * sizeof(*places));
		if (!places)
			return false;
		memset(places + match->place_room, 0, (room - match->place_room) * sizeof(*places));
		match->places = places;
		match->place_room = room;
	}
	if (!match->places[number][side].file.size && !match->places[number][side].line)
		match->places[number][side] = place;
	return true;
}

static bool match_function(struct match *match, const struct function *function, const struct run_file *files,
			   uint32_t file_count, enum match_side side, uint32_t *number_out)
{
	struct function known = *function;
	struct match_place place = { .line = function->first_line };
	if (function->sort == FUNCTION_PYTHON) {
		const struct run_file wanted = { .path = function->file };
		const struct run_file *file = bsearch(&wanted, files, file_count, sizeof(*files),
						      compare_run_files);
		const struct alias *alias = &match->aliases[file->alias];
		known.file = match->paths[file->file];
		place.file = (struct function_text){ alias->bytes, alias->size };
	}
	*number_out = functions_of(match->functions, &known);
	if (function->sort != FUNCTION_PYTHON)
		place.file = functions_get(match->functions, *number_out)->file;
	return *number_out < FUNCTIONS_FIRST || note_place(match, *number_out, side, place);
}

uint32_t *match_run(struct match *match, const struct functions *functions, enum match_side side)
{
	const uint32_t count = functions_count(functions);
	uint32_t file_count = 0;
	struct run_file *files = files_of(functions, &file_count);
	uint32_t *numbers = malloc((size_t)count * sizeof(*numbers));
	bool good = files && numbers && match_files(match, files, file_count);
	for (uint32_t i = 0; good && i < count; i++)
		good = match_function(match, functions_get(functions, i), files, file_count, side, &numbers[i]);
	free(files);
	if (good)
		return numbers;
	free(numbers);
	return NULL;
}

struct functions *match_functions(struct match *match)
{
	return match->functions;
}

struct match_place match_place(const struct match *match, uint32_t number, enum match_side side)
{
	if (number >= match->place_room)
		return (struct match_place){ .file = { "", 0 } };
	struct match_place place = match->places[number][side];
	if (!place.file.bytes)
		place.file = (struct function_text){ "", 0 };
	return place;
}

size_t match_moved_count(const struct match *match)
{
	return match->moved_count;
}

struct match_moved match_moved(const struct match *match, size_t i)
{
	const struct alias *from = &match->aliases[match->moved[i][0]];
	const struct alias *to = &match->aliases[match->moved[i][1]];
	return (struct match_moved){ { from->bytes, from->size }, { to->bytes, to->size } };
}
