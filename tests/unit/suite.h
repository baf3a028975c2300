/*
 * What every unit test ends with: run the cases, print what failed, exit 0 or 1.
 *
 *     int main(void)
 *     {
 *             TCase *tcase = tcase_create("units");
 *             tcase_add_loop_test(tcase, sizes_are_parsed, 0, COUNT(sizes));
 *             return suite_run("units", tcase);
 *     }
 */
#ifndef SUITE_H
#define SUITE_H

#include <check.h>
#include <stdlib.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* Run one case; the exit status for main(). CK_FORK, CK_RUN_CASE and their kin work as in Check. */
static inline int suite_run(const char *name, TCase *tcase)
{
	Suite *suite = suite_create(name);
	suite_add_tcase(suite, tcase);
	tcase_set_timeout(tcase, 60);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
