/*
 * Outcome of every function of format/ that can fail.
 *
 * Each value is a different answer because the user does something different about each: another
 * file, a newer mtdump, a look at the damage, or a look at the disk.
 */
#ifndef MT_STATUS_H
#define MT_STATUS_H

enum mt_status {
	MT_OK = 0,
	MT_END,             /* no more; not an error */
	MT_ERR_NOT_TRACE,   /* the magic is not ours: another file was meant */
	MT_ERR_TOO_NEW,     /* ours, but it needs a feature that this reader lacks: update */
	MT_ERR_CORRUPT,     /* a rule of the format does not hold: damage */
	MT_ERR_TRUNCATED,   /* ends inside a unit: cut short, or still being written */
	MT_ERR_LIMIT,       /* correct or not, it would take more memory than allowed */
	MT_ERR_IO,          /* the operating system refused; errno says why */
	MT_ERR_NO_SPACE,    /* the disk or the quota is full: worth another try later */
	MT_ERR_NO_MEMORY,
};

/* A few lower-case words for people, never NULL: "checksum or structure is wrong". */
const char *mt_status_string(enum mt_status status);

/* Return at once if `expression` is not MT_OK. The one macro here that returns. */
#define MT_TRY(expression) \
	do { \
		const enum mt_status mt_try_status = (expression); \
		if (mt_try_status != MT_OK) \
			return mt_try_status; \
	} while (0)

#endif
