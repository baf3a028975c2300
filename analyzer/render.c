/*
 * The table of formats.
 */
#include "analyzer/render.h"

const struct render *const renders[] = { &render_text, &render_csv, &render_ndjson, NULL };
