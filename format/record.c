/* The event record on disk: its three words, little-endian (format.md §5). */
#include "format/record.h"

void mt_record_put(struct mt_out *out, struct mt_record record)
{
	mt_put_u64(out, record.w0);
	mt_put_u64(out, record.w1);
	mt_put_u64(out, record.w2);
}

struct mt_record mt_record_get(struct mt_in *in)
{
	struct mt_record record;
	record.w0 = mt_get_u64(in);
	record.w1 = mt_get_u64(in);
	record.w2 = mt_get_u64(in);
	return record;
}
