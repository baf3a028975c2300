/* Words for outcomes. */
#include "format/status.h"

#include <stddef.h>

static const char *const strings[] = {
	[MT_OK] = "no error",
	[MT_END] = "end of data",
	[MT_ERR_NOT_TRACE] = "not a trace",
	[MT_ERR_TOO_NEW] = "made by a newer version",
	[MT_ERR_CORRUPT] = "checksum or structure is wrong",
	[MT_ERR_TRUNCATED] = "cut short",
	[MT_ERR_LIMIT] = "takes more memory than is allowed",
	[MT_ERR_IO] = "input/output error",
	[MT_ERR_NO_SPACE] = "no space left",
	[MT_ERR_NO_MEMORY] = "out of memory",
};

const char *mt_status_string(enum mt_status status)
{
	const size_t i = (size_t)status;
	return i < sizeof(strings) / sizeof(*strings) ? strings[i] : "unknown error";
}
